//! An explanation for programs: one object an event. What is not known is `null`.

use serde_json::{Value, json};

use super::{Desk, detail, kills, plan, reason, status};
use crate::{
    case::SparedBecause,
    decide::{Answer, Asked, Explanation, Guard, Meaning, Pass, Reading, Since, Timeliness},
    edge::mongo_shown,
    principal::Principal,
};

/// One event.
pub fn json(desk: &Desk, explanation: &Explanation, exit: u8) -> Value {
    let Explanation { decided, trace } = explanation;
    let case = &decided.case;
    let event = case.trigger.as_deref().map(|trigger| {
        json!({
            "id": trigger.id,
            "source": trigger.source,
            "type": trigger.kind,
            "subject": trigger.subject,
            "time": trigger.time,
        })
    });
    let plan = plan(&decided.decision);
    let principals = plan.map(|plan| plan.target.principals());
    let spared = case.spared.iter().map(|spared| {
        let because = match spared.because {
            SparedBecause::Protected => "protected",
            SparedBecause::Reinstated => "reinstated",
        };
        json!({"user": spared.principal.user(), "db": spared.principal.db(), "because": because})
    });
    let kills = principals.map(|principals| kills(decided, principals)).unwrap_or_default();
    let commands = plan.into_iter().flat_map(|plan| &plan.clusters).map(|cluster| {
        let each = kills.iter().map(|kill| mongo_shown::extended_json(&kill.patterns, &kill.comment));
        json!({"cluster": cluster, "on": "every data-bearing member", "run": each.collect::<Vec<_>>()})
    });
    json!({
        "event": event,
        "case_id": case.id,
        "event_time": case.event_time.at,
        "clock_suspect": case.event_time.suspect,
        "topic": trace.as_ref().map(|trace| topic(explanation, trace.pass)),
        "rules": trace.as_ref().map(|trace| trace.rules.iter().map(asked).collect::<Vec<_>>()),
        "meaning": trace.as_ref().and_then(|trace| trace.meaning.as_ref()).map(|it| meaning(desk, it)),
        "decision": decided.decision.word(),
        "status": status(&decided.decision),
        "reason": reason(&decided.decision),
        "detail": detail(&decided.decision),
        "rule": case.rule,
        "class": case.class,
        "dry_run": case.dry_run,
        "principals": principals.map(|named| named.iter().map(principal).collect::<Vec<_>>()).unwrap_or_default(),
        "clusters": plan.map(|plan| plan.clusters.clone()).unwrap_or_default(),
        "spared": spared.collect::<Vec<_>>(),
        "commands": commands.collect::<Vec<_>>(),
        "exit": exit,
    })
}

fn principal(principal: &Principal) -> Value {
    json!({"user": principal.user(), "db": principal.db()})
}

fn topic(explanation: &Explanation, pass: Pass) -> Value {
    let name = explanation.decided.case.origin.partition().map(|partition| partition.topic);
    let (verdict, why) = match pass {
        Pass::NotJudged => ("not_judged", None),
        Pass::Accepted => ("accepted", None),
        Pass::Distrusted(distrust) => ("refused", Some(distrust.to_string())),
    };
    json!({"name": name, "verdict": verdict, "why": why})
}

fn asked(asked: &Asked) -> Value {
    let (answer, why) = match &asked.answer {
        None => ("not_asked", None),
        Some(Answer::Deaf) => ("other_type", None),
        Some(Answer::No) => ("false", None),
        Some(Answer::Yes) => ("matched", None),
        Some(Answer::Failed(error)) => ("failed", Some(error.why())),
    };
    json!({
        "name": asked.rule,
        "on": asked.on,
        "when": asked.when,
        "reads": reads(&asked.readings),
        "answer": answer,
        "why": why,
    })
}

fn reads(readings: &[Reading]) -> Value {
    let one = |reading: &Reading| json!({"path": reading.path, "there": reading.value.is_some(), "value": reading.value});
    readings.iter().map(one).collect()
}

fn meaning(desk: &Desk, meaning: &Meaning) -> Value {
    let age = &meaning.age;
    json!({
        "rule": meaning.rule,
        "class": meaning.class,
        "age": {
            "since": age.since,
            "counts_from": match age.from {
                Since::EventTime => "event_time",
                Since::EffectiveAt => "effective_at",
                Since::Redrive => "redrive",
            },
            "seconds": age.age.as_secs_f64(),
            "max_seconds": age.allowed.as_secs_f64(),
            "verdict": match age.timeliness {
                Timeliness::InTime => "in_time",
                Timeliness::Expired => "expired",
                Timeliness::Future => "future",
            },
        },
        "not_targeted": meaning.untaken,
        "clusters": meaning.clusters.as_ref().ok(),
        "clusters_error": meaning.clusters.as_ref().err(),
        "target": meaning.target,
        "reads": reads(&meaning.readings),
        "named": meaning.named.as_ref().ok().map(|named| named.iter().map(principal).collect::<Vec<_>>()),
        "target_error": meaning.named.as_ref().err(),
        "max_principals": meaning.cap,
        "above_cap": meaning.is_above_cap(),
        "guards": guards(desk, meaning),
    })
}

fn guards(desk: &Desk, meaning: &Meaning) -> Value {
    let own: serde_json::Map<String, Value> = desk
        .own_accounts
        .iter()
        .filter(|(cluster, _)| meaning.clusters.as_ref().is_ok_and(|clusters| clusters.contains(cluster)))
        .map(|(cluster, own)| (cluster.to_string(), own.as_ref().map(principal).into()))
        .collect();
    let whom = meaning.guards.as_ref().and_then(|guards| guards.as_ref().ok()).map(|guards| {
        let one = |whom: &crate::decide::Whom| {
            let (guard, entry) = match &whom.guard {
                None => (None, None),
                Some(Guard::Internal) => (Some("internal"), None),
                Some(Guard::OwnAccount(_)) => (Some("own_account"), None),
                Some(Guard::Entry(index)) => {
                    (Some("protected"), desk.policy.protected.get(*index).map(ToString::to_string))
                }
            };
            json!({
                "user": whom.principal.user(),
                "db": whom.principal.db(),
                "spared_by": guard,
                "entry": entry,
            })
        };
        guards.iter().map(one).collect::<Vec<_>>()
    });
    json!({"own_accounts_by_uri": own, "principals": whom})
}
