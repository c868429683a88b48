//! The command that does what was meant, in the language of its file.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::scan::Command;
use crate::principal::{Principal, Principals};

/// In which language the correct command is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// mongosh, and JavaScript in general.
    Mongosh,
    /// Extended JSON.
    Json,
    /// PyMongo.
    Python,
}

impl Dialect {
    /// By a file's name.
    pub fn of(name: &str) -> Self {
        match name.rsplit_once('.') {
            Some((_, "py")) => Self::Python,
            Some((_, "json")) => Self::Json,
            Some(_) | None => Self::Mongosh,
        }
    }
}

/// The command that does what was meant.
pub(super) struct Instead {
    /// Who, where all of them are written out.
    who: Option<Principals>,
    /// By role, which no pattern can say.
    by_role: bool,
    /// Sessions, not people.
    is_session: bool,
}

impl Instead {
    pub(super) fn uids(who: Option<Principals>) -> Self {
        Self { who, by_role: false, is_session: false }
    }

    /// Roles were named too.
    pub(super) fn by_role(self, by_role: bool) -> Self {
        Self { by_role, ..self }
    }

    pub(super) fn session() -> Self {
        Self { is_session: true, ..Self::uids(None) }
    }

    pub(super) fn written(&self, dialect: Dialect) -> String {
        let command = Command::ByPattern.name();
        let patterns = match &self.who {
            _ if self.is_session => self.placeholder(dialect),
            Some(who) => who.iter().map(|one| uid(one, dialect)).collect::<Vec<_>>().join(", "),
            None => self.placeholder(dialect),
        };
        let command = match dialect {
            Dialect::Mongosh => format!("db.adminCommand({{ {command}: [{patterns}] }})"),
            Dialect::Json => format!("{{\"{command}\": [{patterns}]}}"),
            Dialect::Python => format!("client.admin.command(\"{command}\", [{patterns}])"),
        };
        let how = match (&self.who, self.is_session) {
            (Some(_), _) | (None, true) => "",
            (None, false) => "\nUID: printf %s 'USER@DB' | openssl dgst -sha256 -binary | base64",
        };
        let role = match self.by_role {
            true => "\nno pattern selects by role: name each user that has it",
            false => "",
        };
        format!("{command}{how}{role}")
    }

    fn placeholder(&self, dialect: Dialect) -> String {
        match (dialect, self.is_session) {
            (Dialect::Mongosh, false) => "{ uid: BinData(0, \"UID\") }".to_owned(),
            (Dialect::Json, false) => binary("UID"),
            (Dialect::Python, false) => "{\"uid\": base64.b64decode(\"UID\")}".to_owned(),
            (Dialect::Mongosh, true) => "{ lsid: { id: UUID(\"ID\"), uid: BinData(0, \"UID\") } }".to_owned(),
            (Dialect::Json, true) => "{\"lsid\": {\"id\": {\"$uuid\": \"ID\"}, \"uid\": {\"$binary\": \
                {\"base64\": \"UID\", \"subType\": \"00\"}}}}"
                .to_owned(),
            (Dialect::Python, true) => {
                "{\"lsid\": {\"id\": Binary.from_uuid(UUID(\"ID\")), \"uid\": base64.b64decode(\"UID\")}}"
                    .to_owned()
            }
        }
    }
}

fn uid(who: &Principal, dialect: Dialect) -> String {
    let digest = who.digest();
    match dialect {
        Dialect::Mongosh => {
            format!("{{ uid: BinData(0, \"{}\") }}", BASE64_STANDARD.encode(digest.as_bytes()))
        }
        Dialect::Json => binary(&BASE64_STANDARD.encode(digest.as_bytes())),
        Dialect::Python => format!("{{\"uid\": bytes.fromhex(\"{digest}\")}}"),
    }
}

fn binary(base64: &str) -> String {
    format!("{{\"uid\": {{\"$binary\": {{\"base64\": \"{base64}\", \"subType\": \"00\"}}}}}}")
}
