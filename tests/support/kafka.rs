//! A real Apache Kafka: one broker that is its own controller.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use severance::lab::{Guarded, LabDir, Signal, cache};

/// Names a folder whose `libs` holds the broker's jars.
const VARIABLE: &str = "SEVERANCE_KAFKA_HOME";
const POM: &str = include_str!("kafka/pom.xml");
const CACHED: &str = "kafka-4.3.1";
/// The oldest Java that this Kafka runs on.
const JAVA: u32 = 17;
/// Any 22 characters of base64 that do not begin with `-`, which the tool would read as an option.
const CLUSTER_ID: &str = "SeveranceTestCluster00";
/// 1.5 to 3 s is usual; a loaded machine gets more.
const START_LIMIT: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(10);
/// How many pairs of ports are tried.
const TRIES: usize = 3;
/// Small heap, the quickest start: brokers here live for seconds.
const JVM: [&str; 4] = ["-Xms96m", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// A topic's own settings, by name.
type Settings<'a> = &'a [(&'a str, &'a str)];

/// A running broker; it ends when this is dropped, and when this process ends.
pub struct Kafka {
    broker: Broker,
    /// Another one after each restart.
    process: Mutex<Guarded>,
    admin: OnceLock<AdminClient<DefaultClientContext>>,
    _dir: LabDir,
}

struct Broker {
    libs: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Kafka {
    /// Starts a broker; it is ready when this returns. Panics with what is missing where it cannot be had.
    pub fn start() -> Self {
        check_java();
        let libs = libs(|name| std::env::var_os(name));
        let dir = LabDir::new().expect("a temporary folder can be made");
        let mut tries = 1;
        loop {
            let folder = dir.path().join(format!("kafka-{tries}"));
            let broker = Broker::prepare(libs.clone(), folder);
            match broker.launch() {
                Ok(process) => {
                    let process = Mutex::new(process);
                    return Self { broker, process, admin: OnceLock::new(), _dir: dir };
                }
                // Somebody took a port between our choice and the broker's bind.
                Err(log) if log.contains("BindException") && tries < TRIES => tries += 1,
                Err(log) => panic!("Kafka did not start; it said:\n{log}"),
            }
        }
    }

    /// `bootstrap.servers` for it.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.broker.port)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.with(Guarded::pid)
    }

    /// Its log.
    pub fn log_path(&self) -> PathBuf {
        self.broker.log()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.with(|process| process.signal(signal).expect("the watcher lives as long as we do"));
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&self) {
        self.end(Signal::Kill);
    }

    /// Lets it shut down and waits until it is gone.
    pub fn terminate(&self) {
        self.end(Signal::Terminate);
    }

    /// Starts it again with the same port and data; one that still runs is killed first.
    pub fn restart(&self) {
        self.kill();
        let process = self.broker.launch();
        let process = process.unwrap_or_else(|log| panic!("Kafka did not start again; it said:\n{log}"));
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
    }

    /// Creates a topic; `settings` are the topic's own, such as `("cleanup.policy", "compact")`.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: Settings<'_>) {
        self.create_topics(&[(name, partitions, settings)]);
    }

    /// The same for several at once.
    pub fn create_topics(&self, topics: &[(&str, i32, Settings<'_>)]) {
        let topics: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions, settings)| {
                let topic = NewTopic::new(name, *partitions, TopicReplication::Fixed(1));
                settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        let results = super::block_on(self.admin().create_topics(&topics, &AdminOptions::new()));
        for result in results.expect("the broker answers") {
            result.unwrap_or_else(|(name, code)| panic!("topic {name}: {code}"));
        }
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) {
        let results = super::block_on(self.admin().delete_topics(&[name], &AdminOptions::new()));
        for result in results.expect("the broker answers") {
            result.unwrap_or_else(|(name, code)| panic!("topic {name}: {code}"));
        }
    }

    fn admin(&self) -> &AdminClient<DefaultClientContext> {
        self.admin.get_or_init(|| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", self.bootstrap()).set("reconnect.backoff.max.ms", "500");
            config.create().expect("the configuration is right")
        })
    }

    fn end(&self, signal: Signal) {
        self.signal(signal);
        let exit =
            self.with(|process| process.wait(START_LIMIT)).expect("the watcher lives as long as we do");
        assert!(exit.is_some(), "Kafka did not end after {signal}");
    }

    fn with<T>(&self, act: impl FnOnce(&Guarded) -> T) -> T {
        act(&self.process.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Broker {
    /// Writes the configuration and formats the storage.
    fn prepare(libs: PathBuf, folder: PathBuf) -> Self {
        let (port, controller) = free_ports().expect("loopback has free ports");
        fs::create_dir_all(&folder).expect("the folder is ours");
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).expect("the folder is ours");
        };
        write("server.properties", &properties(port, controller, &folder.join("data")));
        write("log4j2.properties", LOG);
        let broker = Self { libs, folder, port };
        let mut format = broker.java("kafka.tools.StorageTool");
        format.args(["format", "--standalone", "-t", CLUSTER_ID, "-c"]);
        let output = format.arg(broker.folder.join("server.properties")).output().expect("java was there");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "Kafka's storage could not be formatted:\n{said}");
        broker
    }

    /// Ready, or its log when it ended before.
    fn launch(&self) -> Result<Guarded, String> {
        let before = fs::read(self.log()).map_or(0, |log| log.len());
        let mut command = self.java("kafka.Kafka");
        command.arg(self.folder.join("server.properties"));
        let process = Guarded::start(&command, &self.log()).expect("a watcher can be started");
        let end = Instant::now() + START_LIMIT;
        loop {
            // The exit first: what it wrote last is then complete.
            let exit = process.exit().expect("the watcher lives as long as we do");
            let log = fs::read(self.log()).unwrap_or_default();
            let log = String::from_utf8_lossy(log.get(before..).unwrap_or_default());
            if exit.is_some() {
                return Err(log.into_owned());
            }
            if log.contains("Kafka Server started") {
                return Ok(process);
            }
            assert!(Instant::now() < end, "Kafka is not ready after {} s:\n{log}", START_LIMIT.as_secs());
            std::thread::sleep(LOOK);
        }
    }

    fn java(&self, main: &str) -> Command {
        let mut command = java();
        command.args(JVM).arg("-cp").arg(self.libs.join("*"));
        let log = self.folder.join("log4j2.properties");
        command.arg(format!("-Dlog4j2.configurationFile={}", log.display())).arg(main);
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }
}

const LOG: &str = "
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
";

/// One broker with everything small, nothing replicated, and short waits.
fn properties(port: u16, controller: u16, data: &Path) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
log.segment.bytes=16777216
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
",
        data = data.display()
    )
}

/// The jars: where the variable says, else in the cache, else fetched.
pub fn libs(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(home) = variable(VARIABLE).filter(|home| !home.is_empty()) {
        let libs = Path::new(&home).join("libs");
        let is_jar = |entry: io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "jar"))
        };
        let found = fs::read_dir(&libs).is_ok_and(|mut entries| entries.any(is_jar));
        assert!(found, "{VARIABLE} is set to {home:?}, which has no libs/*.jar");
        return libs;
    }
    let cache = cache::folder(variable).unwrap_or_else(|| missing("neither XDG_CACHE_HOME nor HOME is set"));
    let libs = cache.join(CACHED).join("libs");
    if !libs.is_dir() {
        fetch(&libs);
    }
    libs
}

/// Into a folder beside the target, which is then moved into place: whoever looks sees nothing or all of
/// it. Of two who fetch at once, the second finds the first one's jars.
fn fetch(libs: &Path) {
    let folder = libs.parent().expect("libs has a parent");
    fs::create_dir_all(folder).unwrap_or_else(|error| missing(&format!("{}: {error}", folder.display())));
    let work = LabDir::new_in(folder).unwrap_or_else(|error| missing(&error.to_string()));
    let pom = work.path().join("pom.xml");
    let fetched = work.path().join("libs");
    fs::write(&pom, POM).expect("the folder is ours");
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", fetched.display())).arg("-DincludeScope=runtime");
    let output = maven.output().unwrap_or_else(|error| {
        missing(&format!("mvn: {error}; on Debian and Ubuntu: apt-get install maven"))
    });
    if !output.status.success() {
        missing(&format!("mvn failed: {}", String::from_utf8_lossy(&output.stdout)));
    }
    if let Err(error) = fs::rename(&fetched, libs) {
        assert!(libs.is_dir(), "{}: {error}", libs.display());
    }
}

fn check_java() {
    let install = "on Debian and Ubuntu: apt-get install openjdk-17-jre-headless";
    let output =
        java().arg("-version").output().unwrap_or_else(|error| missing(&format!("java: {error}; {install}")));
    let said = String::from_utf8_lossy(&output.stderr);
    // openjdk version "17.0.15" 2025-04-15
    let version = said.split('"').nth(1).and_then(|version| version.split('.').next()?.parse().ok());
    if version.is_none_or(|version: u32| version < JAVA) {
        missing(&format!("Java {JAVA} or later is needed, `java -version` says: {}; {install}", said.trim()));
    }
}

fn java() -> Command {
    match std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Command::new(Path::new(&home).join("bin/java")),
        None => Command::new("java"),
    }
}

fn missing(what: &str) -> ! {
    panic!(
        "this test needs a real Kafka. {what}. Kafka's jars are fetched with mvn, or taken from the \
         folder that {VARIABLE} names (it holds libs/*.jar)"
    )
}

/// Both are held until both are known, so that they differ.
fn free_ports() -> io::Result<(u16, u16)> {
    let (one, other) = (TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}
