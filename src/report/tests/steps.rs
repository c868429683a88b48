//! What the outcome of a job's step says.

use super::*;
use crate::{
    case::CaseId,
    jobs::{Approval, Cancel, Ended, Given, Job, Kind, Ruling, Said, Saying, Work},
};

/// As its trigger's batch has left it, read back from the topic; decided at [`now`].
fn job() -> Job {
    let one = Terminated {
        decided: Decided { case: case(), decision: Decision::Terminate(plan()) },
        termination: Some(partial(true)),
    };
    let (job, record) = deferring::deferring(12).creation(&one, now()).unwrap().unwrap();
    Job::read_creation(job.case_id, job.n, &record.value.unwrap()).unwrap()
}

/// One that waits.
fn parked() -> Job {
    let one = terminated(awaiting(), None);
    deferring::deferring(12).creation(&one, now()).unwrap().unwrap().0
}

fn ruling() -> Ruling {
    let at = at("2026-11-25T01:04:00.5Z");
    Ruling { case_id: case().id, n: None, at, by: Some("mmeier".to_owned()), reason: None }
}

/// Said at the third attempt, of which the second outcome was the last.
fn step(saying: Saying) -> Said {
    let is_done = saying == Saying::Final(Ended::Done);
    let mut job = Job { seq: 2, attempts: 3, ..job() };
    if matches!(saying, Saying::Final(Ended::Denied(_) | Ended::Expired)) {
        job = Job { seq: 2, work: Work::default(), ..parked() };
    }
    if is_done {
        for node in &mut job.work.0[0].nodes {
            node.left = None;
            node.report = NodeReport { host: node.report.host.clone(), ..super::node(NodeStatus::Clean) };
        }
    }
    Said {
        seq: 3,
        saying,
        clusters: job.work.reports(),
        principals: job.principals.everybody().to_vec(),
        cumulative: job.work.cumulative(),
        maybe_rerun: true,
        job: Arc::new(job),
    }
}

fn cancel() -> Cancel {
    let (by, reason) = (Some("mmeier".to_owned()), Some("a drill".to_owned()));
    Cancel { case_id: case().id, n: 0, at: at("2026-11-25T01:04:00.5Z"), by, reason }
}

fn reinstated() -> Ended {
    let (one, other) = (CaseId::of_event("/hr", "9"), CaseId::of_event("/hr", "10"));
    Ended::Reinstated(vec![
        (alice(), one),
        ("bob@admin".parse().unwrap(), other),
        ("c@d".parse().unwrap(), one),
    ])
}

/// Every way in which a case goes on or ends.
pub(super) fn every_kind() -> Vec<Said> {
    let all = vec![
        Saying::Deferred { due: at("2026-11-25T01:05:00.123Z") },
        Saying::Final(Ended::Done),
        Saying::Final(Ended::GaveUp),
        Saying::Final(Ended::TooLarge),
        Saying::Final(Ended::Cancelled(Arc::new(cancel()))),
        Saying::Final(reinstated()),
        Saying::Final(Ended::Denied(Arc::new(ruling()))),
        Saying::Final(Ended::Expired),
    ];
    for saying in &all {
        // A new one does not compile until it stands in the list above.
        match saying {
            Saying::Deferred { .. }
            | Saying::Final(
                Ended::Done
                | Ended::GaveUp
                | Ended::TooLarge
                | Ended::Cancelled(_)
                | Ended::Reinstated(_)
                | Ended::Denied(_)
                | Ended::Expired,
            ) => {}
        }
    }
    all.into_iter().map(step).collect()
}

fn name(said: &Said) -> &'static str {
    match &said.saying {
        Saying::Deferred { .. } => "deferred",
        Saying::Final(Ended::Done) => "done",
        Saying::Final(Ended::GaveUp) => "gave_up",
        Saying::Final(Ended::TooLarge) => "too_large",
        Saying::Final(Ended::Cancelled(_)) => "cancelled",
        Saying::Final(Ended::Reinstated(_)) => "reinstated",
        Saying::Final(Ended::Denied(_)) => "denied",
        Saying::Final(Ended::Expired) => "expired",
    }
}

/// Two minutes and a bit after it was decided.
fn later() -> Timestamp {
    at("2026-11-25T01:04:08.9Z")
}

fn detail(ended: Ended) -> String {
    said(&speaker(), &step(Saying::Final(ended)), later()).data.detail.unwrap()
}

#[test]
fn each_step_of_a_job_has_its_outcome() {
    for step in every_kind() {
        let outcome = said(&speaker(), &step, later());
        for form in [Form::Full, Form::Minimal] {
            assert_valid(&envelope(&outcome, form)["data"]);
        }
        insta::assert_json_snapshot!(name(&step), envelope(&outcome, Form::Full));
    }
}

#[test]
fn only_what_is_tried_again_is_not_final_and_every_step_counts_on() {
    for step in every_kind() {
        let outcome = said(&speaker(), &step, later());
        assert_eq!(outcome.data.r#final, outcome.data.status != Status::Deferred, "{}", name(&step));
        let case = case().id;
        assert_eq!((outcome.id, outcome.data.previous), (case.outcome(3), Some(case.outcome(2))));
        let decision = if step.job.parked().is_some() { "await_approval" } else { "terminate" };
        assert_eq!((outcome.data.seq, &*outcome.data.decision), (3, decision));
        assert!(outcome.data.maybe_rerun);
    }
}

#[test]
fn what_somebody_has_to_look_at_is_an_alert() {
    let alerts: Vec<String> = every_kind()
        .iter()
        .map(|step| {
            let data = said(&speaker(), step, later()).data;
            format!("{}: {} ({})", name(step), word_of(&data.status).unwrap(), word_of(&data.alert).unwrap())
        })
        .collect();
    assert_eq!(
        alerts,
        [
            "deferred: deferred (warning)",
            "done: terminated (info)",
            "gave_up: partial (error)",
            "too_large: partial (error)",
            "cancelled: cancelled (warning)",
            "reinstated: cancelled (info)",
            "denied: refused (info)",
            "expired: refused (error)",
        ]
    );
}

#[test]
fn an_end_says_how_long_and_how_often_it_was_tried() {
    assert_eq!(detail(Ended::Done), "after 3 attempts in 2m 5s");
    assert_eq!(detail(Ended::GaveUp), "given up after 3 attempts in 2m 5s");
}

#[test]
fn a_cancellation_says_who_wanted_it_when_and_why() {
    assert_eq!(
        detail(Ended::Cancelled(Arc::new(cancel()))),
        "cancelled by mmeier at 2026-11-25T01:04:00Z: a drill"
    );
    assert_eq!(
        detail(Ended::Cancelled(Arc::new(Cancel { by: None, reason: None, ..cancel() }))),
        "cancelled by somebody who gave no name at 2026-11-25T01:04:00Z"
    );
}

#[test]
fn a_reinstatement_is_named_once_however_many_it_brought_back() {
    let detail = detail(reinstated());
    for case in [CaseId::of_event("/hr", "9"), CaseId::of_event("/hr", "10")] {
        assert_eq!(detail.matches(&case.to_string()).count(), 1, "{detail}");
    }
}

#[test]
fn a_case_that_was_let_go_says_by_whom_until_its_end() {
    let released = |expired: bool| {
        let by = (!expired).then(|| "mmeier".to_owned());
        let given = Given { by, reason: None, at: at("2026-11-25T01:04:00Z"), expired };
        let approval = parked().approval.map(|approval| Approval { given: Some(given), ..approval });
        Arc::new(Job { kind: Kind::Deferred, approval, ..parked() })
    };
    let due = at("2026-11-25T01:04:00Z");
    let begins = Said { job: released(false), clusters: Vec::new(), ..step(Saying::Deferred { due }) };
    let data = said(&speaker(), &begins, later()).data;
    assert_eq!(
        (data.status, &*data.decision, data.approver.as_deref()),
        (Status::Deferred, "terminate", Some("mmeier"))
    );
    assert_eq!(data.detail.as_deref(), Some("approved by mmeier at 2026-11-25T01:04:00Z; the kill begins"));
    assert_eq!(data.reason, None);
    let job = Arc::new(Job { attempts: 1, ..Job::clone(&released(true)) });
    let data = said(&speaker(), &Said { job, ..step(Saying::Final(Ended::Done)) }, later()).data;
    assert_eq!(
        (data.detail.as_deref(), data.approver),
        (
            Some("after 1 attempt in 2m 5s; nobody decided until 2026-11-25T01:04:00Z, so it is carried out"),
            None
        )
    );
}

#[test]
fn a_case_that_waits_on_says_what_it_waits_for() {
    let job = Arc::new(parked());
    let due = job.due;
    let waits = Said { job, clusters: Vec::new(), ..step(Saying::Deferred { due }) };
    let data = said(&speaker(), &waits, later()).data;
    let first = outcome_of(awaiting()).data;
    assert_eq!(
        (data.status, data.reason, data.detail, data.decision, data.r#final),
        (first.status, first.reason, first.detail, first.decision, first.r#final)
    );
}

#[test]
fn a_later_outcome_says_of_the_trigger_what_the_first_one_said() {
    let mut case = case();
    case.redriven = 2;
    case.event_time.suspect = true;
    case.trigger.as_mut().unwrap().tags = Tags {
        incident: Some("i".to_owned()),
        ticket: Some("t".to_owned()),
        initiator: Some("n".to_owned()),
        severity: Some("s".to_owned()),
    };
    let one = Terminated {
        decided: Decided { case, decision: Decision::Terminate(plan()) },
        termination: Some(partial(true)),
    };
    let (job, record) = deferring::deferring(12).creation(&one, now()).unwrap().unwrap();
    let job = Job::read_creation(job.case_id, job.n, &record.value.unwrap()).unwrap();
    let step = Said { job: Arc::new(job), ..step(Saying::Final(Ended::GaveUp)) };
    let (first, last) = (outcome(&speaker(), &one, now()), said(&speaker(), &step, later()));
    assert_eq!(first.tracestate, last.tracestate);
    let about_the_trigger = |outcome: &Outcome| {
        let mut data = serde_json::to_value(&outcome.data).unwrap();
        let of_the_step =
            ["seq", "final", "previous", "detail", "alert", "clusters", "cumulative", "maybe_rerun"];
        of_the_step.iter().for_each(|field| data[*field] = Value::Null);
        data
    };
    assert_eq!(about_the_trigger(&first), about_the_trigger(&last));
    assert!(last.data.redriven);
}

#[test]
fn what_nobody_could_count_is_not_called_nothing() {
    let mut unknown = job();
    unknown.work.0[0].nodes.clear();
    assert_eq!(unknown.work.cumulative(), Cumulative::default());
}
