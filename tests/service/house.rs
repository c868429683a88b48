//! One responder to be tested: its topics, its configuration, its process.

use std::cell::Cell;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use severance::lab::{Credentials, Guarded, LabDir, ReplicaSet, Signal};
use uuid::Uuid;

use crate::support::responder::account;
use crate::support::schemas::assert_valid;
use crate::support::topic::{self, Raw, Topic};
use crate::support::{Kafka, block_on, kafka, replica_set};

/// For anything that takes moments on a machine that is not busy.
pub const SOON: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(10);

/// What a test chooses; everything else is as it comes.
pub struct Plan {
    pub partitions: i32,
    /// The entries of `kafka.topics`; `{topic}` is the test's own.
    pub topics: String,
    /// More lines of `kafka`, with two blanks before them.
    pub kafka: String,
    /// More entries of `kafka.properties`, each with a comma before it.
    pub properties: String,
    /// What stands in the file that `clusters[0].uri` names.
    pub uri: Option<String>,
    /// More lines of `clusters[0]`, with four blanks before them.
    pub cluster: String,
    /// More sections.
    pub more: String,
    /// The topics' own settings: of outcomes, of dead letters.
    pub settings: [&'static [(&'static str, &'static str)]; 2],
    /// With topics for unfinished work; `state` has as many partitions as there are.
    pub jobs: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            partitions: 1,
            topics: "    - { name: {topic}, accept_types: ['io.severance.*'] }\n".to_owned(),
            kafka: String::new(),
            properties: String::new(),
            uri: None,
            cluster: String::new(),
            more: String::new(),
            settings: [&[], &[]],
            jobs: false,
        }
    }
}

/// Its topics exist.
pub struct House<'k> {
    pub kafka: &'k Kafka,
    pub events: String,
    pub outcomes: String,
    pub dead_letters: String,
    /// There where the plan has `jobs`, as is `commands`.
    pub state: String,
    pub commands: String,
    pub group: String,
    folder: LabDir,
    started: Cell<usize>,
}

impl House<'static> {
    /// Beside the others on the shared broker and the shared replica set.
    pub fn new(name: &str, plan: Plan) -> Self {
        Self::on(kafka(), name, plan)
    }
}

impl<'k> House<'k> {
    pub fn on(kafka: &'k Kafka, name: &str, plan: Plan) -> Self {
        let [events, outcomes, dead_letters, state, commands] =
            ["events", "outcomes", "dead-letters", "state", "commands"]
                .map(|topic| format!("{name}.{topic}"));
        kafka.create_topics(&[
            (&events, plan.partitions, &[("max.message.bytes", "2000000")]),
            (&outcomes, 1, plan.settings[0]),
            (&dead_letters, 1, plan.settings[1]),
        ]);
        let mut lines = plan.kafka;
        if plan.jobs {
            kafka.create_topics(&[(&state, plan.partitions, &STATE), (&commands, 1, &COMMANDS)]);
            lines.push_str(&format!("  state: {state}\n  commands: {commands}\n"));
        }
        let folder = LabDir::new().expect("a temporary folder can be made");
        let text = format!(
            "kafka:\n  properties: {{ bootstrap.servers: '{}', group.id: {name}{} }}\n  topics:\n{}  outcomes: {outcomes}\n  dead_letters: {dead_letters}\n{}\
             listen: null\nclusters:\n  - name: lab\n    uri: {{ file: uri }}\n{}{}",
            kafka.bootstrap(),
            plan.properties,
            plan.topics.replace("{topic}", &events),
            lines,
            plan.cluster,
            plan.more,
        );
        fs::write(folder.path().join("severance.yaml"), text).expect("the folder is ours");
        let uri = plan.uri.unwrap_or_else(|| replica_set().uri(responder()));
        fs::write(folder.path().join("uri"), uri).expect("the folder is ours");
        let group = name.to_owned();
        Self { kafka, events, outcomes, dead_letters, state, commands, group, folder, started: Cell::new(0) }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("severance.yaml")
    }

    /// `severance run`, with nothing more in its environment than a test's own.
    pub fn start(&self) -> Service {
        self.start_with(|_| {})
    }

    pub fn start_with(&self, prepare: impl FnOnce(&mut Command)) -> Service {
        let number = self.started.replace(self.started.get() + 1);
        let log = self.path().join(format!("run-{number}.log"));
        // Its watcher ignores Ctrl-C, and a child inherits that.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", PROGRAM, "run", "--config"]).arg(self.config());
        command.env_remove("RUST_LOG");
        prepare(&mut command);
        let process = Guarded::start(&command, &log).expect("a watcher can be started");
        Service { process, log }
    }

    /// Puts records on the first partition of its topic.
    pub fn put(&self, records: &[Raw]) {
        self.put_on(0, records);
    }

    pub fn put_on(&self, partition: i32, records: &[Raw]) {
        topic::put(&self.kafka.bootstrap(), &self.events, partition, records);
    }

    /// Events about so many people whom nobody knows, and their ids, which no other test has.
    pub fn stream(&self, range: Range<usize>) -> (Vec<String>, Vec<Raw>) {
        let id = |number| format!("{}-{number}", self.group);
        range.map(|number| (id(number), offboarded(&id(number), &id(number)))).unzip()
    }

    /// Reads what it says from the first outcome on.
    pub fn outcomes(&self) -> Topic {
        Topic::open(&self.kafka.bootstrap(), &self.outcomes)
    }

    pub fn dead_letters(&self) -> Topic {
        Topic::open(&self.kafka.bootstrap(), &self.dead_letters)
    }

    /// What the group has noted beside the offset from which it goes on.
    pub fn noted(&self, partition: i32) -> String {
        topic::noted(&self.kafka.bootstrap(), &self.group, &self.events, partition)
    }

    /// The offset from which the group goes on.
    pub fn committed(&self) -> Option<i64> {
        topic::committed(&self.kafka.bootstrap(), &self.group, &self.events, 0)
    }
}

const STATE: [(&str, &str); 2] = [("cleanup.policy", "compact"), ("message.timestamp.type", "LogAppendTime")];
/// Eight days: longer than any event is accepted by default.
const COMMANDS: [(&str, &str); 2] =
    [("retention.ms", "691200000"), ("message.timestamp.type", "LogAppendTime")];

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_severance");

/// The account of all responders on the shared replica set.
pub fn responder() -> &'static Credentials {
    static ACCOUNT: OnceLock<Credentials> = OnceLock::new();
    ACCOUNT.get_or_init(|| block_on(account(replica_set(), "severance")))
}

/// A user who may work, of a name that no other test has.
pub async fn user(set: &ReplicaSet, name: &str, db: &str) -> Credentials {
    set.create_user(name, db, json!([{"role": "readWriteAnyDatabase", "db": "admin"}])).await.expect("a user")
}

/// A running `severance run`; it ends with the test, whatever becomes of that.
pub struct Service {
    process: Guarded,
    log: PathBuf,
}

impl Service {
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether its log has a line that holds all of these by now.
    pub fn has_said(&self, words: &[&str]) -> bool {
        self.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log has a line that holds all of these.
    pub fn says(&self, words: &[&str]) -> String {
        let end = Instant::now() + SOON;
        loop {
            // The exit first: what it wrote last is then complete.
            let exit = self.process.exit().expect("the watcher lives as long as we do");
            let log = self.log();
            if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
                return line.to_owned();
            }
            assert!(exit.is_none(), "it ended with {exit:?} without saying {words:?}:\n{log}");
            assert!(Instant::now() < end, "it does not say {words:?}:\n{log}");
            std::thread::sleep(LOOK);
        }
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal).expect("the watcher lives as long as we do");
    }

    /// As the machine's end would.
    pub fn kill(self) {
        self.signal(Signal::Kill);
        self.exit(SOON);
    }

    /// Its exit code, within this time.
    pub fn exit(&self, limit: Duration) -> i32 {
        let exit = self.process.wait(limit).expect("the watcher lives as long as we do");
        exit.unwrap_or_else(|| panic!("it still runs after {} s:\n{}", limit.as_secs(), self.log()))
    }

    /// Lets it drain.
    pub fn stop(self) -> String {
        self.signal(Signal::Terminate);
        assert_eq!(self.exit(SOON), 0, "{}", self.log());
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}

/// One of our own events, of a source that every test has.
pub fn event(kind: &str, id: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": SOURCE, "type": format!("io.severance.{kind}.v1"),
        "datacontenttype": "application/json", "data": data,
    })
}

pub const SOURCE: &str = "/test";

/// One who left, for `user@admin`.
pub fn offboarded(id: &str, user: &str) -> Raw {
    structured(&event("account.offboarded", id, json!({"principals": [{"user": user, "db": "admin"}]})))
}

/// An event that no rule answers: it goes the whole way and cuts nobody.
pub fn unheard(id: &str) -> Raw {
    structured(&event("test.unheard", id, json!({})))
}

pub fn structured(event: &Value) -> Raw {
    Raw::new(event.to_string(), &[("content-type", "application/cloudevents+json")])
}

/// An outcome off its topic, after a look at everything that every outcome is held to.
pub fn outcome(raw: &Raw) -> Value {
    let envelope: Value = serde_json::from_slice(raw.value.as_deref().expect("a value")).expect("JSON");
    assert_valid("envelope", &envelope);
    assert_valid("termination.v1", &envelope["data"]);
    let content_type = raw.header("content-type").expect("structured mode");
    assert!(content_type.starts_with("application/cloudevents+json"), "{content_type}");
    let data = &envelope["data"];
    let case = data["case_id"].as_str().expect("a case");
    assert_eq!(raw.key.as_deref(), Some(case.as_bytes()), "the key is the case");
    assert_eq!(envelope["subject"], case);
    assert_eq!(envelope["type"], "io.severance.termination.v1");
    if let (Some(source), Some(id), true) =
        (data["trigger"]["source"].as_str(), data["trigger"]["id"].as_str(), data["final"] == true)
    {
        assert_eq!(case, case_of(source, id).to_string(), "{envelope:#}");
        let seq = data["seq"].to_string();
        let wanted = Uuid::new_v5(&case_of(source, id), seq.as_bytes()).to_string();
        assert_eq!(envelope["id"], wanted, "{envelope:#}");
    }
    envelope
}

/// The recipe as the contract has it, not the program's code.
pub fn case_of(source: &str, id: &str) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://severance.io/case");
    let length = u32::try_from(source.len()).expect("a short source").to_be_bytes();
    Uuid::new_v5(&namespace, &[&length, source.as_bytes(), id.as_bytes()].concat())
}

/// Static membership: who comes back after a crash need not wait for the session to end.
pub fn at_home(more: &str) -> Plan {
    // A missing topic is an error after this time, not after 3 s.
    let properties = ", topic.metadata.propagation.max.ms: '500'".to_owned();
    Plan { kafka: "  instance: one\n".to_owned(), properties, more: more.to_owned(), ..Plan::default() }
}

/// The ids of the triggers that these outcomes are about, in order.
pub fn triggers(raws: &[Raw]) -> Vec<String> {
    let id = |raw: &Raw| outcome(raw)["data"]["trigger"]["id"].as_str().map(str::to_owned);
    raws.iter().filter_map(id).collect()
}

/// What an outcome is known by.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: String,
    pub trigger: String,
    pub is_final: bool,
}

impl Seen {
    pub fn of(envelope: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            id: text(&envelope["id"]),
            trigger: text(&envelope["data"]["trigger"]["id"]),
            is_final: envelope["data"]["final"] == true,
        }
    }
}
