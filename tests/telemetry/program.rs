//! The program as an operator starts it, with a configuration, an environment and a log of its own.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use severance::{
    config::Config,
    edge::{
        kafka_reader::{Reader, Start},
        kafka_send::Sender,
    },
    lab::{Guarded, ReplicaSet, Signal},
    report::Encoded,
};
use tempfile::TempDir;

use crate::support::{
    Kafka, block_on, eventually,
    responder::{account, config_on},
};

/// How long anything here may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running `severance run`; it ends when this is dropped.
pub struct Program {
    pub process: Guarded,
    pub address: SocketAddr,
    folder: TempDir,
}

/// What a program is started with. The topics are made when this is.
pub struct Setup {
    /// For whoever publishes and reads outcomes.
    pub config: Config,
    sender: Sender,
    prefix: String,
    uri: String,
    bootstrap: String,
}

impl Setup {
    /// Topics and an account of this name.
    pub fn new(broker: &Kafka, set: &ReplicaSet, prefix: &str) -> Self {
        for topic in ["triggers", "outcomes", "dead"] {
            broker.create_topic(&format!("{prefix}.{topic}"), 1, &[]);
        }
        let uri = set.uri(&block_on(account(set, prefix)));
        let bootstrap = broker.bootstrap();
        let config = config_on(&bootstrap, prefix, &uri, "");
        let sender = Sender::new(&config.kafka).expect("a sender");
        Self { config, sender, prefix: prefix.to_owned(), uri, bootstrap }
    }

    /// Starts the program; `extra` stands at the end of its configuration.
    pub fn start(&self, extra: &str, variables: &[(&str, &str)]) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address();
        let Self { prefix, uri, bootstrap, .. } = self;
        let text = format!(
            "kafka:\n  properties: {{bootstrap.servers: '{bootstrap}', group.id: {prefix}}}\n  \
             topics: [{{name: {prefix}.triggers}}]\n  outcomes: {prefix}.outcomes\n  dead_letters: {prefix}.dead\n\
             clusters:\n  - name: lab\n    uri: {{file: uri}}\nlisten: '{address}'\n{extra}"
        );
        fs::write(folder.path().join("uri"), uri).expect("a file");
        fs::write(folder.path().join("severance.yaml"), text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_severance"));
        command.args(["--log", "json", "run", "--config"]).arg(folder.path().join("severance.yaml"));
        command.envs(variables.iter().copied());
        let process = Guarded::start(&command, &folder.path().join("log")).expect("it starts");
        Program { process, address, folder }
    }

    /// Publishes these events, in one request.
    pub fn publish(&self, events: &[Value]) {
        let encoded = |event: &Value| Encoded {
            key: None,
            value: Some(event.to_string().into_bytes()),
            headers: Vec::new(),
            partition: None,
        };
        let topic: Arc<str> = format!("{}.triggers", self.prefix).into();
        let records: Vec<_> = events.iter().map(|event| (topic.clone(), encoded(event))).collect();
        for answer in self.sender.send(&records, PATIENCE) {
            answer.expect("published");
        }
    }

    /// The first outcomes on the topic, whole events.
    pub fn outcomes(&self, count: usize) -> Vec<Value> {
        let mut next = self.reader();
        (0..count).map(|_| next()).collect()
    }

    /// Gives outcome after outcome.
    pub fn reader(&self) -> impl FnMut() -> Value {
        let mut reader = Reader::open(&self.config.kafka, &self.config.kafka.outcomes, Start::Beginning)
            .expect("a reader");
        move || {
            eventually("an outcome", PATIENCE, || {
                let record = reader.next(Duration::from_millis(100)).expect("a record")?;
                Some(serde_json::from_slice(&record.value.expect("a value")).expect("JSON"))
            })
        }
    }
}

impl Program {
    /// What it answers at `path`.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits until `/readyz` says this status, and gives what it says.
    pub fn wait_ready(&self, status: u16) -> Value {
        eventually(&format!("/readyz says {status}; the log:\n{}", self.log()), PATIENCE, || {
            let (told, body) = self.get("/readyz")?;
            (told == status).then(|| serde_json::from_str(&body).unwrap())
        })
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The lines of the log that have this message, as JSON.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// Lets it drain; gives its exit code.
    pub fn stop(&self) -> i32 {
        self.process.signal(Signal::Terminate).expect("the watcher lives as long as we do");
        let exit = self.process.wait(PATIENCE).expect("the watcher lives as long as we do");
        exit.unwrap_or_else(|| panic!("it does not end; the log:\n{}", self.log()))
    }

    /// What `severance health` says of it.
    pub fn probe(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_severance"));
        command.arg("health").arg("--config").arg(self.config()).args(arguments);
        command.output().expect("it runs")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("severance.yaml")
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
