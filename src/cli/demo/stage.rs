//! The stage: a real replica set, an embedded Kafka, users, their work, and a responder that
//! listens. Everything of it ends with the process.

use std::{
    fs,
    mem::ManuallyDrop,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use super::cast::{Actor, CAST, Piece};
use crate::{
    config::{Config, Process},
    edge::{
        kafka_mock::MockCluster,
        kafka_reader::{Reader, Start},
        kafka_send::Sender,
        mongo_cluster::MongoCluster,
        mongo_lab::Workload,
    },
    ingest::{Header, Record},
    lab::{Credentials, LabDir, ReplicaSet},
    principal::{Principal, Principals},
    privilege::{ROLE, role_privileges},
    report::Encoded,
    service::{self, ServiceError},
    terminate::{
        member::{Cluster as _, Member as _},
        survey::Survey,
    },
};

/// The topics of the demo.
const TRIGGERS: &str = "security.demo";
const OUTCOMES: &str = "severance.outcomes";
const DEAD_LETTERS: &str = "severance.dead-letters";
/// How long anything may take that should take moments.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one member may take to say what runs there: milliseconds, or it hangs.
const LOOK: Duration = Duration::from_secs(10);

/// Something that an actor runs.
pub struct Running {
    /// Whose it is.
    pub actor: Actor,
    /// What it is.
    pub piece: Piece,
    /// The client.
    pub workload: Workload,
}

/// Everything that is up. The fields are dropped in this order.
pub struct Stage {
    /// What everybody runs.
    pub running: Vec<Running>,
    outcomes: tokio::sync::mpsc::Receiver<Record>,
    service: JoinHandle<Result<(), ServiceError>>,
    stop: watch::Sender<bool>,
    sender: Sender,
    cluster: MongoCluster,
    /// The replica set.
    pub set: ReplicaSet,
    /// Never dropped: it ends with the process, when nobody is left who could miss it and say so.
    mock: ManuallyDrop<MockCluster>,
    folder: LabDir,
}

impl Stage {
    /// Starts the servers, the users and the responder; `tell` hears what is up, with its figures.
    pub async fn build(mut tell: impl FnMut(&str, String)) -> anyhow::Result<Self> {
        let began = std::time::Instant::now();
        let set = ReplicaSet::builder().hidden(true).start().await?;
        let took = began.elapsed().as_secs_f64();
        tell("mongod", format!("a replica set of {}, one of them hidden, up in {took:.1} s", set.size()));
        let mock = MockCluster::start(1)?;
        for topic in [TRIGGERS, OUTCOMES, DEAD_LETTERS] {
            mock.create_topic(topic, 1)?;
        }
        tell("kafka", format!("librdkafka's mock cluster, in this process, at {}", mock.bootstrap_servers()));

        let definition = json!({"privileges": role_privileges(false), "roles": []});
        set.create_role("admin", ROLE, definition).await?;
        let own = set.create_user("severance", "admin", json!([{"role": ROLE, "db": "admin"}])).await?;
        tell("account", format!("severance@admin, with the role {ROLE} and nothing else"));

        let folder = LabDir::new()?;
        fs::write(folder.path().join("responder-uri"), set.uri(&own))?;
        fs::write(folder.path().join("root-uri"), set.uri(set.root()))?;
        let path = folder.path().join("severance.yaml");
        fs::write(&path, config_text(&mock.bootstrap_servers()))?;
        let load = || {
            Config::load(&path, &Process)
                .map(|(config, _)| config)
                .map_err(|faults| anyhow::anyhow!("{faults}"))
        };
        let (kafka, clusters) = {
            let Config { kafka, clusters, .. } = load()?;
            (kafka, clusters)
        };
        let cluster =
            MongoCluster::new(clusters.first().ok_or_else(|| anyhow::anyhow!("no cluster"))?).await?;
        cluster.discover().await.map_err(|error| anyhow::anyhow!("{}", error.message))?;

        let running = start_work(&set, folder.path()).await?;
        let (stop, stopped) = watch::channel(false);
        let service = tokio::spawn(service::run(load()?, mpsc::channel(1).1, stopped));
        let outcomes = Reader::open(&kafka, OUTCOMES, Start::Beginning)?.follow()?;
        let sender = Sender::new(&kafka)?;
        let mock = ManuallyDrop::new(mock);
        let mut stage = Self { running, outcomes, service, stop, sender, cluster, set, mock, folder };
        stage.wait_until_listening().await?;
        tell("severance", format!("listening on {TRIGGERS}"));
        Ok(stage)
    }

    /// An event that no rule answers goes the whole way: then the group has been joined.
    async fn wait_until_listening(&mut self) -> anyhow::Result<()> {
        self.publish(&event("io.severance.demo.ready", "/demo", json!({})))?;
        self.next_outcome().await.map(drop)
    }

    /// Puts an event on the topic.
    pub fn publish(&self, event: &Value) -> anyhow::Result<()> {
        let encoded = Encoded {
            key: event["id"].as_str().map(|id| id.as_bytes().to_vec()),
            value: Some(event.to_string().into_bytes()),
            headers: vec![Header {
                name: "content-type".to_owned(),
                value: Some(b"application/cloudevents+json".to_vec()),
            }],
            partition: None,
        };
        let sent = tokio::task::block_in_place(|| self.sender.send(&[(TRIGGERS.into(), encoded)], PATIENCE));
        for result in sent {
            result.map_err(|reason| anyhow::anyhow!("the event was not published: {reason}"))?;
        }
        Ok(())
    }

    /// The next outcome, as it stands on its topic.
    pub async fn next_outcome(&mut self) -> anyhow::Result<Value> {
        tokio::select! {
            record = timeout(PATIENCE, self.outcomes.recv()) => match record {
                Ok(Some(record)) => Ok(serde_json::from_slice(&record.value.unwrap_or_default())?),
                Ok(None) => anyhow::bail!("the outcomes topic cannot be read any more"),
                Err(_) => anyhow::bail!("no outcome within {PATIENCE:?}"),
            },
            ended = &mut self.service => match ended? {
                Ok(()) => anyhow::bail!("the responder has stopped"),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// What runs on each member for everybody in the cast, by the responder's own look.
    pub async fn look(&self) -> anyhow::Result<Vec<(String, String, Survey)>> {
        let everybody = CAST.iter().filter_map(|actor| Principal::new(actor.user, actor.db).ok());
        let everybody = Principals::new(everybody).ok_or_else(|| anyhow::anyhow!("nobody plays"))?;
        let members = self.cluster.known();
        let mut looks = Vec::new();
        for number in 0..self.set.size() {
            let host = self.set.host(number);
            let member = members.iter().find(|member| member.host() == host);
            let member = member.ok_or_else(|| anyhow::anyhow!("{host} is not in the set's configuration"))?;
            let looked = async {
                member.hello().await?;
                member.survey(&everybody, true).await
            };
            let survey = timeout(LOOK, looked)
                .await
                .map_err(|_| anyhow::anyhow!("{host} does not answer"))?
                .map_err(|error| anyhow::anyhow!("{host}: {}", error.message))?;
            looks.push((host.to_owned(), member.role(), survey));
        }
        Ok(looks)
    }

    /// The folder with the configuration and the connection strings.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Where the embedded Kafka listens.
    pub fn bootstrap(&self) -> String {
        self.mock.bootstrap_servers()
    }

    /// Ends the responder as SIGTERM would, then everything else.
    pub async fn close(self) -> anyhow::Result<()> {
        let Self { service, stop, outcomes, .. } = self;
        // Its thread ends first, or it would say that Kafka has gone.
        drop(outcomes);
        // It has ended where nobody hears this.
        let _ = stop.send(true);
        Ok(service.await??)
    }
}

async fn start_work(set: &ReplicaSet, folder: &Path) -> anyhow::Result<Vec<Running>> {
    let mut running = Vec::new();
    for actor in CAST {
        let roles = json!([{"role": "readWriteAnyDatabase", "db": "admin"}]);
        let credentials: Credentials = set.create_user(actor.user, actor.db, roles).await?;
        fs::write(folder.join(format!("{}-uri", actor.name())), set.uri(&credentials))?;
        for piece in actor.works {
            let workload = set.work(piece.member, &credentials, piece.work()).await?;
            running.push(Running { actor, piece: *piece, workload });
        }
    }
    Ok(running)
}

/// One of our own events.
pub fn event(kind: &str, source: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": Uuid::now_v7().to_string(),
        "source": source,
        "type": kind,
        "time": Timestamp::now().to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}

fn config_text(bootstrap: &str) -> String {
    format!(
        "# The demo's configuration: everything that is not said has its default.\n\
         kafka:\n\
         \x20 properties: {{ bootstrap.servers: \"{bootstrap}\", group.id: severance, fetch.wait.max.ms: 1 }}\n\
         \x20 delivery: at-least-once      # the embedded Kafka has no real transactions\n\
         \x20 topics:\n\
         \x20   - name: {TRIGGERS}\n\
         \x20     accept_types: [io.severance.account.compromised.*, io.severance.account.offboarded.*,\n\
         \x20       io.severance.account.reinstated.*, io.severance.access-window.closed.*, io.severance.demo.*]\n\
         \x20 outcomes: {OUTCOMES}\n\
         \x20 dead_letters: {DEAD_LETTERS}\n\
         clusters:\n\
         \x20 - name: demo\n\
         \x20   uri: {{ file: responder-uri }}\n\
         # Nobody asks it how it is, and another Severance may be running here.\n\
         listen: null\n"
    )
}
