//! What can happen, and when.

use severance::jobs::Generation;

use crate::{
    fixture,
    setting::{Broken, Setting},
    world::{Desk, Replica, World},
};

/// One thing that happens. Replicas are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A trigger is accepted.
    Deliver { n: u32 },
    /// Its batch creates the job, in a transaction that is still open.
    Create { index: usize },
    /// That transaction ends; not committed, the trigger is delivered again.
    DeliveryEnds { index: usize, committed: bool },
    /// Somebody cancels a run of the case.
    Cancel { n: u32 },
    /// Somebody says yes or no to a case that waits.
    Rule { yes: bool },
    /// Somebody else's transaction opens on the commands topic.
    Pin,
    /// And ends.
    Unpin,
    /// Time passes.
    Later,
    /// The topics are compacted.
    Compact,
    /// The broker is not heard of any more.
    Silence { replica: usize },
    /// The polling thread hears of the broker and of the group.
    Poll { replica: usize },
    /// The keeper of the book hears what the polling thread has told.
    Hear { replica: usize },
    /// The owner gives the partition up, and another gets it.
    Move { to: usize },
    /// The owner is not heard of, and another gets the partition.
    Expire { to: usize },
    /// A new generation, in which the owner keeps the partition.
    Shuffle,
    /// A process dies.
    Crash { replica: usize },
    /// And is started again.
    Restart { replica: usize },
    /// The broker aborts a dead process's transaction.
    OrphanEnds { index: usize },
    /// The high watermark is taken.
    BeginLoad { replica: usize },
    /// What can be read is read; the partition is run.
    FinishLoad { replica: usize },
    /// The owner reads what is new on its partition.
    Read { replica: usize },
    /// A process reads what is new among the commands.
    Listen { replica: usize },
    /// What is due begins.
    Tick { replica: usize },
    /// An attempt has read the commands.
    CaughtUp { replica: usize, index: usize },
    /// An attempt kills.
    Kill { replica: usize, index: usize, all: bool },
    /// An attempt comes back.
    Return { replica: usize, index: usize },
    /// A step's records are written.
    Write { replica: usize },
    /// A step's offset is sent, with its group metadata.
    Fence { replica: usize },
    /// A step is committed.
    Commit { replica: usize, heard: bool },
    /// The broker aborts a step of a living process.
    Abort { replica: usize },
}

/// Everything that can happen in `world`.
pub fn actions(setting: &Setting, world: &World) -> Vec<Action> {
    let mut all = Vec::new();
    elsewhere(world, &mut all);
    of_the_group(world, &mut all);
    for (index, replica) in world.replicas.iter().enumerate() {
        if replica.alive {
            of_a_replica(setting, world, index, replica, &mut all);
        } else {
            all.push(Action::Restart { replica: index });
        }
    }
    all
}

fn elsewhere(world: &World, all: &mut Vec<Action>) {
    let left = &world.left;
    if world.clock == 0 && left.deliveries > 0 {
        all.push(Action::Deliver { n: 0 });
    }
    for n in 1..=u32::from(left.redrives) {
        // Once a run has ended, it may be redriven; a redrive may be delivered again.
        if world.clock == 0 && left.deliveries > 0 && world.has_final(n - 1) {
            all.push(Action::Deliver { n });
        }
    }
    for (index, creator) in world.creators.iter().enumerate() {
        match creator.txn {
            None => all.push(Action::Create { index }),
            Some(_) => all.extend([true, false].map(|committed| Action::DeliveryEnds { index, committed })),
        }
    }
    if left.cancels > 0 {
        all.extend((0..=u32::from(left.redrives)).map(|n| Action::Cancel { n }));
    }
    if left.approvals > 0 {
        all.push(Action::Rule { yes: true });
    }
    if left.denials > 0 {
        all.push(Action::Rule { yes: false });
    }
    if world.pin.is_some() {
        all.push(Action::Unpin);
    } else if left.pins > 0 {
        all.push(Action::Pin);
    }
    let accepted_earlier = world.creators.iter().any(|creator| creator.clock < world.clock);
    if left.clock > 0 && !(world.clock == 1 && accepted_earlier) {
        all.push(Action::Later);
    }
    if left.compactions > 0 {
        all.push(Action::Compact);
    }
    all.extend((0..world.orphans.len()).map(|index| Action::OrphanEnds { index }));
}

fn of_the_group(world: &World, all: &mut Vec<Action>) {
    let owner = &world.replicas[world.group.owner];
    let others = || (0..world.replicas.len()).filter(|index| *index != world.group.owner);
    let knows = owner.alive && owner.holds && owner.generation == world.group.generation;
    let can_own = |to: &usize| world.replicas[*to].alive && !world.replicas[*to].silent;
    if !owner.alive || owner.silent {
        all.extend(others().filter(can_own).map(|to| Action::Expire { to }));
    } else if knows && world.left.rebalances > 0 {
        all.extend(others().filter(can_own).map(|to| Action::Move { to }));
    }
    if owner.alive && world.left.rebalances > 0 {
        all.push(Action::Shuffle);
    }
}

fn of_a_replica(setting: &Setting, world: &World, index: usize, replica: &Replica, all: &mut Vec<Action>) {
    let at = index;
    let owns = world.group.owner == at;
    if !replica.lease && owns || replica.generation != world.group.generation || replica.holds != owns {
        all.push(Action::Poll { replica: at });
    }
    if replica.lease && world.left.silences > 0 && replica.holds {
        all.push(Action::Silence { replica: at });
    }
    if world.left.crashes > 0 {
        all.push(Action::Crash { replica: at });
    }
    if !replica.notices.is_empty() {
        all.push(Action::Hear { replica: at });
    }
    if replica.heard_to < world.commands.last_stable() {
        all.push(Action::Listen { replica: at });
    }
    of_a_desk(setting, world, at, replica, all);
    for (index, catching) in replica.catching.iter().enumerate() {
        if replica.heard_to >= catching.watermark {
            all.push(Action::CaughtUp { replica: at, index });
        }
    }
    for (index, trying) in replica.trying.iter().enumerate() {
        if trying.killed.is_none() && may_kill(setting, replica, trying) {
            all.push(Action::Kill { replica: at, index, all: true });
            if world.left.failures > 0 {
                all.push(Action::Kill { replica: at, index, all: false });
            }
        } else {
            all.push(Action::Return { replica: at, index });
        }
    }
    if let Some(first) = replica.steps.front() {
        let fence_first = setting.broken == Broken::FencedBeforeWriting;
        if !first.written && (!fence_first || first.fenced) {
            all.push(Action::Write { replica: at });
        }
        if !first.fenced && (first.written || fence_first) {
            all.push(Action::Fence { replica: at });
        }
        if first.written && first.fenced {
            all.push(Action::Commit { replica: at, heard: true });
            if world.left.unknowns > 0 {
                all.push(Action::Commit { replica: at, heard: false });
            }
        }
        if first.txn.is_some() && world.left.timeouts > 0 {
            all.push(Action::Abort { replica: at });
        }
    }
}

fn of_a_desk(setting: &Setting, world: &World, at: usize, replica: &Replica, all: &mut Vec<Action>) {
    let stable = world.state.last_stable();
    match &replica.desk {
        Desk::Closed => {}
        // One's own transaction is finished first, and what was stopped has come back.
        Desk::Assigned { .. } if replica.steps.is_empty() && replica.trying.is_empty() => {
            all.push(Action::BeginLoad { replica: at });
        }
        Desk::Assigned { .. } => {}
        Desk::Loading { high_watermark, .. } => {
            if stable >= *high_watermark || setting.broken == Broken::EofWithoutLastStable {
                all.push(Action::FinishLoad { replica: at });
            }
        }
        Desk::Running(book) => {
            if book.owner().offset < stable {
                all.push(Action::Read { replica: at });
            }
            if book.next_due().is_some_and(|due| due <= fixture::tick(world.clock)) {
                all.push(Action::Tick { replica: at });
            }
            debug_assert!(book.owner().generation <= Generation(u64::from(world.group.generation)));
        }
    }
}

/// Asked right before each kill, of what the polling thread knows.
pub fn may_kill(setting: &Setting, replica: &Replica, trying: &crate::world::Trying) -> bool {
    let lease = replica.lease || setting.broken == Broken::NoLease;
    let held = match setting.broken {
        Broken::KillsAfterRevoke => true,
        Broken::HeldAgainTakenForHeldStill => replica.holds,
        _ => replica.holds && replica.epoch == trying.epoch,
    };
    lease && held && !trying.stopped
}

/// Whether a cancellation of this run stands on the topic.
pub fn is_cancelled(world: &World, n: u32) -> bool {
    world.cancelled.is_some_and(|cancelled| cancelled >= n)
}
