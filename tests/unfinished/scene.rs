//! A small replica set of a test's own, whose hidden member can be frozen, and a responder for it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use severance::lab::{Credentials, ReplicaSet, Signal};

use crate::house::{House, Plan, event, outcome, structured};
use crate::support::{Kafka, block_on, kafka, people::user, responder::account, topic::Raw};

/// For anything that takes moments on a machine that is not busy.
pub const SOON: Duration = Duration::from_secs(60);

/// Its primary is member 0.
pub struct Scene {
    pub set: ReplicaSet,
    pub house: House<'static>,
    /// The member that is harmed: the hidden one.
    pub hidden: usize,
}

impl Scene {
    /// With topics for unfinished work, and these lines of `limits`.
    pub fn new(name: &str, limits: &str) -> Self {
        Self::with(name, limits, |_| {})
    }

    pub fn with(name: &str, limits: &str, change: impl FnOnce(&mut Plan)) -> Self {
        Self::sized_with(name, 1, limits, change)
    }

    /// With so many members that may be primary.
    pub fn sized(name: &str, voting: usize) -> Self {
        Self::sized_with(name, voting, "", |_| {})
    }

    pub fn sized_with(name: &str, voting: usize, limits: &str, change: impl FnOnce(&mut Plan)) -> Self {
        Self::made(kafka(), name, voting, limits, change)
    }

    /// On a broker of its own.
    pub fn on(kafka: &'static Kafka, name: &str, limits: &str, change: impl FnOnce(&mut Plan)) -> Self {
        Self::made(kafka, name, 1, limits, change)
    }

    fn made(
        kafka: &'static Kafka,
        name: &str,
        voting: usize,
        limits: &str,
        change: impl FnOnce(&mut Plan),
    ) -> Self {
        let (set, own) = block_on(async {
            let set = ReplicaSet::builder().voting(voting).hidden(true).start().await.expect("a replica set");
            let own = account(&set, "severance").await;
            (set, own)
        });
        let mut plan = Plan {
            jobs: true,
            partitions: 4,
            uri: Some(set.uri(&own)),
            topics: "    - { name: {topic}, accept_types: ['io.severance.account.compromised.*', 'io.severance.account.reinstated.*'] }\n"
                .to_owned(),
            more: format!("limits: {{ inline_budget: 1s, {limits} }}\n"),
            ..Plan::default()
        };
        change(&mut plan);
        let hidden = set.hidden().expect("a hidden member");
        Self { house: House::on(kafka, name, plan), set, hidden }
    }

    pub fn user(&self, name: &str) -> Credentials {
        block_on(user(&self.set, name, "admin"))
    }

    pub fn freeze(&self) {
        self.set.signal(self.hidden, Signal::Stop).expect("it stops");
    }

    pub fn thaw(&self) {
        self.set.signal(self.hidden, Signal::Continue).expect("it goes on");
    }

    /// An account in the hands of somebody else, with everything that this user has open.
    pub fn compromise(&self, id: &str, who: &str) {
        self.house.put(&[compromised(id, who)]);
    }

    /// Every outcome of this trigger so far, its data, once `enough` is true of them.
    pub fn outcomes(&self, id: &str, mut enough: impl FnMut(&[Value]) -> bool) -> Vec<Value> {
        let topic = self.house.outcomes();
        let end = Instant::now() + SOON;
        loop {
            let seen: Vec<Value> = topic
                .all()
                .iter()
                .map(|raw| outcome(raw)["data"].clone())
                .filter(|data| data["trigger"]["id"] == id)
                .collect();
            if enough(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "not in time: {}", told(&seen));
        }
    }

    /// All of them, once the last is there.
    pub fn to_the_end(&self, id: &str) -> Vec<Value> {
        let all = self.outcomes(id, |seen| seen.iter().any(|data| data["final"] == true));
        assert_orderly(&all);
        all
    }

    /// Until it is deferred.
    pub fn deferred(&self, id: &str) -> Value {
        let all = self.outcomes(id, |seen| !seen.is_empty());
        assert_eq!(all[0]["status"], "deferred", "{:#}", all[0]);
        all[0].clone()
    }
}

pub fn compromised(id: &str, who: &str) -> Raw {
    structured(&event("account.compromised", id, json!({"principals": [{"user": who, "db": "admin"}]})))
}

pub fn reinstated(id: &str, who: &str, releases: &str) -> Raw {
    let data = json!({"principals": [{"user": who, "db": "admin"}], "releases": [releases]});
    structured(&event("account.reinstated", id, data))
}

/// Numbers without a gap or a repeat, each naming the one before, and one final at the end.
pub fn assert_orderly(all: &[Value]) {
    for (index, data) in all.iter().enumerate() {
        assert_eq!(data["seq"], index + 1, "{}", told(all));
        assert_eq!(data["previous"].is_null(), index == 0, "{}", told(all));
        assert_eq!(data["final"], index + 1 == all.len(), "{}", told(all));
    }
}

/// One line an outcome.
pub fn told(all: &[Value]) -> String {
    all.iter()
        .map(|data| {
            format!("{} {} final {} {}\n", data["seq"], data["status"], data["final"], data["detail"])
        })
        .collect()
}
