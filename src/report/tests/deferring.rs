//! What is not finished goes on as a job, and whoever runs jobs is told of a reinstatement.

use std::{
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::{
    decode::{Body, Release},
    jobs::{Command, Delays, Job, Key, Kind, Reinstated, Ruling},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// With a state topic of so many partitions.
pub(super) fn deferring(partitions: i32) -> Deferring {
    Deferring {
        give_up_after: DAY,
        delays: Delays::default(),
        partitions: Arc::new(AtomicI32::new(partitions)),
    }
}

fn unfinished(case: Case) -> Terminated {
    Terminated {
        decided: Decided { case, decision: Decision::Terminate(plan()) },
        termination: Some(partial(true)),
    }
}

fn messages(deferring: Option<&Deferring>, all: Vec<Terminated>) -> Vec<Message> {
    report(&speaker(), Uuid::nil(), all, BTreeMap::new(), Claim::default(), deferring, now()).messages
}

/// Of one record: its outcome, and what goes beside it.
fn reported(deferring: &Deferring, one: Terminated) -> (OutcomeData, Vec<Message>) {
    let mut messages = messages(Some(deferring), vec![one]).into_iter();
    match messages.next() {
        Some(Message::Outcome(outcome)) => (outcome.data, messages.collect()),
        other => panic!("an outcome comes first: {other:?}"),
    }
}

#[track_caller]
fn created(beside: &[Message]) -> (&StateRecord, Job) {
    let [Message::State(record)] = beside else { panic!("one creation: {beside:?}") };
    let Key::Create { case, n } = &record.key else { panic!("{}", record.key) };
    (record, Job::read_creation(*case, *n, record.value.as_ref().unwrap()).unwrap())
}

/// The case ends as if nothing was ever deferred.
#[track_caller]
fn assert_final(data: &OutcomeData, beside: &[Message], detail: Option<&str>) {
    assert!(beside.is_empty(), "{beside:?}");
    assert_eq!((data.status, data.r#final, data.alert), (Status::Partial, true, Alert::Error));
    assert_eq!(data.reason.as_deref(), Some("unreachable_members"));
    assert_eq!(data.detail.as_deref(), detail);
    assert_valid(&serde_json::to_value(data).unwrap());
}

#[test]
fn what_is_left_of_a_cut_is_deferred_and_its_job_stands_beside_the_outcome() {
    let (data, beside) = reported(&deferring(7), unfinished(case()));
    assert_eq!((data.status, data.r#final, data.alert), (Status::Deferred, false, Alert::Warning));
    assert_eq!((data.seq, data.reason.as_deref()), (1, Some("unreachable_members")));
    assert_eq!(
        data.detail.as_deref(),
        Some("1 attempt so far; the next is due at 2026-11-25T01:02:05Z, the last at 2026-11-26T01:02:03Z")
    );
    assert_valid(&serde_json::to_value(&data).unwrap());

    let (record, job) = created(&beside);
    // Computed apart from this code: the case's number modulo 7.
    assert_eq!((record.partition, job.partition), (2, 2));
    assert_eq!(record.key.to_string(), format!("{}/create/0", case().id));
    assert_eq!(record.origin, case().origin);
    assert_eq!((job.n, job.seq, job.attempts, job.give_up_at), (0, 1, 1, at("2026-11-26T01:02:03Z")));
    assert_eq!(job.principals.targets().iter().collect::<Vec<_>>(), [&alice()]);
    assert!(!job.work.is_done());
    let encoded = Message::State(record.clone()).encode(Form::Full);
    assert_eq!((encoded.partition, encoded.key), (Some(2), Some(record.key.to_string().into_bytes())));
    let schema = serde_json::from_str(include_str!("../../../schemas/state.v1.schema.json")).unwrap();
    assert_valid_by(&validator(&schema), &serde_json::from_slice(&encoded.value.unwrap()).unwrap());
}

#[test]
fn a_redriven_case_has_a_job_under_the_number_of_its_redrive() {
    let (data, beside) = reported(&deferring(12), unfinished(Case { redriven: 2, ..case() }));
    let (record, job) = created(&beside);
    assert_eq!(record.key.to_string(), format!("{}/create/2", case().id));
    assert_eq!((job.n, job.facts.redriven_at, data.redriven), (2, case().origin.timestamp(), true));
}

#[test]
fn those_who_are_spared_are_in_the_job_and_not_hunted() {
    let mut one = unfinished(case());
    let spared = PrincipalReport {
        spared: true,
        spared_because: Some(SparedBecause::Protected),
        ..partial(true).principals.remove(0)
    };
    let bob = PrincipalReport { user: "bob".to_owned(), ..spared };
    one.termination.as_mut().unwrap().principals.push(bob);
    let (_, beside) = reported(&deferring(1), one);
    let (_, job) = created(&beside);
    assert_eq!((job.principals.everybody().len(), job.principals.targets().len()), (2, 1));
}

#[test]
fn the_last_attempt_is_never_later_than_the_end() {
    let short = Deferring { give_up_after: Duration::from_millis(10), ..deferring(1) };
    let (_, beside) = reported(&short, unfinished(case()));
    let (_, job) = created(&beside);
    assert_eq!(job.due, job.give_up_at);
}

#[test]
fn a_case_that_cannot_be_deferred_ends_as_before_and_says_why() {
    let unknown = deferring(0);
    let (data, beside) = reported(&unknown, unfinished(case()));
    let why = "not deferred: how many partitions `kafka.state` has is not known yet";
    assert_final(&data, &beside, Some(why));
    unknown.partitions.store(3, Ordering::Relaxed);
    assert_eq!(reported(&unknown, unfinished(case())).0.status, Status::Deferred, "as soon as it is known");

    let (data, beside) = reported(&deferring(12), unfinished(Case { redriven: 101, ..case() }));
    assert_final(
        &data,
        &beside,
        Some("not deferred: the event was redriven 101 times, and a job counts up to 100"),
    );

    let mut crowd = unfinished(case());
    let one = partial(true).principals.remove(0);
    crowd.termination.as_mut().unwrap().principals = (0..20_000)
        .map(|i| PrincipalReport { user: format!("a long name {i:040}"), ..one.clone() })
        .collect();
    let (data, beside) = reported(&deferring(12), crowd);
    let detail = data.detail.clone().unwrap();
    assert!(detail.starts_with("not deferred: what is left takes ") && detail.contains("900000"), "{detail}");
    assert_final(&data, &beside, Some(&detail));
}

#[test]
fn nothing_is_deferred_that_nobody_wants_deferred() {
    let nothing = Deferring { give_up_after: Duration::ZERO, ..deferring(12) };
    let (data, beside) = reported(&nothing, unfinished(case()));
    assert_final(&data, &beside, None);

    let canary = Case { rule: Some(canary::RULE.into()), ..case() };
    let (data, beside) = reported(&deferring(12), unfinished(canary));
    assert_final(&data, &beside, None);

    let hopeless = Terminated { termination: Some(partial(false)), ..unfinished(case()) };
    let (data, beside) = reported(&deferring(12), hopeless);
    assert_final(&data, &beside, None);

    let [Message::Outcome(outcome)] = &messages(None, vec![unfinished(case())])[..] else { panic!() };
    assert_final(&outcome.data, &[], None);
}

#[test]
fn a_case_that_waits_is_a_job_of_which_nothing_was_tried() {
    let (data, beside) = reported(&deferring(7), terminated(awaiting(), None));
    assert_eq!((data.status, data.r#final, data.alert), (Status::AwaitingApproval, false, Alert::Warning));
    assert_eq!((data.seq, data.reason.as_deref(), data.principals.len()), (1, Some("cap_exceeded"), 1));
    assert_eq!(
        data.detail.as_deref(),
        Some("4 are named, 3 allowed; waits for approval until 2026-11-25T02:02:03Z, and is refused then")
    );
    assert_valid(&serde_json::to_value(&data).unwrap());
    let (_, job) = created(&beside);
    assert_eq!((job.kind, job.attempts, job.due), (Kind::Approval, 0, at("2026-11-25T02:02:03Z")));
    assert_eq!(job.give_up_at, at("2026-11-26T02:02:03Z"), "a day from then on");
    assert_eq!(job.principals.targets().len(), 1);
    assert!(!job.work.is_done());
}

#[test]
fn what_cannot_wait_is_refused_and_nobody_is_cut() {
    let one = || terminated(awaiting(), None);
    let mut nowhere = messages(None, vec![one()]).into_iter();
    let Some(Message::Outcome(nowhere)) = nowhere.next() else { panic!("an outcome") };
    let (unknown, beside) = reported(&deferring(0), one());
    assert!(beside.is_empty());
    for data in [nowhere.data, unknown] {
        assert_eq!((data.status, data.r#final, data.alert), (Status::Refused, true, Alert::Error));
        assert_eq!(data.reason.as_deref(), Some("cap_exceeded"));
        assert!(data.detail.as_ref().unwrap().starts_with("it cannot wait: "), "{:?}", data.detail);
        assert_valid(&serde_json::to_value(&data).unwrap());
    }
}

#[test]
fn an_approval_and_a_denial_are_told_to_whoever_has_the_case() {
    let waits = CaseId::of_event("/s", "1");
    let of = |body| {
        let mut case = case();
        case.trigger.as_mut().unwrap().body = body;
        let (data, beside) = reported(
            &deferring(0),
            Terminated { decided: Decided { case, decision: Decision::Acknowledge }, termination: None },
        );
        assert_eq!((data.status, data.r#final), (Status::Acknowledged, true));
        let [Message::Command(record)] = beside.as_slice() else { panic!("{beside:?}") };
        assert_eq!(record.key, waits);
        Command::read(&record.value).unwrap()
    };
    let approver = || "ann".to_owned();
    let ruling =
        Ruling { case_id: waits, n: None, at: case().event_time.at, by: Some(approver()), reason: None };
    assert_eq!(of(Body::Approved { case: waits, approver: approver() }), Command::Approve(ruling.clone()));
    assert_eq!(of(Body::Denied { case: waits, approver: approver() }), Command::Deny(ruling));
}

fn reinstatement(principals: Vec<Principal>, releases: Vec<Release>) -> Terminated {
    let principals = Principals::new(principals).unwrap();
    let body = Body::Reinstated { principals, releases };
    let mut case = case();
    case.trigger.as_mut().unwrap().body = body;
    case.event_time.at = at("2026-11-25T01:00:00Z");
    Terminated {
        decided: Decided { case, decision: Decision::Release { cancels: Vec::new() } },
        termination: None,
    }
}

fn told(beside: &[Message]) -> Vec<Reinstated> {
    let one = |message: &Message| {
        let Message::Command(record) = message else { panic!("{message:?}") };
        assert_eq!((record.key, &record.origin), (case().id, &case().origin));
        match Command::read(&record.value).unwrap() {
            Command::Reinstated(reinstated) => reinstated,
            other @ (Command::Cancel(_) | Command::Approve(_) | Command::Deny(_)) => panic!("{other:?}"),
        }
    };
    beside.iter().map(one).collect()
}

#[test]
fn a_reinstatement_is_told_to_whoever_runs_jobs_also_where_nothing_is_deferred_any_more() {
    let releases = vec![Release::Class(Class::Compromise), Release::Case(CaseId::of_event("/s", "1"))];
    for give_up_after in [DAY, Duration::ZERO] {
        let deferring = Deferring { give_up_after, ..deferring(0) };
        let (data, beside) = reported(&deferring, reinstatement(vec![alice()], releases.clone()));
        assert_eq!((data.status, data.r#final), (Status::Released, true));
        let expected = Reinstated {
            case_id: case().id,
            at: at("2026-11-25T01:00:00Z"),
            origin: case().origin,
            principals: vec![alice()],
            releases: releases.clone(),
        };
        assert_eq!(told(&beside), [expected]);
    }
    assert_eq!(messages(None, vec![reinstatement(vec![alice()], releases)]).len(), 1);
}

#[test]
fn a_reinstatement_of_a_crowd_from_many_cases_is_told_in_parts_that_fit() {
    let crowd: Vec<Principal> =
        (0..20_000).map(|i| Principal::new(format!("user {i:040}"), "admin").unwrap()).collect();
    let releases: Vec<Release> =
        (0..12_000).map(|i| Release::Case(CaseId::of_event("/s", &i.to_string()))).collect();
    let (data, beside) = reported(&deferring(1), reinstatement(crowd.clone(), releases.clone()));
    assert_eq!(data.detail, None);
    let parts = told(&beside);
    let pairs: usize = parts.iter().map(|part| part.principals.len() * part.releases.len()).sum();
    assert_eq!(pairs, crowd.len() * releases.len(), "each is released from each, once");
}

#[test]
fn a_reinstatement_that_cannot_be_told_is_an_error() {
    let endless = Principal::new("x".repeat(1_000_000), "admin").unwrap();
    let releases = vec![Release::Class(Class::Compromise)];
    let (data, beside) = reported(&deferring(1), reinstatement(vec![endless], releases));
    assert!(beside.is_empty());
    assert_eq!((data.status, data.alert), (Status::Released, Alert::Error));
    assert!(data.detail.unwrap().starts_with("work that is not finished is not told: "));
}

/// One record of a batch, and whether something is left of it.
fn any_terminated() -> impl Strategy<Value = Terminated> {
    let decisions = prop::sample::select(every_decision());
    (decisions, any::<bool>(), any::<bool>(), 0..103_u32, any::<u16>()).prop_map(
        |(decision, cut, left, redriven, id)| {
            let termination = match &decision {
                Decision::Terminate(_) | Decision::Simulate(_) if cut => Some(partial(left)),
                _ => None,
            };
            let case = Case { id: CaseId::of_event("/s", &id.to_string()), redriven, ..case() };
            Terminated { decided: Decided { case, decision }, termination }
        },
    )
}

proptest! {
    #[test]
    fn a_batch_has_one_outcome_a_record_and_a_creation_for_each_that_is_deferred(
        batch in prop::collection::vec(any_terminated(), 0..20),
        partitions in prop::option::of(0..4_i32),
    ) {
        let cases: Vec<(CaseId, bool)> = batch
            .iter()
            .map(|one| (one.decided.case.id, matches!(one.decided.decision, Decision::Defer { .. })))
            .collect();
        let deferring = partitions.map(deferring);
        let messages = messages(deferring.as_ref(), batch);
        let mut outcomes = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            match message {
                Message::Outcome(outcome) => outcomes.push((outcome, messages.get(index + 1))),
                Message::State(_) => prop_assert!(
                    matches!(messages.get(index.wrapping_sub(1)), Some(Message::Outcome(before))
                        if matches!(before.data.status, Status::Deferred | Status::AwaitingApproval)),
                    "a creation without its outcome"
                ),
                Message::DeadLetter(_) | Message::Command(_) => {}
            }
        }
        prop_assert_eq!(outcomes.len(), cases.len());
        for ((outcome, next), (case, is_dated)) in outcomes.into_iter().zip(cases) {
            prop_assert_eq!(outcome.data.case_id, case);
            let is_deferred =
                matches!(outcome.data.status, Status::Deferred | Status::AwaitingApproval) && !is_dated;
            let creates = match next {
                Some(Message::State(record)) => {
                    prop_assert_eq!(record.key.case(), Some(case));
                    prop_assert_eq!(case.home(partitions.unwrap_or(0)), Some(record.partition));
                    true
                }
                _ => false,
            };
            prop_assert_eq!(is_deferred, creates);
            prop_assert!(!is_deferred || !outcome.data.r#final);
        }
    }
}

#[test]
fn where_not_the_same_people_are_cut_on_every_cluster_nobody_is_hunted_later() {
    let spread = |other: &str| {
        let who = |user: &str| vec![crate::principal::Principal::new(user, "admin").unwrap()];
        let by_cluster = [("orders".into(), who("jsmith")), ("lab".into(), who(other))];
        crate::decide::Spread::new(by_cluster).map(crate::decide::Target::Spread).unwrap()
    };
    let one = |other: &str| {
        let plan = crate::decide::Plan {
            clusters: vec!["orders".into(), "lab".into()],
            target: spread(other),
            ..plan()
        };
        let unfinished = unfinished(case());
        Terminated {
            decided: Decided { decision: Decision::Terminate(plan), ..unfinished.decided },
            ..unfinished
        }
    };
    let (data, beside) = reported(&deferring(4), one("jsmith"));
    assert_eq!((data.status, beside.len()), (Status::Deferred, 1));
    let (data, beside) = reported(&deferring(4), one("somebody-else"));
    assert_final(&data, &beside, Some("not deferred: not the same people are cut on every cluster"));
}
