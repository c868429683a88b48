//! The merged plans of a batch: who wants what, and who did the cutting.

use super::*;
use crate::{
    pattern::{Pattern, SessionId},
    terminate::survey::{Identity, Seen},
};

fn operation(users: &[&str], uid: Option<&str>) -> Seen {
    Seen {
        identity: Identity::Operation { connection: 1, opid: "1".to_owned() },
        part_of: None,
        session: uid.map(|name| SessionId { id: Uuid::nil(), uid: who(name).digest() }),
        users: users.iter().map(|name| who(name)).collect(),
        strangers: false,
        began: None,
        pending: false,
        evidence: Evidence::of(Kind::Operation),
    }
}

fn three() -> Order {
    order(vec![part("1", &["a@x", "b@x"]), part("2", &["b@x"]), part("3", &["c@x", "a@x"])])
}

#[test]
fn nobody_wants_nothing() {
    assert!(Order::new(Uuid::nil(), Vec::new()).is_none());
}

#[test]
fn each_person_is_one_pattern_however_many_cases_name_them() {
    let order = three();
    let uids: Vec<_> = order.patterns().iter().flat_map(|patterns| patterns.iter().copied()).collect();
    assert_eq!(uids, ["a@x", "b@x", "c@x"].map(|name| Pattern::Uid(who(name).digest())));
    assert_eq!(order.comment().cases, ["1", "2", "3"].map(case_of));
}

#[test]
fn a_kill_for_some_cases_names_them_and_their_people_only() {
    let order = three();
    let others = order.others(|index| index == 0);
    let (patterns, comment) = order.only(&others);
    let uids: Vec<_> = patterns.iter().flat_map(|patterns| patterns.iter().copied()).collect();
    assert_eq!(uids, ["b@x", "c@x", "a@x"].map(|name| Pattern::Uid(who(name).digest())));
    assert_eq!(comment.cases, ["2", "3"].map(case_of));
    assert!(order.only(&[]).0.is_empty(), "and nobody is no command at all");
}

#[test]
fn a_comment_names_so_many_cases_at_most() {
    let parts = (0..1_000).map(|number| part(&number.to_string(), &["a@x"])).collect();
    assert_eq!(order(parts).comment().cases.len(), 100);
}

#[test]
fn a_thing_belongs_to_every_case_that_names_its_owner() {
    let order = three();
    assert_eq!(order.owners(&operation(&[], Some("a@x"))), [0, 2]);
    assert_eq!(order.owners(&operation(&["b@x"], None)), [0, 1]);
    assert_eq!(order.owners(&operation(&["b@x", "c@x"], Some("b@x"))), [0, 1, 2]);
    assert_eq!(order.owners(&operation(&["d@x"], Some("d@x"))), [0_usize; 0]);
}

#[test]
fn who_it_belongs_to_is_told_by_session_where_no_user_is_shown() {
    let order = three();
    let told = |seen: &Seen| order.principal_of(seen).map(ToString::to_string);
    assert_eq!(told(&operation(&[], Some("c@x"))).as_deref(), Some("c@x"));
    assert_eq!(told(&operation(&["d@x", "b@x"], None)).as_deref(), Some("b@x"));
    assert_eq!(told(&operation(&["d@x"], None)), None);
}

#[test]
fn only_what_belongs_to_nobody_else_is_theirs_alone() {
    let order = three();
    assert!(order.is_theirs_alone(&operation(&["a@x", "c@x"], None)));
    assert!(!order.is_theirs_alone(&operation(&["a@x", "d@x"], None)));
    let beside_a_stranger = Seen { strangers: true, ..operation(&["a@x"], None) };
    assert!(!order.is_theirs_alone(&beside_a_stranger), "somebody whose name we cannot hold");
    assert!(!order.is_theirs_alone(&operation(&[], None)), "of nobody known");
    assert!(order.reaches(&operation(&[], Some("a@x"))) && !order.reaches(&operation(&["a@x"], None)));
}

#[test]
fn the_case_that_did_the_cutting_is_an_earlier_one_that_names_all_of_them() {
    let cut_by =
        |order: &Order| -> Vec<_> { (0..order.parts().len()).map(|index| order.cut_by(index)).collect() };
    assert_eq!(cut_by(&three()), [None, Some(case_of("1")), None], "c is new in the third");
    let split = order(vec![part("1", &["a@x"]), part("2", &["b@x"]), part("3", &["a@x", "b@x"])]);
    assert_eq!(cut_by(&split)[2], Some(case_of("2")), "the last that was needed");
}

#[test]
fn the_plans_of_a_batch_are_sorted_by_cluster_in_their_order() {
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
    let (both, lab) = (names(&["orders", "lab"]), names(&["lab"]));
    let wanted = [
        (both.as_slice(), part("1", &["a@x"])),
        (lab.as_slice(), part("2", &["b@x"])),
        (both.as_slice(), part("3", &["c@x"])),
    ];
    let sorted: Vec<_> = order::by_cluster(wanted)
        .into_iter()
        .map(|(name, parts)| (name.to_string(), parts.into_iter().map(|part| part.case).collect::<Vec<_>>()))
        .collect();
    let cases = |ids: &[&str]| ids.iter().map(|id| case_of(id)).collect::<Vec<_>>();
    assert_eq!(
        sorted,
        [("orders".to_owned(), cases(&["1", "3"])), ("lab".to_owned(), cases(&["1", "2", "3"]))]
    );
}
