//! Certificates for a lab with TLS, made with the `openssl` program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::secret::{Credentials, Proof};

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The program is missing.
    #[error("openssl is missing; on Debian and Ubuntu: apt-get install openssl")]
    Missing,
    /// It failed.
    #[error("openssl: {0}")]
    Openssl(String),
    /// A file could not be written.
    #[error("writing certificates: {0}")]
    Io(#[from] io::Error),
}

/// A certificate authority for one lab, with a certificate for its servers.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes it in `folder`, which must be private.
    ///
    /// # Errors
    /// When `openssl` is missing or fails.
    pub fn create(folder: PathBuf) -> Result<Self, TlsError> {
        fs::create_dir_all(&folder)?;
        let authority = Self { folder };
        let mut request = authority.openssl(&["req", "-x509", "-newkey"]);
        // An elliptic curve key takes milliseconds to make, an RSA key seconds.
        request.args(["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]);
        request.args(["-subj", "/O=Severance Lab/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"]);
        run(&mut request)?;
        // `O` differs from the clients', or the server would take a client for a member of the cluster.
        authority.sign("server", "/O=Severance Lab/OU=servers/CN=127.0.0.1")?;
        Ok(authority)
    }

    /// The certificate that clients and servers trust.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The servers' certificate and key.
    #[must_use]
    pub fn server_file(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// A certificate for a client of this name, and the `$external` user that it belongs to.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn client(&self, name: &str) -> Result<Credentials, TlsError> {
        let file = self.sign(&format!("client-{name}"), &format!("/O=Severance Lab Clients/CN={name}"))?;
        Ok(Credentials {
            // The server spells a subject in the order of RFC 2253: the last part first.
            user: format!("CN={name},O=Severance Lab Clients"),
            db: "$external".to_owned(),
            proof: Proof::Certificate(file),
        })
    }

    fn sign(&self, file: &str, subject: &str) -> Result<PathBuf, TlsError> {
        let (key, certificate) = (format!("{file}.key"), format!("{file}.crt"));
        let mut request = self.openssl(&["req", "-x509", "-newkey"]);
        request.args(["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]);
        request.args(["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", subject]);
        request.args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
        request.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        request.args(["-keyout", &key, "-out", &certificate]);
        run(&mut request)?;
        let both = fs::read_to_string(self.folder.join(&certificate))?
            + &fs::read_to_string(self.folder.join(&key))?;
        let path = self.folder.join(format!("{file}.pem"));
        write_private(&path, &both)?;
        Ok(path)
    }

    fn openssl(&self, args: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(&self.folder).args(args);
        command
    }
}

/// Writes a file that only we can read, from its first byte on.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn run(command: &mut Command) -> Result<(), TlsError> {
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TlsError::Missing,
        _ => TlsError::Io(error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(TlsError::Openssl(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
