//! What a replica set is to be, and how it comes to be.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::control::LIMIT;
use super::{ReplicaSet, everywhere, tls_options};
use crate::edge::mongo_lab::Admin;
use crate::lab::member::{Member, Spec};
use crate::lab::secret::{Credentials, Proof, random_word};
use crate::lab::standalone::find_mongod;
use crate::lab::tls::{Authority, write_private};
use crate::lab::{LabDir, LabError};

const NAME: &str = "lab";
/// How often a member's state is looked at.
const LOOK: Duration = Duration::from_millis(20);

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
        let tls = match self.tls {
            true => Some(Authority::create(dir.path().join("tls"))?),
            false => None,
        };
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
        let options = tls_options(set.tls.as_ref());
        let uri = format!("mongodb://{}/?directConnection=true{options}", set.address(0));
        self.form(&set.admins[0], &Admin::connect(&uri).await?, &set.hosts, &set.root).await?;
        set.admins[0].seed(everywhere(size)).await?;
        set.wait_healthy().await?;
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
        if self.failpoints {
            args.extend(["--setParameter".to_owned(), "enableTestCommands=1".to_owned()]);
        }
        let quiesce = self.quiesce.as_millis();
        args.push("--setParameter".to_owned());
        args.push(format!("shutdownTimeoutMillisForSignaledShutdown={quiesce}"));
        args.extend(self.args.iter().cloned());
        Ok(args)
    }

    /// One member alone elects itself at once; all together would first wait for an election to fall due.
    /// The first user goes through the localhost exception, which ends with it.
    async fn form(
        &self,
        first: &Admin,
        anybody: &Admin,
        hosts: &[String],
        root: &Credentials,
    ) -> Result<(), LabError> {
        let none = || json!({});
        anybody.run("admin", "replSetInitiate", self.config(1, &hosts[..1]), none()).await?;
        wait_writable(anybody).await?;
        if let Proof::Password(password) = &root.proof {
            let fields = json!({"pwd": password.expose_secret(), "roles": ["root"]});
            anybody.run(&root.db, "createUser", json!(root.user), fields).await?;
        }
        if hosts.len() > 1 {
            // By force, since more than one voting member is added. It asks for a higher version.
            let config = self.config(2, hosts);
            first.run("admin", "replSetReconfig", config, json!({"force": true})).await?;
        }
        Ok(())
    }

    fn config(&self, version: u32, hosts: &[String]) -> Value {
        let members: Vec<Value> = hosts
            .iter()
            .enumerate()
            .map(|(number, host)| {
                if number < self.voting {
                    json!({"_id": number, "host": host, "priority": if number == 0 { 2 } else { 1 }})
                } else {
                    json!({"_id": number, "host": host, "priority": 0, "hidden": true, "votes": 0})
                }
            })
            .collect();
        json!({"_id": NAME, "version": version, "members": members, "settings": {
            "electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500,
        }})
    }
}

async fn wait_writable(admin: &Admin) -> Result<(), LabError> {
    let end = Instant::now() + LIMIT;
    loop {
        let hello = admin.run("admin", "hello", json!(1), json!({})).await?;
        if hello["isWritablePrimary"] == true {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(LabError::TooSlow { what: format!("a primary, but: {hello}"), waited: LIMIT });
        }
        tokio::time::sleep(LOOK).await;
    }
}
