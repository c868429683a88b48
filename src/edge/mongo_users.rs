//! Who exists: users of a cluster and the same names elsewhere, and who we ourselves are.

use std::collections::HashMap;

use bson::{Document, doc};

use super::mongo_member::MongoMember;
use crate::{
    principal::Principal,
    terminate::{Known, Near, NodeError},
};

/// Names that are looked for in other spellings; each costs a scan of the users.
const MAX_SPELLINGS: usize = 20;
/// Near names that are told of one principal.
const MAX_NEAR: usize = 10;

/// The accounts under which we are logged in.
pub(super) async fn logged_in(member: &MongoMember) -> Result<Vec<Principal>, NodeError> {
    let reply = member.command("connectionStatus", doc! {"connectionStatus": 1}).await?;
    Ok(accounts(&reply))
}

/// The accounts that a `connectionStatus` names.
pub(super) fn accounts(reply: &Document) -> Vec<Principal> {
    let users = reply.get_document("authInfo").and_then(|info| info.get_array("authenticatedUsers"));
    users
        .map(|users| users.iter().filter_map(bson::Bson::as_document).filter_map(principal).collect())
        .unwrap_or_default()
}

/// Whether these users exist, and the same name in another database or in another spelling.
pub(super) async fn look_up(
    member: &MongoMember,
    principals: &[Principal],
) -> Result<Vec<(Known, Vec<Near>)>, NodeError> {
    let names: Vec<&str> = principals.iter().map(Principal::user).collect();
    let mut by_name: HashMap<String, Vec<Principal>> = HashMap::new();
    for user in users(member, doc! {"user": {"$in": names}}).await? {
        by_name.entry(user.user().to_owned()).or_default().push(user);
    }
    let strange: Vec<&Principal> =
        principals.iter().filter(|principal| !by_name.contains_key(principal.user())).collect();
    let mut spelled: Vec<Principal> = Vec::new();
    if !strange.is_empty() && strange.len() <= MAX_SPELLINGS {
        let spellings: Vec<Document> = strange
            .iter()
            .map(|principal| doc! {"user": {"$regex": format!("^{}$", escape(principal.user())), "$options": "i"}})
            .collect();
        spelled = users(member, doc! {"$or": spellings}).await?;
    }
    Ok(principals
        .iter()
        .map(|principal| {
            let same_name = by_name.get(principal.user()).map_or(&[][..], Vec::as_slice);
            if same_name.contains(principal) {
                return (Known::Yes, Vec::new());
            }
            let other_case =
                spelled.iter().filter(|user| user.user().to_lowercase() == principal.user().to_lowercase());
            let near = same_name.iter().chain(other_case).take(MAX_NEAR).map(Near::from).collect();
            // A directory's users have no document here: not finding one says nothing.
            let known = if principal.db() == "$external" { Known::Unknown } else { Known::No };
            (known, near)
        })
        .collect())
}

async fn users(member: &MongoMember, filter: Document) -> Result<Vec<Principal>, NodeError> {
    let reply =
        member.command("usersInfo", doc! {"usersInfo": {"forAllDBs": true}, "filter": filter}).await?;
    Ok(reply
        .get_array("users")
        .map(|users| users.iter().filter_map(bson::Bson::as_document).filter_map(principal).collect())
        .unwrap_or_default())
}

/// The user of a `usersInfo`.
pub(super) fn principal(document: &Document) -> Option<Principal> {
    Principal::new(document.get_str("user").ok()?, document.get_str("db").ok()?).ok()
}

/// For a regular expression that means just this text.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        if !c.is_alphanumeric() && c.is_ascii() {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}
