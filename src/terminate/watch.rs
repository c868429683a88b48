//! Leftover or returned: what the looks at one member say about each thing seen there. Pure.
//!
//! *Leftover* was there before the kill, or began before the kill's acknowledgement by the
//! member's own clock. *Returned* began later: the client coming back. Where the server does not
//! say when a thing began, it counts as leftover: in doubt the kill is said not to have worked.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{
    order::Order,
    survey::{Identity, IdleConnection, Seen, Survey},
};
use crate::principal::Principal;

/// What the looks at one member have shown so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// The look before the kill; `None` where it was not finished in time.
    before: Option<Vec<Seen>>,
    /// Of those, what can still be there: nothing after a restart.
    present: HashSet<Identity>,
    /// The latest at which the first kill can have been acknowledged, on the member's clock.
    acknowledged: Option<Timestamp>,
    /// Everything that came back.
    returned: HashMap<Identity, Seen>,
    /// What ran on after a kill that would have reached it, too close to it for the clocks to say
    /// which was first. It is left over while it is there; once it is gone, it had come back.
    doubtful: HashMap<Identity, Seen>,
    /// Seen by any look; by principal's name, to know who exists.
    alive: HashSet<Principal>,
    /// What returned is none of its business: a later hunt.
    resumed: bool,
    /// There was a look after the kill.
    looked: bool,
    /// What to think of a thing that is not known and of which the server does not say when it began.
    unsaid: Unsaid,
    latest: Latest,
}

/// Whose beginning the server does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsaid {
    /// Is left over: in doubt the kill is said not to have worked.
    #[default]
    Left,
    /// Has returned: everything that was there is known.
    Returned,
}

/// The last look.
#[derive(Debug, Default)]
struct Latest {
    left: Vec<Seen>,
    returned: Vec<Seen>,
    shared: Vec<Seen>,
    idle: Vec<IdleConnection>,
    unattributable_cursors: u64,
}

/// What the last look asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing of theirs runs.
    Nothing,
    /// What is left is killed already and ends by itself; look again.
    Wait,
    /// Something of theirs runs.
    Kill,
    /// Only what returned is still ending.
    Ending,
}

impl Watch {
    /// For a later hunt: what is left by identity, and since when things have returned.
    pub fn resumed(known: impl IntoIterator<Item = Identity>, unsaid: Unsaid) -> Self {
        Self { present: known.into_iter().collect(), resumed: true, unsaid, ..Self::default() }
    }

    /// The look before the kill.
    pub fn before(&mut self, order: &Order, survey: Survey) {
        self.note_alive(order, &survey);
        self.latest.unattributable_cursors = survey.unattributable_cursors;
        self.latest.idle = survey.idle;
        let (theirs, shared) =
            survey.seen.into_iter().partition(|seen| order.reaches(seen) || order.is_theirs_alone(seen));
        self.latest.shared = shared;
        let theirs: Vec<Seen> = theirs;
        self.present = theirs.iter().flat_map(|seen| [&seen.identity, seen.whole()]).cloned().collect();
        self.before = Some(theirs);
    }

    /// Whether the look before the kill was back in time.
    pub fn has_before(&self) -> bool {
        self.before.is_some()
    }

    /// The first kill was acknowledged, at the latest then by the member's clock.
    pub fn acknowledged(&mut self, at_latest: Timestamp) {
        self.acknowledged.get_or_insert(at_latest);
    }

    /// A look after the kill.
    pub fn after(&mut self, order: &Order, survey: Survey) -> Next {
        self.note_alive(order, &survey);
        let mut latest = Latest {
            idle: survey.idle,
            unattributable_cursors: survey.unattributable_cursors,
            ..Latest::default()
        };
        for seen in survey.seen {
            let is_ours = order.reaches(&seen) || order.is_theirs_alone(&seen);
            let is_left = self.is_leftover(&seen);
            if !is_ours && (is_left || !self.resumed) {
                latest.shared.push(seen);
            } else if is_left {
                if self.outran_the_kill(order, &seen) {
                    self.doubtful.insert(seen.identity.clone(), seen.clone());
                }
                latest.left.push(seen);
            } else {
                self.returned.insert(seen.identity.clone(), seen.clone());
                latest.returned.push(seen);
            }
        }
        self.latest = latest;
        self.looked = true;
        self.next(|_| true)
    }

    /// What the last look asks for where only what is `wanted` counts.
    pub fn next(&self, wanted: impl Fn(&Seen) -> bool) -> Next {
        let Latest { left, returned, .. } = &self.latest;
        let mut all = left.iter().chain(returned).filter(|seen| wanted(seen));
        if all.any(|seen| !seen.pending) {
            Next::Kill
        } else if left.iter().any(&wanted) {
            Next::Wait
        } else if returned.iter().any(&wanted) {
            Next::Ending
        } else {
            Next::Nothing
        }
    }

    fn is_leftover(&self, seen: &Seen) -> bool {
        if self.present.contains(&seen.identity) || self.present.contains(seen.whole()) {
            return true;
        }
        match (seen.began, self.acknowledged) {
            (Some(began), Some(acknowledged)) => began <= acknowledged,
            (None, _) => self.unsaid == Unsaid::Left,
            (_, None) => true,
        }
    }

    /// A kill by user marks all that it reaches before it is acknowledged, so what runs unmarked and
    /// was not there before began behind it.
    fn outran_the_kill(&self, order: &Order, seen: &Seen) -> bool {
        self.before.is_some()
            && self.acknowledged.is_some()
            && !self.present.contains(&seen.identity)
            && !self.present.contains(seen.whole())
            && !seen.pending
            && order.reaches(seen)
    }

    /// The member restarted: whatever ran before is gone, whatever runs now came back.
    pub fn restarted(&mut self) {
        self.acknowledged = Some(Timestamp::MIN);
        self.present.clear();
    }

    /// What only `killOp` ends, by the look before the kill.
    pub fn sessionless_before(&self, order: &Order) -> HashSet<Identity> {
        sessionless(order, self.before.iter().flatten())
    }

    /// What only `killOp` ends, by the last look after the kill.
    pub fn sessionless_now(&self, order: &Order) -> HashSet<Identity> {
        sessionless(order, self.latest.left.iter().chain(&self.latest.returned))
    }

    fn note_alive(&mut self, order: &Order, survey: &Survey) {
        self.alive.extend(survey.seen.iter().filter_map(|seen| order.principal_of(seen)).cloned());
        let idle = survey.idle.iter().flat_map(|connection| &connection.users);
        self.alive.extend(idle.filter(|user| !order.parts_naming(user).is_empty()).cloned());
    }

    /// Who was seen at work or logged in.
    pub fn alive(&self) -> &HashSet<Principal> {
        &self.alive
    }

    /// Of the look before the kill; `None` where it was not finished.
    pub fn found(&self) -> Option<&[Seen]> {
        self.before.as_deref()
    }

    /// Whether there was anything to cut, as far as is known.
    pub fn found_anything(&self) -> bool {
        self.before.as_ref().is_none_or(|before| !before.is_empty()) || self.returned().next().is_some()
    }

    /// Still there at the last look though it began before the kill.
    pub fn left(&self) -> &[Seen] {
        &self.latest.left
    }

    /// What is there still, as far as is known: of the last look after the kill or, where there was
    /// none, of the one before.
    pub fn remaining(&self) -> impl Iterator<Item = &Seen> {
        let before = self.before.iter().flatten().filter(|seen| self.present.contains(&seen.identity));
        let (before, after) = match self.looked {
            true => (None, Some(self.latest.left.iter())),
            false => (Some(before), None),
        };
        before.into_iter().flatten().chain(after.into_iter().flatten())
    }

    /// What is left and not about to end, of what is `wanted`; what returned is not asked for.
    pub fn next_of_left(&self, wanted: impl Fn(&Seen) -> bool) -> Next {
        let left = || self.latest.left.iter().filter(|seen| wanted(seen));
        if left().any(|seen| !seen.pending) {
            Next::Kill
        } else if left().next().is_some() {
            Next::Wait
        } else {
            Next::Nothing
        }
    }

    /// Since when, by the member's clock, things have returned.
    pub fn acknowledged_at(&self) -> Option<Timestamp> {
        self.acknowledged
    }

    /// Everything that came back, ended or not.
    pub fn returned(&self) -> impl Iterator<Item = &Seen> {
        let is_left = |identity: &Identity| self.latest.left.iter().any(|seen| seen.identity == *identity);
        let gone = self.doubtful.iter().filter(move |(identity, _)| !is_left(identity)).map(|(_, seen)| seen);
        self.returned.values().chain(gone)
    }

    /// Of what came back, what the last look still showed.
    pub fn returned_active(&self) -> &[Seen] {
        &self.latest.returned
    }

    /// On connections that also carry somebody else.
    pub fn shared(&self) -> &[Seen] {
        &self.latest.shared
    }

    /// Logged in, and doing nothing.
    pub fn idle(&self) -> &[IdleConnection] {
        &self.latest.idle
    }

    /// Idle cursors of nobody knows whom.
    pub fn unattributable_cursors(&self) -> u64 {
        self.latest.unattributable_cursors
    }
}

fn sessionless<'a>(order: &Order, seen: impl Iterator<Item = &'a Seen>) -> HashSet<Identity> {
    seen.filter(|seen| needs_kill_op(order, seen)).map(|seen| seen.identity.clone()).collect()
}

/// Whether only `killOp` ends it: an operation outside every session of theirs, and theirs alone.
pub fn needs_kill_op(order: &Order, seen: &Seen) -> bool {
    matches!(seen.identity, Identity::Operation { .. })
        && !seen.pending
        && !order.reaches(seen)
        && order.is_theirs_alone(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::CaseId,
        pattern::SessionId,
        principal::Principals,
        terminate::{Evidence, Kind, order::Part},
    };
    use jiff::ToSpan;
    use uuid::Uuid;

    fn alice() -> Principal {
        Principal::new("alice", "admin").unwrap()
    }

    fn order() -> Order {
        let part =
            Part { case: CaseId::of_event("/s", "1"), principals: Principals::new([alice()]).unwrap() };
        Order::new(Uuid::nil(), vec![part]).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + second.seconds()
    }

    fn operation(opid: i64, users: &[&str], in_session: bool) -> Seen {
        Seen {
            identity: Identity::Operation { connection: 1, opid: opid.to_string() },
            part_of: None,
            session: in_session.then(|| SessionId { id: Uuid::nil(), uid: alice().digest() }),
            users: users.iter().map(|user| user.parse().unwrap()).collect(),
            strangers: false,
            began: Some(at(10)),
            pending: false,
            evidence: Evidence::of(Kind::Operation),
        }
    }

    fn survey(seen: Vec<Seen>) -> Survey {
        Survey { seen, ..Survey::default() }
    }

    fn watch(before: Vec<Seen>) -> Watch {
        let mut watch = Watch::default();
        watch.before(&order(), survey(before));
        watch.acknowledged(at(20));
        watch
    }

    #[test]
    fn what_was_there_before_the_kill_is_left_over() {
        let seen = operation(1, &["alice@admin"], true);
        let mut watch = watch(vec![seen.clone()]);
        assert_eq!(watch.after(&order(), survey(vec![seen])), Next::Kill);
        assert_eq!((watch.left().len(), watch.returned().count()), (1, 0));
    }

    #[test]
    fn what_began_after_the_acknowledgement_is_the_client_coming_back() {
        let mut watch = watch(vec![operation(1, &["alice@admin"], true)]);
        let back = Seen { began: Some(at(21)), ..operation(2, &["alice@admin"], true) };
        assert_eq!(watch.after(&order(), survey(vec![back])), Next::Kill);
        assert_eq!((watch.left().len(), watch.returned().count()), (0, 1));
        assert_eq!(watch.after(&order(), survey(vec![])), Next::Nothing);
        assert_eq!((watch.returned_active().len(), watch.returned().count()), (0, 1));
    }

    #[test]
    fn a_thing_without_a_beginning_is_left_over() {
        let mut watch = watch(vec![]);
        let unclear = Seen { began: None, ..operation(3, &["alice@admin"], true) };
        watch.after(&order(), survey(vec![unclear]));
        assert_eq!(watch.left().len(), 1);
    }

    #[test]
    fn a_killed_operation_that_is_still_ending_is_waited_for_and_not_killed_again() {
        let seen = operation(1, &["alice@admin"], true);
        let mut watch = watch(vec![seen.clone()]);
        let pending = Seen { pending: true, ..seen };
        assert_eq!(watch.after(&order(), survey(vec![pending])), Next::Wait);
        assert_eq!(watch.left().len(), 1, "and it is left if nobody waits");
    }

    #[test]
    fn an_operation_that_also_carries_somebody_else_is_never_ours_to_kill() {
        let shared = operation(1, &["alice@admin", "bob@admin"], false);
        let mut watch = watch(vec![shared.clone()]);
        assert_eq!(watch.after(&order(), survey(vec![shared])), Next::Nothing);
        assert_eq!(watch.shared().len(), 1);
        assert!(watch.sessionless_now(&order()).is_empty());
    }

    #[test]
    fn an_operation_without_a_session_needs_kill_op() {
        let mut watch = Watch::default();
        watch.before(
            &order(),
            survey(vec![operation(1, &["alice@admin"], false), operation(2, &["alice@admin"], true)]),
        );
        let only = Identity::Operation { connection: 1, opid: "1".into() };
        assert_eq!(watch.sessionless_before(&order()), HashSet::from([only]));
    }

    #[test]
    fn what_outran_the_kill_is_left_over_while_it_runs_and_returned_when_it_is_gone() {
        let mut watch = watch(vec![]);
        let close = Seen { began: Some(at(20)), ..operation(2, &["alice@admin"], true) };
        assert_eq!(watch.after(&order(), survey(vec![close.clone()])), Next::Kill);
        assert_eq!((watch.left().len(), watch.returned().count()), (1, 0));
        let pending = Seen { pending: true, ..close };
        assert_eq!(watch.after(&order(), survey(vec![pending])), Next::Wait);
        assert_eq!((watch.left().len(), watch.returned().count()), (1, 0));
        watch.after(&order(), survey(vec![]));
        assert_eq!((watch.left().len(), watch.returned().count()), (0, 1));
    }

    #[test]
    fn what_the_first_kill_reached_did_not_come_back() {
        let mut watch = watch(vec![]);
        let reached = Seen { began: Some(at(20)), pending: true, ..operation(2, &["alice@admin"], true) };
        watch.after(&order(), survey(vec![reached]));
        watch.after(&order(), survey(vec![]));
        assert_eq!((watch.left().len(), watch.returned().count()), (0, 0));
    }

    #[test]
    fn what_is_not_wanted_is_neither_killed_again_nor_waited_for() {
        let seen = operation(1, &["alice@admin"], true);
        let mut watch = watch(vec![seen.clone()]);
        assert_eq!(watch.after(&order(), survey(vec![seen])), Next::Kill);
        assert_eq!(watch.next(|_| false), Next::Nothing);
        assert_eq!(watch.left().len(), 1, "but it is left over");
    }

    #[test]
    fn after_a_restart_whatever_runs_came_back() {
        let seen = operation(1, &["alice@admin"], true);
        let mut watch = watch(vec![seen.clone()]);
        watch.restarted();
        watch.after(&order(), survey(vec![seen]));
        assert_eq!((watch.left().len(), watch.returned().count()), (0, 1));
    }
}
