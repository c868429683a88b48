//! Secrets: read from a file or the environment, never written into the configuration, never
//! shown. A relative path is relative to the configuration's own folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    fault::Told,
    reader::{Field, Keys},
};

pub(super) const SECRET: Keys = Keys { known: &["file", "env"], later: &[] };

const FORMS: &str = "put it in a file or a variable and write {file: PATH} or {env: NAME}";

/// What a configuration may ask of the machine it is read on.
pub trait Surroundings {
    /// An environment variable; `None` where it is not set, or is no text.
    fn variable(&self, name: &str) -> Option<String>;

    /// A file's whole text.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether a secret that is not there is no fault: then a text that opens nothing stands for it.
    fn has_no_secrets(&self) -> bool {
        false
    }
}

/// The process that we run in.
#[derive(Clone, Copy, Debug)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// The process that we run in, where the configuration is only read and nobody is asked: secrets
/// need not be there, as in CI.
#[derive(Clone, Copy, Debug)]
pub struct WithoutSecrets;

impl Surroundings for WithoutSecrets {
    fn variable(&self, name: &str) -> Option<String> {
        Process.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        Process.read(path)
    }

    fn has_no_secrets(&self) -> bool {
        true
    }
}

/// Stand for secrets that are not there.
const ABSENT: &str = "absent";
const ABSENT_URI: &str = "mongodb://absent.invalid:27017/";

/// Where secrets are found.
pub(super) struct Secrets<'a> {
    pub(super) surroundings: &'a dyn Surroundings,
    pub(super) folder: PathBuf,
}

impl Secrets<'_> {
    /// A secret: `{file: PATH}` or `{env: NAME}`.
    pub(super) fn secret(&self, field: Field<'_>) -> Result<SecretString, Told> {
        self.secret_or(field, ABSENT)
    }

    fn secret_or(&self, field: Field<'_>, absent: &str) -> Result<SecretString, Told> {
        if field.as_text().is_some() {
            return Err(field.wrong("is written in clear", FORMS));
        }
        let section = field.clone().section(&SECRET)?;
        let (file, env) = (section.field("file"), section.field("env"));
        match (file, env) {
            (Some(file), None) => self.file(file, absent),
            (None, Some(env)) => self.variable(env, absent),
            (Some(_), Some(_)) => Err(field.wrong("names a file and a variable", "keep one of them")),
            (None, None) => Err(field.wrong("names neither a file nor a variable", FORMS)),
        }
    }

    /// A text in clear, or a secret.
    pub(super) fn open_or_secret(&self, field: Field<'_>) -> Result<SecretString, Told> {
        if field.is_map() { self.secret(field) } else { field.scalar().map(Into::into) }
    }

    /// The address of a cluster. It may stand in clear as long as it holds no password.
    pub(super) fn uri(&self, field: Field<'_>) -> Result<SecretString, Told> {
        let uri = match field.as_text() {
            Some(text) if holds_a_secret(text) => {
                return Err(field.wrong("holds a password, or an `@` that should be `%40`", FORMS));
            }
            Some(text) => SecretString::from(text),
            None => self.secret_or(field.clone(), ABSENT_URI)?,
        };
        if !["mongodb://", "mongodb+srv://"].iter().any(|scheme| uri.expose_secret().starts_with(scheme)) {
            return Err(
                field.wrong("is no MongoDB address", "begin it with `mongodb://` or `mongodb+srv://`")
            );
        }
        if has_option(uri.expose_secret(), "sockettimeoutms") {
            return Err(field.wrong(
                "sets socketTimeoutMS, which the driver refuses",
                "remove that option: every command has its own time limit",
            ));
        }
        Ok(uri)
    }

    fn file(&self, field: Field<'_>, absent: &str) -> Result<SecretString, Told> {
        let path = self.folder.join(field.clone().text()?);
        let text = match self.surroundings.read(&path) {
            Ok(text) => text,
            Err(_) if self.surroundings.has_no_secrets() => absent.to_owned(),
            Err(error) => {
                let message = format!("names `{}`, which cannot be read: {error}", path.display());
                let fix = "create it, or correct the path (relative to the configuration's folder)";
                return Err(field.wrong(message, fix));
            }
        };
        without_line_end(text).ok_or_else(|| {
            field.wrong(format!("names `{}`, which is empty", path.display()), "write the secret into it")
        })
    }

    fn variable(&self, field: Field<'_>, absent: &str) -> Result<SecretString, Told> {
        let name = field.clone().text()?;
        let stand_in = || self.surroundings.has_no_secrets().then(|| absent.to_owned());
        let text = self.surroundings.variable(&name).or_else(stand_in).ok_or_else(|| {
            field.wrong(
                format!("names the variable `{name}`, which is not set"),
                "set it, or correct the name",
            )
        })?;
        without_line_end(text)
            .ok_or_else(|| field.wrong(format!("names the variable `{name}`, which is empty"), "set it"))
    }
}

/// Editors and `echo` end a file with a newline that nobody means. `None` if nothing is left.
fn without_line_end(text: String) -> Option<SecretString> {
    let text = text.trim_end_matches(['\n', '\r']);
    (!text.is_empty()).then(|| SecretString::from(text))
}

/// Rather once too often: a password with a raw `/`, `?` or `@` in it is still found.
fn holds_a_secret(uri: &str) -> bool {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let password = rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    password
        || uri.to_ascii_lowercase().contains("aws_session_token")
        || ["tlscertificatekeyfilepassword", "proxypassword"].iter().any(|option| has_option(uri, option))
}

/// Option names of a MongoDB address know no case.
fn has_option(uri: &str, lowercase_name: &str) -> bool {
    let options = uri.split_once('?').map_or("", |(_, options)| options);
    options
        .split('&')
        .filter_map(|option| option.split_once('='))
        .any(|(name, _)| name.eq_ignore_ascii_case(lowercase_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_found_however_it_is_written() {
        for uri in [
            "mongodb://severance:hunter2@m1:27017/",
            "mongodb+srv://severance:@cluster.example.com",
            "mongodb://severance:a/b?c@m1",
            "mongodb://severance:a@b@m1",
            "severance:hunter2@m1",
            "mongodb://m1/?proxyHost=p&proxyPassword=x",
            "mongodb://m1/?tlsCertificateKeyFilePassword=x",
            "mongodb://m1/?authMechanismProperties=AWS_SESSION_TOKEN:x",
        ] {
            assert!(holds_a_secret(uri), "{uri}");
        }
    }

    #[test]
    fn an_address_without_a_password_is_no_secret() {
        for uri in [
            "mongodb://m1:27017,m2:27017/?replicaSet=rs0&tls=true",
            "mongodb://CN%3Dseverance@m1:27017/?authMechanism=MONGODB-X509",
            "mongodb+srv://cluster.example.com/",
        ] {
            assert!(!holds_a_secret(uri), "{uri}");
        }
    }

    #[test]
    fn a_secret_loses_the_line_end_that_an_editor_left() {
        let secret = without_line_end("hunter2\r\n".to_owned()).unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
        assert!(without_line_end("\n".to_owned()).is_none());
    }
}
