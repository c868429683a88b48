//! What a replica set is to be.

use std::path::Path;
use std::time::Duration;

use futures::future::try_join_all;

use super::ReplicaSet;
use crate::edge::mongo_lab::Admin;
use crate::lab::member::{Member, Spec};
use crate::lab::secret::{Credentials, random_word};
use crate::lab::standalone::find_mongod;
use crate::lab::tls::{Authority, write_private};
use crate::lab::{LabDir, LabError};

const NAME: &str = "lab";

/// What a replica set is to be.
#[derive(Debug, Clone)]
pub struct Builder {
    voting: usize,
    hidden: bool,
    failpoints: bool,
    tls: bool,
    quiesce: Duration,
    host: fn(usize, u16) -> String,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            voting: 3,
            hidden: false,
            failpoints: false,
            tls: false,
            quiesce: Duration::from_millis(100),
            host: |_, port| format!("127.0.0.1:{port}"),
            args: Vec::new(),
            env: Vec::new(),
        }
    }
}

impl Builder {
    /// So many voting members, at least one.
    #[must_use]
    pub fn voting(self, voting: usize) -> Self {
        Self { voting: voting.max(1), ..self }
    }

    /// One more member that is hidden: priority 0, no vote, absent from `hello.hosts`.
    #[must_use]
    pub fn hidden(self, hidden: bool) -> Self {
        Self { hidden, ..self }
    }

    /// `configureFailPoint` and other commands for tests.
    #[must_use]
    pub fn failpoints(self, failpoints: bool) -> Self {
        Self { failpoints, ..self }
    }

    /// TLS is required, and users can be certificates.
    #[must_use]
    pub fn tls(self, tls: bool) -> Self {
        Self { tls, ..self }
    }

    /// How long a terminated member goes on answering "shutdown in progress" before it ends: 100 ms unless
    /// told otherwise, while the server's own default is 15 s.
    #[must_use]
    pub fn quiesce(self, quiesce: Duration) -> Self {
        Self { quiesce, ..self }
    }

    /// What the configuration calls the member of this number and port; the members must be able to
    /// resolve it.
    #[must_use]
    pub fn host(self, host: fn(usize, u16) -> String) -> Self {
        Self { host, ..self }
    }

    /// One more argument for every `mongod`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// One more variable in the environment of every `mongod`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it. One member is writable and the others follow it when this returns, and root exists.
    ///
    /// # Errors
    /// When there is no `mongod`, or it does not start, or the set does not form in time.
    pub async fn start(self) -> Result<ReplicaSet, LabError> {
        let mongod = find_mongod().await?;
        let dir = LabDir::new().map_err(LabError::io("making a folder"))?;
        let tls = if self.tls { Some(Authority::create(dir.path().join("tls"))?) } else { None };
        let args = self.arguments(dir.path(), tls.as_ref())?;
        let spec = Spec { mongod, args, env: self.env.clone() };
        let size = self.voting + usize::from(self.hidden);
        let folder = |member: usize| dir.path().join(format!("member-{member}"));
        let starting = (0..size).map(|member| Member::start(spec.clone(), folder(member)));
        let members = try_join_all(starting).await?;
        let hosts: Vec<String> =
            members.iter().enumerate().map(|(number, member)| (self.host)(number, member.port())).collect();

        let root = Credentials::with_random_password("root", "admin")
            .map_err(LabError::io("making up a password"))?;
        let mut set = ReplicaSet {
            name: NAME.to_owned(),
            hidden: self.hidden.then_some(size - 1),
            admins: Vec::new(),
            members,
            hosts,
            root,
            tls,
            _dir: dir,
        };
        for member in 0..size {
            set.admins.push(Admin::connect(&set.member_uri(member, &set.root)).await?);
        }
        set.form(self.voting).await?;
        Ok(set)
    }

    fn arguments(&self, dir: &Path, tls: Option<&Authority>) -> Result<Vec<String>, LabError> {
        let key = random_word(48).map_err(LabError::io("making up a key"))?;
        let key_file = dir.join("key");
        write_private(&key_file, &key).map_err(LabError::io("writing the key file"))?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut args: Vec<String> =
            ["--replSet", NAME, "--oplogSize", "16", "--auth"].map(String::from).into();
        args.extend(["--keyFile".to_owned(), text(&key_file)]);
        if let Some(tls) = tls {
            args.extend(["--tlsMode".to_owned(), "requireTLS".to_owned()]);
            args.extend(["--tlsCertificateKeyFile".to_owned(), text(&tls.server_file())]);
            args.extend(["--tlsCAFile".to_owned(), text(&tls.file())]);
            // Users with passwords have none.
            args.push("--tlsAllowConnectionsWithoutCertificates".to_owned());
        }
        let mut set = |parameter: String| args.extend(["--setParameter".to_owned(), parameter]);
        let quiesce = self.quiesce.as_millis();
        set(format!("shutdownTimeoutMillisForSignaledShutdown={quiesce}"));
        if self.failpoints {
            set("enableTestCommands=1".to_owned());
        }
        args.extend(self.args.iter().cloned());
        Ok(args)
    }
}
