//! Passwords made up for one lab, and the accounts they belong to.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// An account in a lab and how it proves itself.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The authentication database; `$external` for a certificate.
    pub db: String,
    /// What proves it.
    pub proof: Proof,
}

/// How an account proves itself.
#[derive(Debug, Clone)]
pub enum Proof {
    /// With a password.
    Password(SecretString),
    /// With the certificate and key in this PEM file.
    Certificate(PathBuf),
}

impl Credentials {
    /// An account with a random password.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn with_random_password(user: &str, db: &str) -> io::Result<Self> {
        Ok(Self { user: user.to_owned(), db: db.to_owned(), proof: Proof::Password(random_word(24)?.into()) })
    }

    /// `user:password@` of a connection string; nothing for a certificate.
    pub(super) fn uri_user(&self) -> String {
        match &self.proof {
            Proof::Password(password) => {
                format!("{}:{}@", percent_encode(&self.user), percent_encode(password.expose_secret()))
            }
            Proof::Certificate(_) => String::new(),
        }
    }

    /// The connection string options that belong to the account.
    pub(super) fn uri_options(&self) -> String {
        match &self.proof {
            Proof::Password(_) => format!("authSource={}", percent_encode(&self.db)),
            Proof::Certificate(file) => format!(
                "authSource=%24external&authMechanism=MONGODB-X509&tlsCertificateKeyFile={}",
                percent_encode(&file.to_string_lossy())
            ),
        }
    }
}

/// Hexadecimal text of so many random bytes.
pub(super) fn random_word(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().fold(String::new(), |mut word, byte| {
        // Writing to a string cannot fail.
        let _ = write!(word, "{byte:02x}");
        word
    }))
}

pub(super) fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_string_cannot_hold_is_encoded() {
        assert_eq!(percent_encode("a@b:c/d é~"), "a%40b%3Ac%2Fd%20%C3%A9~");
    }

    #[test]
    fn no_two_passwords_are_alike() {
        assert_ne!(random_word(24).unwrap(), random_word(24).unwrap());
    }
}
