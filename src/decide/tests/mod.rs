//! Claims about what is decided: events in, one line a decision out.

mod ages;
mod approvals;
mod arms;
mod crashing;
mod explaining;
mod folding;
mod laws;
mod raw;
mod targets;
mod trusting;

use std::collections::HashMap;

use globset::Glob;
use serde_json::{Value, json};

use super::*;
use crate::{
    case::SparedBecause,
    decode::decode,
    ingest::{Header, Record, TopicTrust},
};

/// What time it is in every test that does not say otherwise.
const NOW: &str = "2026-11-25T12:00:00Z";
/// The topic of every event that does not say otherwise.
const TOPIC: &str = "t";

/// A policy and what is true outside.
struct World {
    policy: Policy,
    context: Context,
}

/// Two clusters, the default rules, one own account, everybody accepted on the topics `t` and `u`.
fn world() -> World {
    let named = ["*", "io.severance.account.reinstated.*", "io.severance.termination.approved.*"];
    let more = ["io.severance.termination.denied.*", "io.severance.termination.everyone-requested.*"];
    let accept = || named.iter().chain(&more).map(|glob| Glob::new(glob).unwrap()).collect();
    let topic = |name: &str| (name.into(), TopicTrust::new(Some(accept()), None));
    let ages =
        [(Class::Compromise, 24), (Class::Offboarding, 7 * 24), (Class::Window, 1), (Class::Request, 1)];
    let mut max_event_age: BTreeMap<_, _> =
        ages.into_iter().map(|(class, hours)| (class, Duration::from_secs(hours * 3600))).collect();
    max_event_age.insert(Class::Inactivity, Duration::from_secs(300));
    World {
        policy: Policy {
            trust: Trust::new([topic(TOPIC), topic("u")]),
            rules: Rule::defaults().into_iter().map(compile).collect(),
            protected: Vec::new(),
            limits: Limits {
                max_principals: 3,
                clock_skew: Duration::from_secs(30),
                max_event_age,
                window_cap: None,
                over_cap: None,
            },
            dry_run: false,
            allow_everyone: false,
        },
        context: Context {
            now: NOW.parse().unwrap(),
            own_accounts: [("orders", "me@admin"), ("lab", "lab-me@admin")]
                .map(|(cluster, own)| (cluster.into(), vec![own.parse().unwrap()]))
                .into(),
            accepted: HashMap::new(),
            found: Found::default(),
            recent: Arc::default(),
        },
    }
}

impl World {
    /// With these rules and no others.
    fn rules<const N: usize>(mut self, rules: [RuleSpec; N]) -> Self {
        self.policy.rules = rules.into_iter().map(compile).collect();
        self
    }

    fn protect<const N: usize>(mut self, protected: [Protected; N]) -> Self {
        self.policy.protected.extend(protected);
        self
    }

    fn decide(&self, said: Vec<Said>) -> Vec<Decided> {
        decide(
            &self.policy,
            said.into_iter().enumerate().map(|(index, said)| said.decoded(index)).collect(),
            &self.context,
        )
    }
}

fn compile(spec: RuleSpec) -> Rule {
    let cluster = |name: &str| ClusterLabels { name: name.into(), labels: BTreeMap::new() };
    Rule::compile(spec, &[cluster("orders"), cluster("lab")]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// A rule for every cluster.
fn rule(name: &str, class: Class, on: &str, when: &str, target: &str) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        class,
        on: vec![Glob::new(on).unwrap()],
        when: (!when.is_empty()).then(|| when.to_owned()),
        target: TargetSpec::expression(target),
        clusters: None,
        dry_run: false,
        approval: None,
    }
}

/// The same rule for one cluster.
fn on_cluster(name: &str, rule: RuleSpec) -> RuleSpec {
    RuleSpec { clusters: Some(vec![Selector::Name(name.to_owned())]), ..rule }
}

/// An event, as it stands on a topic.
#[derive(Clone, Debug)]
struct Said {
    id: Option<String>,
    kind: String,
    time: Option<String>,
    data: Value,
    origin: Option<Origin>,
    redriven: bool,
}

fn said(kind: &str, data: Value) -> Said {
    Said { id: None, kind: kind.to_owned(), time: None, data, origin: None, redriven: false }
}

/// One of Severance's own types, about these, each `user@db`.
fn own(kind: &str, who: &[&str]) -> Said {
    said(&format!("io.severance.{kind}.v1"), json!({"principals": named(who)}))
}

fn named(who: &[&str]) -> Value {
    who.iter()
        .map(|who| {
            let (user, db) = who.rsplit_once('@').unwrap();
            json!({"user": user, "db": db})
        })
        .collect()
}

fn compromised(who: &[&str]) -> Said {
    own("account.compromised", who)
}

fn offboarded(who: &[&str]) -> Said {
    own("account.offboarded", who)
}

fn reinstated(who: &[&str]) -> Said {
    own("account.reinstated", who)
}

impl Said {
    fn id(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    fn time(self, time: &str) -> Self {
        Self { time: Some(time.to_owned()), ..self }
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.data[key] = value;
        self
    }

    /// On a topic, with the record's own time.
    fn on(self, topic: &str, partition: i32, offset: i64, timestamp: Option<&str>) -> Self {
        let timestamp = timestamp.map(|at| at.parse().unwrap());
        self.from(Origin::Kafka { topic: topic.into(), partition, offset, timestamp })
    }

    fn from(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// Given another chance by hand.
    fn redriven(self) -> Self {
        Self { redriven: true, ..self }
    }

    /// The index gives the id and the offset where nothing is said.
    fn decoded(self, index: usize) -> Decoded {
        let id = self.id.unwrap_or_else(|| format!("e{}", index + 1));
        let mut envelope = json!({"specversion": "1.0", "id": id, "source": "/s", "type": self.kind, "data": self.data,
            "datacontenttype": "application/json"});
        if let Some(time) = self.time {
            envelope["time"] = time.into();
        }
        let content_type =
            Header { name: "content-type".to_owned(), value: Some(b"application/cloudevents+json".to_vec()) };
        let now: Timestamp = NOW.parse().unwrap();
        let origin = self.origin.unwrap_or(Origin::Kafka {
            topic: TOPIC.into(),
            partition: 0,
            offset: i64::try_from(index).unwrap() + 1,
            timestamp: Some(now),
        });
        let value = Some(envelope.to_string().into_bytes());
        Decoded {
            redriven: u32::from(self.redriven),
            ..decode(Record { key: None, value, headers: vec![content_type], origin }, now, false)
        }
    }
}

/// What is decided about these events as one batch, one line each.
#[track_caller]
fn check<const N: usize>(world: &World, said: Vec<Said>, expected: [&str; N]) {
    let decided = world.decide(said);
    let ids: HashMap<CaseId, String> =
        decided.iter().filter_map(|one| Some((one.case.id, one.case.trigger.as_ref()?.id.clone()))).collect();
    let lines: Vec<String> = decided.iter().map(|one| line(one, &ids)).collect();
    assert_eq!(lines, expected);
}

fn line(one: &Decided, ids: &HashMap<CaseId, String>) -> String {
    let name = |case: &CaseId| ids.get(case).cloned().unwrap_or_else(|| case.to_string());
    let mut line = match &one.decision {
        Decision::Terminate(plan) => format!("terminate {}", plan_line(plan)),
        Decision::Simulate(plan) => format!("simulate {}", plan_line(plan)),
        Decision::Refuse { reason, detail } => format!("refuse {reason:?}: {detail}"),
        Decision::Expired { detail } => format!("expired: {detail}"),
        Decision::Duplicate { first } => format!("duplicate of {first}"),
        Decision::Superseded { by } => format!("superseded by {}", name(by)),
        Decision::NoRule => "no rule".to_owned(),
        Decision::Undecodable(poison) => format!("undecodable {}", poison.reason.name()),
        Decision::Defer { due } => format!("defer until {due}"),
        Decision::AwaitApproval { expires, on_expiry, plan, reason, detail } => {
            format!("await {reason:?} until {expires}, then {on_expiry:?}: {} ({detail})", plan_line(plan))
        }
        Decision::Release { cancels } => {
            format!("release [{}]", cancels.iter().map(name).collect::<Vec<_>>().join(" "))
        }
        Decision::Acknowledge => "acknowledge".to_owned(),
    };
    for spared in &one.case.spared {
        let because = match spared.because {
            SparedBecause::Protected => "protected",
            SparedBecause::Reinstated => "reinstated",
        };
        line.push_str(&format!("; {} {because}", spared.principal));
    }
    line
}

fn plan_line(plan: &Plan) -> String {
    let who: Vec<_> = plan.target.principals().iter().map(ToString::to_string).collect();
    format!("{} on {}", who.join(" "), plan.clusters.join(" "))
}
