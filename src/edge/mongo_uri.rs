//! What a cluster's URI says of our account, and how it is never shown.

use std::sync::Arc;

use mongodb::{
    error::Error,
    options::{AuthMechanism, ClientOptions, ConnectionString, Credential},
};
use secrecy::ExposeSecret as _;

use super::mongo_error::words;
use crate::{config, principal::Principal};

/// Why a cluster cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[error("clusters.{cluster}: {message}")]
pub struct InvalidCluster {
    cluster: Arc<str>,
    message: String,
}

impl InvalidCluster {
    /// Something else than the URI.
    pub(super) fn new(config: &config::Cluster, message: String) -> Self {
        Self { cluster: config.name.clone(), message }
    }

    /// What the driver says of the URI; it may quote it, and with it the password.
    pub(super) fn uri(config: &config::Cluster, error: &Error) -> Self {
        Self {
            cluster: config.name.clone(),
            message: format!("uri: {}", without_secrets(&words(error), config)),
        }
    }
}

/// Options of a URI that are secret.
const SECRET_OPTIONS: [&str; 3] = ["aws_session_token", "tlscertificatekeyfilepassword", "proxypassword"];

/// The account that the URI names; x.509 may leave it to the certificate.
pub(super) fn named_account(options: &ClientOptions) -> Option<Principal> {
    account(options.credential.as_ref(), options.default_database.as_ref())
}

/// The same without asking DNS, of which `mongodb+srv` addresses may learn another `authSource`.
pub(super) fn written_account(config: &config::Cluster) -> Option<Principal> {
    let uri = ConnectionString::parse(config.uri.expose_secret()).ok()?;
    account(uri.credential.as_ref(), uri.default_database.as_ref())
}

fn account(credential: Option<&Credential>, default_database: Option<&String>) -> Option<Principal> {
    let credential = credential?;
    let user = credential.username.as_deref()?;
    let external = matches!(
        credential.mechanism,
        Some(AuthMechanism::MongoDbX509 | AuthMechanism::Plain | AuthMechanism::MongoDbOidc)
    );
    let db = match (&credential.source, default_database) {
        _ if external => "$external",
        (Some(source), _) => source,
        (None, Some(database)) => database,
        (None, None) => "admin",
    };
    Principal::new(user, db).ok()
}

/// The text without the URI and without any part of it that is secret. Where a secret has a character
/// that divides the URI, the driver takes its parts for something else and quotes them: then no word
/// of it is shown.
pub(super) fn without_secrets(text: &str, config: &config::Cluster) -> String {
    let uri = config.uri.expose_secret();
    let userinfo =
        uri.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(userinfo, _)| userinfo);
    let divided = userinfo.is_some_and(|userinfo| userinfo.contains(['/', '?', '#', '[', ']', '@']));
    let lowercase = uri.to_ascii_lowercase();
    if divided || SECRET_OPTIONS.iter().any(|option| lowercase.contains(option)) {
        return "cannot be read; a name or password in it writes each of `@ : / ? # [ ] & %` as %40 %3A %2F %3F %23 %5B %5D %26 %25"
            .to_owned();
    }
    let password = userinfo.and_then(|userinfo| userinfo.split_once(':')).map(|(_, password)| password);
    [Some(uri), userinfo, password]
        .into_iter()
        .flatten()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_secret_that_the_driver_takes_for_something_else_is_not_shown() {
        for uri in [
            "mongodb://u:hunter2/x@h:1/",
            "mongodb://u:hunter2?x@h:1/",
            "mongodb://u:hun@ter2/x@h:1/",
            "mongodb://u:x#/hunter2@h:1/",
            "mongodb://u:p@h:1/?tlsCertificateKeyFilePassword=a&hunter2",
        ] {
            let config = config::Cluster {
                name: "c".into(),
                labels: BTreeMap::new(),
                uri: uri.to_owned().into(),
                members: BTreeMap::new(),
            };
            let Err(error) = ConnectionString::parse(uri) else { continue };
            let shown = InvalidCluster::uri(&config, &error).to_string();
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
        }
    }

    #[test]
    fn the_account_is_the_one_that_the_address_names() {
        for (uri, account) in [
            ("mongodb://severance:p@h:1/", Some("severance@admin")),
            ("mongodb://severance:p@h:1/ops", Some("severance@ops")),
            ("mongodb://severance:p@h:1/ops?authSource=users", Some("severance@users")),
            (
                "mongodb://CN%3Dseverance@h:1/?authMechanism=MONGODB-X509&tls=true",
                Some("CN=severance@$external"),
            ),
            ("mongodb://h:1/?authMechanism=MONGODB-X509&tls=true", None),
            ("mongodb+srv://severance:p@cluster.example.com/", Some("severance@admin")),
            ("mongodb://h:1/", None),
        ] {
            let config = config::Cluster {
                name: "c".into(),
                labels: BTreeMap::new(),
                uri: uri.to_owned().into(),
                members: BTreeMap::new(),
            };
            assert_eq!(
                written_account(&config).map(|account| account.to_string()).as_deref(),
                account,
                "{uri}"
            );
        }
    }

    #[test]
    fn no_part_of_the_uri_that_is_secret_is_shown() {
        let config = config::Cluster {
            name: "c".into(),
            labels: BTreeMap::new(),
            uri: "mongodb://u:p%40ss@h:1/?bogus=1".to_owned().into(),
            members: BTreeMap::new(),
        };
        let shown =
            without_secrets("bad option in mongodb://u:p%40ss@h:1/?bogus=1, password p%40ss", &config);
        assert_eq!(shown, "bad option in ***, password ***");
    }
}
