//! A hunt on one member: what is left over ends, what returned is not touched.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, ToSpan as _};

use super::{
    fake::{
        FakeCluster,
        Temper::{self, Immortal, Lingering, Mortal},
    },
    *,
};
use crate::{
    pattern::SessionId,
    terminate::{
        hunt::{
            ClusterHunt, NodeHunt,
            means::{Means, means},
        },
        member::ProcessId,
        survey::{Identity, Seen},
    },
};

/// Far enough back that no test gets near it.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + second.seconds()
}

pub fn session(number: u128, user: &str) -> SessionId {
    SessionId { id: Uuid::from_u128(number), uid: who(user).digest() }
}

/// Alice's operation of this number, in a session of that number.
pub fn operation(number: u128, began: Option<Timestamp>) -> Seen {
    Seen {
        identity: named(number),
        part_of: None,
        session: Some(session(number, "alice@admin")),
        users: vec![who("alice@admin")],
        strangers: false,
        began,
        pending: false,
        evidence: Evidence::of(Kind::Operation),
    }
}

pub fn named(number: u128) -> Identity {
    Identity::Operation { connection: 7, opid: number.to_string() }
}

fn cursor(number: u128, began: Timestamp) -> Seen {
    Seen {
        identity: Identity::Cursor(number as i64),
        users: Vec::new(),
        evidence: Evidence::of(Kind::Cursor),
        ..operation(number, Some(began))
    }
}

/// What is left where a kill was acknowledged in second 10 and these are known.
pub fn killed_at_10(numbers: &[u128]) -> Remains {
    Remains {
        process: Some(ProcessId("first".to_owned())),
        killed_at: Some(at(10)),
        leftovers: numbers.iter().map(|number| named(*number)).collect(),
        truncated: false,
    }
}

pub fn node(host: &str, remains: Option<Remains>) -> NodeHunt {
    let outstanding = remains.iter().map(|remains| remains.leftovers.len() as u64).sum();
    NodeHunt { host: host.to_owned(), remains, outstanding }
}

/// For alice, on the one cluster, first tried in second 5.
pub fn hunt(nodes: Vec<NodeHunt>) -> Hunt {
    let Part { case, principals } = part("1", &["alice@admin"]);
    let on = ClusterHunt { name: "orders".into(), asked_at: at(5), nodes };
    Hunt { case, attempt: Uuid::nil(), principals, clusters: vec![on] }
}

pub fn terminator(members: &[&Arc<Fake>], pace: Pace) -> Terminator<FakeCluster> {
    Terminator::new(vec![Arc::new(FakeCluster::of(members))], pace)
}

/// Hunts on one member: what is said of it, and what is left.
async fn on(member: &Arc<Fake>, node: NodeHunt) -> (String, Option<Remains>) {
    let hunted = terminator(&[member], short()).hunt(hunt(vec![node]), || true).await.unwrap();
    assert!(!hunted.stopped);
    let Termination { clusters, mut remains, .. } = hunted.termination;
    (line(&clusters[0].nodes[0]), remains.remove(0).nodes.remove(0).1)
}

fn member_with(things: impl IntoIterator<Item = Seen>) -> Arc<Fake> {
    let member = Fake::new("m:1");
    things.into_iter().for_each(|seen| member.has(seen, Mortal));
    member
}

/// Operations, each of the number of the second in which it began.
fn began_in(seconds: &[i64]) -> Vec<Seen> {
    seconds.iter().map(|second| operation(*second as u128, Some(at(*second)))).collect()
}

#[tokio::test]
async fn what_began_after_the_kill_has_returned_and_lives_on() {
    let member = member_with(began_in(&[9, 10, 11]));
    let (said, left) = on(&member, node("m:1", Some(killed_at_10(&[9])))).await;
    assert_eq!(said, "Clean found 1 killed 2 left 0 returned 1 active 1");
    assert_eq!((member.still_has(), left), (vec![named(11)], None));
    assert_eq!(member.asked(), ["killOp 9", "killOp 10"]);
}

#[tokio::test]
async fn what_is_known_to_be_left_is_hunted_whenever_it_began() {
    let member = member_with([operation(20, Some(at(20))), operation(21, None), operation(22, None)]);
    on(&member, node("m:1", Some(killed_at_10(&[20, 21])))).await;
    assert_eq!(member.still_has(), [named(22)], "all that was there is known, and this is not among it");

    let member = member_with([operation(22, None)]);
    on(&member, node("m:1", Some(Remains { truncated: true, ..killed_at_10(&[20]) }))).await;
    assert!(member.still_has().is_empty(), "it may have been cut from the list");
}

/// Its clock is an hour ahead of ours, give or take a millisecond.
#[tokio::test]
async fn on_a_node_that_never_acknowledged_a_kill_our_own_clock_divides() {
    let hour = SignedDuration::from_hours(1);
    let there = |milliseconds: i64| Some(at(5) + hour + SignedDuration::from_millis(milliseconds));
    for (number, remains) in [(1, None), (2, Some(Remains::default()))] {
        let member = member_with([
            operation(1, there(-1)),
            operation(2, there(1)),
            operation(3, there(2)),
            operation(4, None),
        ]);
        *member.ahead.lock().unwrap() = hour;
        let nodes = remains.map(|remains| node("m:1", Some(remains))).into_iter().collect();
        let hunted = terminator(&[&member], short()).hunt(hunt(nodes), || true).await.unwrap();
        let said = line(&hunted.termination.clusters[0].nodes[0]);
        assert_eq!(said, "Clean found 3 killed 3 left 0 returned 1 active 1", "{number}");
        assert_eq!(member.still_has(), [named(3)], "{number}");
    }
}

#[tokio::test]
async fn once_hunted_a_node_keeps_what_divides_there() {
    let member = member_with(began_in(&[6]));
    member.has(operation(4, Some(at(4))), Immortal);
    let (said, left) = on(&member, node("m:1", Some(Remains::default()))).await;
    assert_eq!(said, "Leftover found 1 killed 0 left 1 returned 1 active 1");
    let left = left.unwrap();
    assert_eq!(left.killed_at, Some(at(5) + SignedDuration::from_millis(1)), "not the hunt's own time");
    assert_eq!((left.process, left.leftovers), (Some(ProcessId("first".to_owned())), vec![named(4)]));
}

#[tokio::test]
async fn another_process_has_nothing_left_and_nothing_is_killed_there() {
    let member = member_with(began_in(&[9, 11]));
    let remains = Remains { process: Some(ProcessId("before".to_owned())), ..killed_at_10(&[9, 3]) };
    let (said, left) = on(&member, node("m:1", Some(remains))).await;
    assert_eq!(said, "EndedByRestart found 0 killed 2 left 0 returned 2 active 2");
    assert_eq!((member.asked().len(), left), (0, None));
}

#[tokio::test]
async fn each_thing_is_ended_by_what_ends_nothing_else() {
    let shared = |number, uid: &str| Seen {
        session: Some(session(number, uid)),
        users: vec![who("alice@admin"), who("bob@admin")],
        ..operation(number, Some(at(1)))
    };
    let transaction = Seen {
        identity: Identity::Transaction { session: session(2, "alice@admin"), number: 1 },
        ..cursor(2, at(1))
    };
    let step = Seen { part_of: Some(Identity::Cursor(3)), ..operation(3, Some(at(1))) };
    let sessionless = Seen { session: None, ..operation(5, Some(at(1))) };
    let member = member_with([
        cursor(1, at(1)),
        transaction,
        step,
        shared(4, "alice@admin"),
        sessionless,
        shared(6, "bob@admin"),
        Seen { began: Some(at(20)), ..shared(7, "bob@admin") },
    ]);
    let (said, left) = on(&member, node("m:1", Some(killed_at_10(&[])))).await;
    assert_eq!(member.asked(), ["killOp 5", "end session 1 2 3 4"]);
    assert_eq!(said, "Leftover found 5 killed 5 left 0 returned 1 active 1 shared 1");
    assert_eq!((member.still_has(), left), (vec![named(6), named(7)], None), "it would end the same");
}

/// Alice works in a session of Bob's: what is in it is his.
#[test]
fn a_session_of_somebody_else_is_never_ended() {
    let alice = order(vec![part("1", &["alice@admin"])]);
    let in_bobs = Seen { session: Some(session(1, "bob@admin")), ..operation(1, Some(at(1))) };
    assert_eq!(means(&alice, &in_bobs, false), Some(Means::Operation("1")));
    assert_eq!(means(&alice, &in_bobs, true), None);
    let step = Seen { part_of: Some(Identity::Cursor(3)), ..in_bobs };
    assert_eq!(means(&alice, &step, false), Some(Means::Operation("1")));
    assert_eq!(means(&alice, &Seen { pending: true, ..step }, false), None);
}

#[tokio::test]
async fn what_is_read_again_and_belongs_to_somebody_else_by_now_is_spared() {
    let member = member_with(began_in(&[9]));
    let stranger = who("bob@admin");
    member.before_look(1, move |seen| seen[0].users.push(stranger));
    let (said, _) = on(&member, node("m:1", Some(killed_at_10(&[9])))).await;
    assert_eq!(member.asked(), ["killOp 9"], "at the look after that it was alone again");
    assert_eq!(said, "Clean found 0 killed 1 left 0");
}

#[tokio::test]
async fn an_attempt_counts_what_was_not_counted_before() {
    for (outstanding, said) in [
        (3, "Clean found 1 killed 4 left 0"),
        // The look before the kill was never finished.
        (0, "Clean found 4 killed 4 left 0"),
        // One began between that look and the kill.
        (2, "Clean found 2 killed 4 left 0"),
        // The list was cut short, and nobody saw those beyond it end.
        (9, "Clean found 0 killed 9 left 0"),
    ] {
        let member = member_with(began_in(&[9, 8]));
        let node = NodeHunt { outstanding, ..node("m:1", Some(killed_at_10(&[1, 2, 9]))) };
        assert_eq!(on(&member, node).await.0, said, "{outstanding}");
    }
}

#[tokio::test]
async fn what_does_not_end_is_left_for_the_next_attempt() {
    for (temper, asked) in [(Immortal, 4), (Lingering, 1)] {
        let member = Fake::new("m:1");
        member.has(operation(9, Some(at(9))), temper);
        let (said, left) = on(&member, node("m:1", Some(killed_at_10(&[9])))).await;
        assert_eq!(said, "Leftover found 0 killed 0 left 1");
        assert_eq!(left, Some(killed_at_10(&[9])), "{temper:?}");
        assert_eq!(member.asked().len(), asked, "once, and verify.rounds times more: {temper:?}");
    }
}

/// What returned is not waited for either.
#[tokio::test]
async fn a_hunt_without_leftovers_is_one_look() {
    let member = Fake::new("m:1");
    member.has(operation(20, Some(at(20))), Temper::Returning(9));
    member.idles(&["alice@admin"], "10.0.0.1");
    let began = tokio::time::Instant::now();
    let hunted = terminator(&[&member], patient());
    let hunted = hunted.hunt(hunt(vec![node("m:1", Some(killed_at_10(&[9])))]), || true).await.unwrap();
    let said = line(&hunted.termination.clusters[0].nodes[0]);
    assert_eq!(said, "Clean found 0 killed 1 left 0 returned 1 active 1 idle 1");
    assert!(began.elapsed() < SOON && member.asked().is_empty());
    assert_eq!(hunted.termination.principals[0].known, Known::Yes);
}

#[tokio::test]
async fn a_right_that_was_taken_away_can_be_given_back() {
    let denied = || error(ErrorClass::Permanent, 13);
    let refused = member_with(began_in(&[9]));
    *refused.survey_error.lock().unwrap() = Some(denied());
    let (said, left) = on(&refused, node("m:1", Some(killed_at_10(&[9])))).await;
    assert_eq!(said, "Unverified found ? killed ? left 0 (13)");
    let nothing_new = Remains { process: Some(ProcessId("first".to_owned())), ..Remains::default() };
    assert_eq!(left, Some(nothing_new));

    let sessions = member_with([cursor(1, at(1))]);
    sessions.kills.lock().unwrap().push_back(Err(denied()));
    let (said, left) = on(&sessions, node("m:1", Some(killed_at_10(&[])))).await;
    assert!(said.starts_with("Leftover found 1 killed 0 left 1"), "{said}");
    assert_eq!(left.unwrap().leftovers, [Identity::Cursor(1)]);

    let operations = member_with(began_in(&[9]));
    *operations.kill_op_error.lock().unwrap() = Some(denied());
    let (said, left) = on(&operations, node("m:1", Some(killed_at_10(&[9])))).await;
    assert_eq!((said.as_str(), left), ("Clean found 0 killed 1 left 0 (13)", None), "its session will do");
    assert_eq!(operations.asked(), ["killOp 9", "end session 9"]);
}

#[tokio::test]
async fn a_member_that_does_not_answer_keeps_what_is_left() {
    let member = member_with(began_in(&[9]));
    member.dead.store(true, Ordering::SeqCst);
    let (said, left) = on(&member, node("m:1", Some(killed_at_10(&[9])))).await;
    assert_eq!(said, "Unreachable found ? killed ? left 0 (no code)");
    assert_eq!(left, Some(Remains::default()), "nothing new is known, so nothing is said");
}

#[tokio::test]
async fn where_it_may_kill_no_longer_nothing_is_begun() {
    let member = member_with(began_in(&[8, 9]));
    let terminator = terminator(&[&member], short());
    let wanted = || hunt(vec![node("m:1", Some(killed_at_10(&[8, 9])))]);
    assert_eq!(terminator.hunt(wanted(), || false).await, None);
    assert!(member.asked().is_empty());

    // Asked at the start, and before each of two commands.
    let asked = AtomicUsize::new(0);
    let hunted = terminator.hunt(wanted(), || asked.fetch_add(1, Ordering::SeqCst) < 2).await.unwrap();
    assert_eq!((member.asked(), hunted.stopped), (vec!["killOp 8".to_owned()], true));
    let Termination { clusters, remains, .. } = hunted.termination;
    assert_eq!(line(&clusters[0].nodes[0]), "Leftover found 0 killed 1 left 1");
    assert_eq!(remains[0].nodes[0].1, Some(killed_at_10(&[9])));
    assert_eq!(asked.into_inner(), 3, "and never asked again");
}
