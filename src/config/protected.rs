//! `protected`: who is never cut.

use super::{
    fault::Told,
    reader::{Field, Keys, Section},
};
use crate::{
    decide::Protected,
    principal::{InvalidPrincipal, Principal},
};

pub(super) const PROTECTED: Keys = Keys { known: &["user", "db", "pattern"], later: &[] };

pub(super) const PRINCIPAL: Keys = Keys { known: &["user", "db"], later: &[] };

/// The configured list, behind what is protected anyway.
pub(super) fn protected(root: &Section<'_>) -> Result<Vec<Protected>, Told> {
    let defaults = root.or("protected_defaults", true, Field::flag);
    let listed = root.or("protected", Vec::new(), |field| field.each(entry));
    let mut protected = vec![Protected::Exact(Principal::internal())];
    if defaults? {
        protected.extend(Protected::defaults());
    }
    protected.extend(listed?);
    Ok(protected)
}

fn entry(field: Field<'_>) -> Result<Protected, Told> {
    let section = field.clone().section(&PROTECTED)?;
    let (user, db, pattern) = (section.field("user"), section.field("db"), section.field("pattern"));
    match (user, db, pattern) {
        (Some(_), Some(_), None) => principal_of(&section).map(Protected::Exact),
        (None, Some(db), None) => database(db).map(Protected::Database),
        (None, None, Some(pattern)) => self::pattern(pattern),
        (Some(user), None, None) => {
            let name = user.text()?;
            let fix = format!("add `db`, or write {{pattern: \"{name}@*\"}} for every database");
            Err(field.wrong("names a user without a database", fix))
        }
        (None, None, None) => Err(field.wrong("protects nobody", FORMS)),
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            Err(field.wrong("has a pattern beside other keys", FORMS))
        }
    }
}

const FORMS: &str = "write {user: NAME, db: NAME}, {db: NAME} or {pattern: \"NAME@NAME\"}";

/// `{user, db}`.
pub(super) fn principal(field: Field<'_>) -> Result<Principal, Told> {
    principal_of(&field.section(&PRINCIPAL)?)
}

fn principal_of(section: &Section<'_>) -> Result<Principal, Told> {
    let user = section.must("user", Field::text);
    let db = section.must("db", Field::text);
    let (user, db) = (user?, db?);
    Principal::new(user, db).map_err(|error| {
        let key = match error {
            InvalidPrincipal::EmptyUser | InvalidPrincipal::Nul => "user",
            InvalidPrincipal::EmptyDatabase
            | InvalidPrincipal::AtSignInDatabase
            | InvalidPrincipal::NotUserAtDatabase => "db",
        };
        let fix = "write the name and the authentication database as the server knows them";
        section.wrong(key, format!("names nobody: {error}"), Some(fix.to_owned()))
    })
}

fn database(field: Field<'_>) -> Result<String, Told> {
    let db = field.clone().text()?;
    if db.contains(['@', '*', '?']) {
        let fix = format!("write the name of one database, or {{pattern: \"*@{}\"}}", db.replace('@', ""));
        return Err(field.wrong(format!("`{db}` is no database"), fix));
    }
    Ok(db)
}

/// A pattern over `user@db`. `*` and `?` stand for anything, an `@` included; a backslash takes
/// its meaning from the character behind it, so that the user `a*b` is `a\*b@admin`.
fn pattern(field: Field<'_>) -> Result<Protected, Told> {
    let glob = field.clone().glob()?;
    if !glob.glob().contains('@') {
        let fix = format!("write `{0}@admin`, or `{0}@*` for every database", glob.glob());
        return Err(field.wrong(format!("`{}` names no database", glob.glob()), fix));
    }
    let matcher = glob.compile_matcher();
    // Two names that have nothing in common.
    if matcher.is_match("a@b") && matcher.is_match("Zq9-@$external") {
        field.warn("protects everybody: nobody would ever be cut", "name whom it is meant for");
    }
    Ok(Protected::Pattern(matcher))
}
