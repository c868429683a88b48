//! The job protocol under a bounded model checker: the real transitions, every order of what can
//! happen around them.
//!
//! The short form runs with the other tests. The long form takes minutes and gigabytes, and wants
//! this crate built with optimization, its dependencies need not be:
//!
//! ```text
//! SEVERANCE_LONG=1 cargo test --config 'profile.dev.package.severance.opt-level=3' \
//!     --config 'profile.test.package.severance.opt-level=3' --test model long_form -- --nocapture
//! ```
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "model/action.rs"]
mod action;
#[path = "model/apply.rs"]
mod apply;
#[path = "model/broken.rs"]
mod broken;
#[path = "model/desk.rs"]
mod desk;
#[path = "model/explore.rs"]
mod explore;
#[path = "model/fixture.rs"]
mod fixture;
#[path = "model/holds.rs"]
mod holds;
#[path = "model/kafka.rs"]
mod kafka;
#[path = "model/perform.rs"]
mod perform;
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
            ruled: None,
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

/// Every state is seen, none is wrong, and from each the end can be reached.
#[track_caller]
fn assert_holds(name: &str, replicas: usize, budget: Budget) {
    let found = run(name, &Setting { replicas, budget, broken: Broken::Nothing }, SHORT);
    assert!(found.complete, "{name}: more states than a short form should have");
    if let Some(wrong) = found.wrong {
        panic!("{name}: {wrong}");
    }
}

/// Most states of a model in the short form.
const SHORT: usize = 60_000;
/// Most states of a model in the long form: what fits into 8 GB.
const LONG: usize = 4_000_000;
