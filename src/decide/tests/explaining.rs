//! An explanation says what `decide` decided, and why.

use super::*;
use crate::decide::explain;

const ALARM: &str = "com.example.alarm";

impl World {
    fn explain(&self, said: Vec<Said>) -> Vec<Explanation> {
        let decoded = said.into_iter().enumerate().map(|(index, said)| said.decoded(index)).collect();
        explain(&self.policy, decoded, &self.context)
    }

    fn explain_one(&self, said: Said) -> Trace {
        self.explain(vec![said]).remove(0).trace.expect("it can be read")
    }
}

fn answers(trace: &Trace) -> Vec<String> {
    let word = |asked: &Asked| match &asked.answer {
        None => "not asked".to_owned(),
        Some(Answer::Deaf) => "deaf".to_owned(),
        Some(Answer::No) => "no".to_owned(),
        Some(Answer::Yes) => "yes".to_owned(),
        Some(Answer::Failed(error)) => format!("failed: {}", error.why()),
    };
    trace.rules.iter().map(|asked| format!("{} {}", asked.rule, word(asked))).collect()
}

fn alarms() -> World {
    world().rules([
        rule("deaf", Class::Request, "com.example.other", "", "event.data.who"),
        rule("no", Class::Request, ALARM, "event.data.level > 5", "event.data.who"),
        rule("yes", Class::Compromise, ALARM, "event.data.level > 3", "event.data.who"),
        rule("later", Class::Request, ALARM, "", "event.data.who"),
    ])
}

#[test]
fn every_rule_is_told_with_what_it_said_and_what_it_read() {
    let trace = alarms().explain_one(said(ALARM, json!({"level": 4, "who": named(&["a@admin"])})));
    assert_eq!(answers(&trace), ["deaf deaf", "no no", "yes yes", "later not asked"]);
    let readings: Vec<_> = trace.rules.iter().map(|asked| asked.readings.len()).collect();
    assert_eq!(readings, [0, 1, 1, 0], "a condition that was not evaluated read nothing");
    assert_eq!(
        trace.rules[1].readings[0],
        Reading { path: "event.data.level".to_owned(), value: Some(json!(4)) }
    );
    let meaning = trace.meaning.expect("a rule matched");
    assert_eq!((&*meaning.rule, meaning.class), ("yes", Class::Compromise));
    assert_eq!(meaning.age.timeliness, Timeliness::InTime);
}

#[test]
fn a_rule_that_fails_ends_the_search_and_says_what_was_missing() {
    let trace = alarms().explain_one(said(ALARM, json!({"who": named(&["a@admin"])})));
    let failed = "no failed: the event has no `level`";
    assert_eq!(answers(&trace), ["deaf deaf", failed, "yes not asked", "later not asked"]);
    assert_eq!(trace.rules[1].readings[0].value, None);
    assert!(trace.meaning.is_none());
}

#[test]
fn what_is_answered_before_any_rule_asks_none() {
    let trace = world().explain_one(reinstated(&["a@admin"]));
    assert!(trace.rules.iter().all(|asked| asked.answer.is_none()));
    assert!(trace.meaning.is_none());
}

#[test]
fn what_would_come_behind_the_first_no_is_told_too() {
    let old = compromised(&["a@admin", "b@admin", "c@admin", "me@admin"]).time("2026-11-01T00:00:00Z");
    let explained = world().explain(vec![old]).remove(0);
    assert!(matches!(explained.decided.decision, Decision::Expired { .. }));
    let meaning = explained.trace.and_then(|trace| trace.meaning).expect("a rule matched");
    assert_eq!(meaning.age.timeliness, Timeliness::Expired);
    assert!(meaning.is_above_cap());
    let guards = meaning.guards.expect("they were asked").expect("they could answer");
    assert_eq!(guards[3].guard, Some(Guard::OwnAccount("orders".into())));
    assert!(guards[..3].iter().all(|whom| whom.guard.is_none()));
}

#[test]
fn each_who_is_spared_is_told_with_the_entry_that_spares_them() {
    let guarded = world().protect([
        Protected::Database("vault".to_owned()),
        Protected::Pattern(Glob::new("svc-*@admin").unwrap().compile_matcher()),
    ]);
    let trace = guarded.explain_one(compromised(&["svc-x@admin", "x@vault", "__system@local"]));
    let guards = trace.meaning.and_then(|meaning| meaning.guards).expect("they were asked").unwrap();
    let guards: Vec<_> = guards.into_iter().map(|whom| whom.guard).collect();
    assert_eq!(guards, [Some(Guard::Entry(1)), Some(Guard::Entry(0)), Some(Guard::Internal)]);
    let names: Vec<_> = guarded.policy.protected.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["everybody of vault", "svc-*@admin"]);
}

#[test]
fn a_guard_that_cannot_be_asked_names_the_cluster() {
    let mut world = world();
    world.context.own_accounts.remove("lab");
    let meaning = world.explain_one(compromised(&["a@admin"])).meaning.expect("a rule matched");
    assert_eq!(meaning.guards, Some(Err("lab".into())));
}

#[test]
fn whether_the_topic_may_say_it_is_told() {
    let compromised = || compromised(&["a@admin"]);
    assert_eq!(world().explain_one(compromised()).pass, Pass::Accepted);
    assert_eq!(world().explain_one(compromised().from(Origin::Local)).pass, Pass::NotJudged);
    let elsewhere = world().explain_one(compromised().on("elsewhere", 0, 1, None));
    assert_eq!(elsewhere.pass, Pass::Distrusted(crate::ingest::Distrust::Type));
}

#[test]
fn what_cannot_be_read_has_a_decision_and_no_trace() {
    let explained = world().explain(vec![said("io.severance.account.compromised.v1", json!({}))]).remove(0);
    assert!(matches!(explained.decided.decision, Decision::Undecodable(_)));
    assert!(explained.trace.is_none());
}
