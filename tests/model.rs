//! The job protocol under a bounded model checker: the real transitions, every order of what can
//! happen around them.
//!
//! The short form runs with the other tests. The long form takes minutes, and wants to be built
//! with optimization: `SEVERANCE_LONG=1 cargo test --release --test model -- --nocapture`.

#[path = "model/action.rs"]
mod action;
#[path = "model/apply.rs"]
mod apply;
#[path = "model/desk.rs"]
mod desk;
#[path = "model/explore.rs"]
mod explore;
#[path = "model/fixture.rs"]
mod fixture;
#[path = "model/kafka.rs"]
mod kafka;
#[path = "model/setting.rs"]
mod setting;
#[path = "model/world.rs"]
mod world;

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use action::Action;
use explore::{Found, Quick, System, explore};
use kafka::{Coordinator, Group};
use setting::{Broken, Budget, Setting};
use world::{Replica, World};

impl System for Setting {
    type State = World;
    type Action = Action;

    fn initial(&self) -> World {
        let mut first = World {
            clock: 0,
            left: self.budget,
            coordinator: Coordinator::default(),
            group: Group { generation: 1, owner: 0, since: 1 },
            state: Arc::default(),
            commands: Arc::default(),
            outcomes: Vec::new(),
            creators: Vec::new(),
            pin: None,
            cancelled: None,
            orphans: Vec::new(),
            replicas: (0..self.replicas).map(|_| Arc::new(Replica::new())).collect(),
        };
        // The first owner is at work already.
        for action in [
            Action::Poll { replica: 0 },
            Action::Hear { replica: 0 },
            Action::BeginLoad { replica: 0 },
            Action::FinishLoad { replica: 0 },
        ] {
            first = apply::apply(self, &first, action).expect("a quiet beginning");
        }
        for replica in 1..self.replicas {
            first = apply::apply(self, &first, Action::Poll { replica }).expect("a quiet beginning");
        }
        first
    }

    fn actions(&self, world: &World) -> Vec<Action> {
        action::actions(self, world)
    }

    fn apply(&self, world: &World, action: &Action) -> Result<World, String> {
        apply::apply(self, world, *action)
    }

    fn fingerprint(&self, world: &World) -> u64 {
        let mut hasher = Quick::default();
        world.hash(&mut hasher);
        hasher.finish()
    }

    /// Every run that was created has its final outcome.
    fn has_ended(&self, world: &World) -> bool {
        let created: std::collections::BTreeSet<u32> = world.committed().map(|one| one.n).collect();
        created.into_iter().all(|n| world.has_final(n))
    }
}

fn run(name: &str, setting: &Setting, bound: usize) -> Found {
    let began = std::time::Instant::now();
    let found = explore(setting, bound);
    println!(
        "{name}: {} states, {} steps, depth {}, {} in {:.1} s",
        found.states,
        found.steps,
        found.depth,
        if found.complete { "all" } else { "bounded" },
        began.elapsed().as_secs_f64()
    );
    found
}

#[track_caller]
fn assert_holds(name: &str, setting: &Setting, bound: usize) {
    let found = run(name, setting, bound);
    if let Some(wrong) = found.wrong {
        panic!("{name}: {wrong}");
    }
}

#[test]
fn one_job_with_nothing_else_ends() {
    let budget = Budget { failures: 1, ..Budget::QUIET };
    assert_holds("quiet", &Setting { replicas: 2, budget, broken: Broken::Nothing }, 100_000);
}

#[test]
fn probe() {
    let q = Budget::QUIET;
    for (name, budget) in [
        ("redelivery+cancel", Budget { deliveries: 2, cancels: 1, failures: 1, ..q }),
        ("rebalance", Budget { rebalances: 1, failures: 1, ..q }),
        ("rebalance2", Budget { rebalances: 2, failures: 1, ..q }),
        ("rebalance+cancel", Budget { rebalances: 1, cancels: 1, failures: 1, ..q }),
        ("silence", Budget { silences: 1, failures: 1, cancels: 1, ..q }),
        ("crash", Budget { crashes: 1, failures: 1, ..q }),
        ("forget", Budget { deliveries: 2, clock: 2, ..q }),
        ("redrive", Budget { deliveries: 2, redrives: 1, cancels: 1, ..q }),
        ("unknown", Budget { unknowns: 1, timeouts: 1, failures: 1, ..q }),
        ("pin", Budget { pins: 1, cancels: 1, ..q }),
        ("compact", Budget { deliveries: 2, rebalances: 1, compactions: 1, ..q }),
    ] {
        if std::env::var("ONLY").is_ok_and(|only| only != name) {
            continue;
        }
        assert_holds(name, &Setting { replicas: 2, budget, broken: Broken::Nothing }, 100_000);
    }
}

#[test]
fn broken() {
    let q = Budget { failures: 0, ..Budget::QUIET };
    for (broken, budget) in [
        (Broken::FreshMetadata, Budget { rebalances: 1, ..q }),
        (Broken::MetadataOfTheStepsBeginning, Budget { rebalances: 1, cancels: 1, ..q }),
        (Broken::HeldAgainTakenForHeldStill, Budget { rebalances: 2, ..q }),
        (Broken::EndInTwoTransactions, Budget { crashes: 1, ..q }),
        (Broken::NotFenced, Budget { rebalances: 1, ..q }),
        (Broken::FencedBeforeWriting, Budget { rebalances: 1, ..q }),
        (Broken::EofWithoutLastStable, Budget { rebalances: 1, ..q }),
        (Broken::OneKey, Budget { deliveries: 2, rebalances: 1, ..q }),
        (Broken::ForgottenAtOnce, Budget { deliveries: 2, ..q }),
        (Broken::ForgottenBeforeTransactionsEnd, Budget { deliveries: 2, clock: 2, ..q }),
        (Broken::NoDoneMark, Budget { deliveries: 2, rebalances: 1, ..q }),
        (Broken::CommandsUnheard, Budget { cancels: 1, ..q }),
        (Broken::CommandsWithoutLastStable, Budget { cancels: 1, pins: 1, ..q }),
        (Broken::CommandsNotKept, Budget { cancels: 1, ..q }),
        (Broken::NoLease, Budget { silences: 1, ..q }),
        (Broken::KillsAfterRevoke, Budget { rebalances: 1, ..q }),
        (Broken::PublishedAgainAfterABreak, Budget { rebalances: 1, silences: 1, ..q }),
        (Broken::UnknownTakenForAborted, Budget { unknowns: 1, ..q }),
    ] {
        let name = format!("{broken:?}");
        if std::env::var("ONLY").is_ok_and(|only| only != name) {
            continue;
        }
        let found = run(&name, &Setting { replicas: 2, budget, broken }, 100_000);
        match found.wrong {
            Some(wrong) => println!("{wrong}"),
            None => println!("NOTHING FOUND"),
        }
    }
}
