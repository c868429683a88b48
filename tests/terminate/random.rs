//! Random events and configurations against a naive model: after each, the survivors are exactly those
//! whom the model spares. Nobody too many, nobody missed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use severance::{
    edge::mongo_lab::Workload,
    lab::{Credentials, ReplicaSet},
    responder::Responder,
};

use crate::support::{
    block_on,
    people::{GONE, query_everywhere, user},
    replica_set,
    responder::{account, event, principals, respond, responder},
};

const PEOPLE: [&str; 8] = [
    "rnd-0@admin",
    "rnd-1@admin",
    "rnd-2@admin",
    "rnd-3@admin",
    "rnd-0@rnd",
    "rnd-1@rnd",
    "svc-rnd@admin",
    "rnd.odd'name@rnd",
];
/// Nobody works under these.
const STRANGERS: [&str; 3] = ["rnd-9@admin", "RND-0@admin", "rnd-2@rnd"];

/// What an operator may have written, and whom it spares.
#[derive(Clone, Copy)]
struct Setting {
    yaml: &'static str,
    is_protected: fn(&str) -> bool,
    dry_run: bool,
}

const SETTINGS: [Setting; 4] = [
    Setting { yaml: "", is_protected: |_| false, dry_run: false },
    Setting {
        yaml: "protected: [{ pattern: 'svc-*@admin' }, { user: rnd-1, db: admin }]\n",
        is_protected: |who| who == "svc-rnd@admin" || who == "rnd-1@admin",
        dry_run: false,
    },
    Setting { yaml: "protected: [{ db: rnd }]\n", is_protected: |who| who.ends_with("@rnd"), dry_run: false },
    Setting { yaml: "dry_run: true\n", is_protected: |_| false, dry_run: true },
];

/// One event, as the model sees it.
struct Said {
    kind: &'static str,
    who: Vec<&'static str>,
    releases: Option<&'static str>,
}

impl Said {
    fn event(&self) -> Value {
        let mut data = json!({"principals": principals(&self.who)});
        if let Some(class) = self.releases {
            data["releases"] = json!([class]);
        }
        event(self.kind, data)
    }

    fn class(&self) -> Option<&'static str> {
        match self.kind {
            "account.compromised" => Some("compromise"),
            "account.offboarded" => Some("offboarding"),
            _ => None,
        }
    }
}

/// Who dies: one event after the other, and whoever is named in a later release of its class is spared.
fn model(setting: &Setting, batch: &[Said]) -> BTreeSet<&'static str> {
    let mut dies = BTreeSet::new();
    for (index, said) in batch.iter().enumerate() {
        let Some(class) = said.class().filter(|_| !setting.dry_run) else { continue };
        for who in said.who.iter().copied() {
            let later = batch[index + 1..].iter();
            let is_back =
                later.clone().any(|other| other.releases == Some(class) && other.who.contains(&who));
            if !is_back && !(setting.is_protected)(who) && PEOPLE.contains(&who) {
                dies.insert(who);
            }
        }
    }
    dies
}

/// Any odd number will do: what matters is that rounds differ and can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn batch(&mut self) -> Vec<Said> {
        (0..1 + self.below(3))
            .map(|_| {
                let everybody: Vec<_> = PEOPLE.into_iter().chain(STRANGERS).collect();
                let mut who: Vec<&str> = Vec::new();
                for _ in 0..1 + self.below(3) {
                    let one = everybody[self.below(everybody.len())];
                    if !who.contains(&one) {
                        who.push(one);
                    }
                }
                match self.below(5) {
                    0 | 1 => Said { kind: "account.compromised", who, releases: None },
                    2 | 3 => Said { kind: "account.offboarded", who, releases: None },
                    _ => {
                        let class = ["compromise", "offboarding"][self.below(2)];
                        Said { kind: "account.reinstated", who, releases: Some(class) }
                    }
                }
            })
            .collect()
    }
}

async fn person(set: &ReplicaSet, who: &str) -> Credentials {
    let (name, db) = who.rsplit_once('@').expect("user@db");
    user(set, name, db).await
}

#[test]
fn in_every_random_round_the_survivors_are_those_whom_the_model_spares() {
    let set = replica_set();
    let long = std::env::var_os("SEVERANCE_LONG").is_some();
    let rounds = if long { 500 } else { 12 };
    let seed = std::env::var("SEVERANCE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}");
    let mut chance = Chance(seed);
    block_on(async {
        let mut responders: Vec<(Setting, Responder)> = Vec::new();
        for (number, setting) in SETTINGS.into_iter().enumerate() {
            let own = account(set, &format!("responder-random-{number}")).await;
            responders.push((setting, responder(&set.uri(&own), setting.yaml).await));
        }
        let mut works: BTreeMap<&str, (Credentials, Vec<Workload>)> = BTreeMap::new();
        for who in PEOPLE {
            let credentials = person(set, who).await;
            let at_work = query_everywhere(set, &credentials).await;
            works.insert(who, (credentials, at_work));
        }
        let (mut cut, mut spared) = (0, 0);
        for round in 0..rounds {
            let (setting, responder) = &responders[chance.below(responders.len())];
            let batch = chance.batch();
            let dies = model(setting, &batch);
            let events: Vec<Value> = batch.iter().map(Said::event).collect();
            let outcomes = respond(responder, &events).await;
            let told = || format!("seed {seed}, round {round}, {}: {events:#?}\n{outcomes:#?}", setting.yaml);
            for (who, (credentials, at_work)) in &mut works {
                if dies.contains(who) {
                    for work in at_work.iter() {
                        let ended = work.wait_touched(GONE).await;
                        assert!(ended.is_ok(), "{who} was missed: {}", told());
                    }
                    cut += at_work.len();
                    *at_work = query_everywhere(set, credentials).await;
                } else {
                    for work in at_work.iter() {
                        assert!(work.is_untouched(), "{who} was cut and should not be: {}", told());
                    }
                    spared += at_work.len();
                }
            }
        }
        println!("{rounds} rounds: {cut} operations cut, {spared} spared, none wrong and none missed");
    });
}
