//! The pipeline on a real replica set, without Kafka: records in, outcomes out.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use severance::{
    config::{Config, Surroundings},
    ingest::{Batch, Origin, Record},
    lab::{Credentials, ReplicaSet},
    privilege::{ROLE, role_privileges},
    report::{Form, Message},
    responder::Responder,
};

/// Nothing around: tests give secrets through files that they wrote.
pub struct Nothing;

impl Surroundings for Nothing {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The least-privilege role and an account of it; the role is made once a set.
pub async fn account(set: &ReplicaSet, user: &str) -> Credentials {
    let definition = json!({"privileges": role_privileges(false), "roles": []});
    match set.create_role("admin", ROLE, definition).await {
        Ok(()) => {}
        Err(error) if error.to_string().contains("already exists") => {}
        Err(error) => panic!("{error}"),
    }
    set.create_user(user, "admin", json!([{"role": ROLE, "db": "admin"}])).await.expect("an account")
}

/// A configuration for one cluster, `lab`, without Kafka, with `extra` at its end.
pub fn config(uri: &str, extra: &str) -> Config {
    config_on("localhost:1", "test", uri, extra)
}

/// The same with a Kafka; the topics are `<prefix>.triggers`, `<prefix>.outcomes`, `<prefix>.dead`.
pub fn config_on(bootstrap: &str, prefix: &str, uri: &str, extra: &str) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("uri");
    std::fs::write(&secret, uri).expect("a file");
    // The counts of a test are exact only where the look before the kill is back, however busy the machine.
    let evidence = if extra.contains("evidence:") { "" } else { "evidence: {wait: 900ms}\n" };
    // Tests run side by side and must not want the same port.
    let listen = if extra.contains("listen:") { "" } else { "listen: null\n" };
    let text = format!(
        "{listen}kafka:\n  properties: {{bootstrap.servers: '{bootstrap}', group.id: {prefix}}}\n  \
         topics: [{{name: {prefix}.triggers}}]\n  outcomes: {prefix}.outcomes\n  dead_letters: {prefix}.dead\n\
         clusters:\n  - name: lab\n    uri: {{file: {}}}\n{extra}{evidence}",
        secret.display(),
    );
    match Config::parse(&text, Path::new("test.yaml"), &Nothing) {
        Ok((config, _)) => config,
        Err(faults) => panic!("{faults}\n{text}"),
    }
}

/// A responder that is ready.
pub async fn responder(uri: &str, extra: &str) -> Responder {
    let responder = Responder::new(config(uri, extra), Arc::new(Timestamp::now)).await.expect("a responder");
    responder.warm_up().await;
    responder
}

/// An event of ours.
pub fn event(kind: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": uuid::Uuid::now_v7().to_string(), "source": "/test",
        "type": format!("io.severance.{kind}.v1"), "datacontenttype": "application/json", "data": data,
    })
}

/// A compromise of these, each `user@db`.
pub fn compromised(who: &[&str]) -> Value {
    event("account.compromised", json!({"principals": principals(who)}))
}

/// `[{user, db}]` of `user@db`.
pub fn principals(who: &[&str]) -> Value {
    who.iter()
        .map(|who| {
            let (user, db) = who.rsplit_once('@').expect("user@db");
            json!({"user": user, "db": db})
        })
        .collect()
}

/// What becomes of these events as one batch: the data of each outcome.
pub async fn respond(responder: &Responder, events: &[Value]) -> Vec<Value> {
    let records = events
        .iter()
        .map(|event| Record {
            key: None,
            value: Some(event.to_string().into_bytes()),
            headers: Vec::new(),
            origin: Origin::Local,
        })
        .collect();
    let batch = Batch {
        id: uuid::Uuid::now_v7(),
        records,
        fresh: Default::default(),
        crashed: None,
        received_at: Timestamp::now(),
        claim: Default::default(),
    };
    let commit = responder.pipeline.handle(batch).await;
    commit
        .messages
        .iter()
        .filter(|message| matches!(message, Message::Outcome(_)))
        .map(|message| {
            let value = message.encode(Form::Full).value.expect("a value");
            let outcome: Value = serde_json::from_slice(&value).expect("JSON");
            super::schemas::assert_valid("termination.v1", &outcome["data"]);
            outcome["data"].clone()
        })
        .collect()
}

/// An account that lacks these actions, with a role of its own.
pub async fn account_without(set: &ReplicaSet, user: &str, dropped: &[&str]) -> Credentials {
    let privileges: Vec<Value> = role_privileges(false)
        .into_iter()
        .map(|mut privilege| {
            if let Some(actions) = privilege["actions"].as_array_mut() {
                actions.retain(|action| !dropped.iter().any(|dropped| action == dropped));
            }
            privilege
        })
        .filter(|privilege| privilege["actions"] != json!([]))
        .collect();
    let role = format!("{user}-role");
    set.create_role("admin", &role, json!({"privileges": privileges, "roles": []})).await.expect("a role");
    set.create_user(user, "admin", json!([{"role": role, "db": "admin"}])).await.expect("an account")
}

/// What becomes of one event.
pub async fn respond_to(responder: &Responder, event: Value) -> Value {
    respond(responder, &[event]).await.remove(0)
}

/// A responder of the shared set with nothing special about it. Not to be called inside a runtime.
pub fn shared() -> &'static Responder {
    static SHARED: std::sync::OnceLock<Responder> = std::sync::OnceLock::new();
    let set = super::replica_set();
    SHARED.get_or_init(|| {
        super::block_on(async { responder(&set.uri(&account(set, "responder").await), "").await })
    })
}
