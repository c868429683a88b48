//! Every word that can come out is in the schema, and the schema promises no other.

use std::collections::BTreeSet;

use super::*;

type Words = BTreeSet<String>;

/// The words that the schema has at this path; `null` is not one.
fn promised(path: &str) -> Words {
    let schema = schema();
    let listed = schema.pointer(path).unwrap_or_else(|| panic!("no {path}"))["enum"].as_array();
    listed
        .unwrap_or_else(|| panic!("no words at {path}"))
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn words<T: serde::Serialize>(all: impl IntoIterator<Item = T>) -> Words {
    all.into_iter().map(|one| word_of(&one).expect("a word")).collect()
}

/// All variants of an enum; a new one does not compile until it is listed.
macro_rules! all {
    ($name:ident: $($variant:ident)*) => {{
        let _ = |one: $name| match one { $($name::$variant => {})* };
        vec![$($name::$variant),*]
    }};
}

fn refusals() -> Vec<RefusalReason> {
    all!(RefusalReason: Guard GuardError RuleError UnknownCluster Unresolvable EveryoneNotAllowed CapExceeded
        Approval NotSupported TypeNotAccepted SourceNotAccepted)
}

fn poisons() -> Vec<PoisonReason> {
    all!(PoisonReason: Empty NotACloudEvent BatchMode MalformedJson InvalidAttribute InvalidData Panicked
        KeepsCrashing)
}

/// Terminations that are not plainly done, each for another reason.
fn unfinished() -> Vec<Termination> {
    let with = |status, change: &dyn Fn(&mut NodeReport)| {
        let mut changed = node(status);
        change(&mut changed);
        termination(ClusterStatus::Partial, vec![node(NodeStatus::Clean), changed])
    };
    vec![
        with(NodeStatus::Unsupported, &|_| {}),
        with(NodeStatus::Leftover, &|node| node.left = 1),
        with(NodeStatus::Leftover, &|node| node.spared_shared = 1),
        with(NodeStatus::Unreachable, &|_| {}),
        with(NodeStatus::Unverified, &|_| {}),
        termination(ClusterStatus::Partial, vec![node(NodeStatus::Clean)]),
    ]
}

#[test]
fn every_reason_is_in_the_schema_and_the_schema_has_no_other() {
    let mut said = words(refusals());
    said.extend(words(poisons()));
    for termination in unfinished() {
        let outcome = outcome(&speaker(), &terminated(Decision::Terminate(plan()), Some(termination)), now());
        assert!(said.insert(outcome.data.reason.expect("a reason")), "each is another reason");
    }
    for said_so in steps::every_kind() {
        said.extend(super::said(&speaker(), &said_so, now()).data.reason);
    }
    assert_eq!(said, promised("/properties/reason"));
}

#[test]
fn a_decision_and_a_reason_have_one_name_everywhere() {
    for reason in poisons() {
        assert_eq!(word_of(&reason).as_deref(), Some(reason.name()));
    }
    for reason in refusals() {
        assert_eq!(word_of(&reason).as_deref(), Some(reason.word()));
    }
    for decision in every_decision() {
        let word = decision.word();
        assert_eq!(&*outcome_of(decision).data.decision, word);
    }
}

#[test]
fn every_status_and_decision_is_in_the_schema_and_the_schema_has_no_other() {
    let statuses = all!(Status: Terminated NothingFound Partial Deferred Holding AwaitingApproval Simulated Refused
        Expired Duplicate Superseded Cancelled Released Acknowledged NoRule Undecodable Unsupported Failed);
    assert_eq!(words(statuses), promised("/properties/status"));
    let decisions: Words =
        every_decision().into_iter().map(|decision| outcome_of(decision).data.decision.to_string()).collect();
    assert_eq!(decisions, promised("/properties/decision"));
}

#[test]
fn every_other_closed_set_is_the_schemas_too() {
    assert_eq!(words(all!(Alert: Info Warning Error)), promised("/properties/alert"));
    assert_eq!(words(Class::ALL), promised("/properties/class"));
    assert_eq!(words(all!(Known: Unknown No Yes)), promised("/$defs/principal/properties/known"));
    assert_eq!(
        words(all!(SparedBecause: Protected Reinstated)),
        promised("/$defs/principal/properties/spared_because")
    );
    assert_eq!(
        words(all!(ErrorClass: Transient Permanent Unsupported)),
        promised("/$defs/error/properties/class")
    );
    assert_eq!(words(all!(Kind: Operation Cursor Transaction)), promised("/$defs/evidence/properties/kind"));
    assert_eq!(
        words(all!(NodeStatus: Clean Leftover Unreachable Unverified EndedByRestart Unsupported)),
        promised("/$defs/node/properties/status")
    );
    assert_eq!(
        words(all!(ClusterStatus: Terminated NothingFound Partial Failed Unsupported Simulated)),
        promised("/$defs/cluster/properties/status")
    );
}

#[test]
fn every_refusal_and_poison_validates() {
    for reason in refusals() {
        let outcome = outcome_of(Decision::Refuse { reason, detail: "why".to_owned() });
        assert_valid(&envelope(&outcome, Form::Full)["data"]);
    }
    for reason in poisons() {
        assert_valid(&envelope(&outcome_of(Decision::Undecodable(poison(reason))), Form::Full)["data"]);
    }
}

#[test]
fn every_decision_validates_in_full_and_in_minimal_form() {
    for decision in every_decision() {
        let outcome = outcome_of(decision);
        for form in [Form::Full, Form::Minimal] {
            assert_valid(&envelope(&outcome, form)["data"]);
        }
    }
    for termination in unfinished() {
        let outcome = outcome(&speaker(), &terminated(Decision::Terminate(plan()), Some(termination)), now());
        for form in [Form::Full, Form::Minimal] {
            assert_valid(&envelope(&outcome, form)["data"]);
        }
    }
}

#[test]
fn what_the_schema_requires_is_everything_that_we_say() {
    let data = envelope(&outcome_of(Decision::Terminate(plan())), Form::Full)["data"].clone();
    let schema = schema();
    let required = |path: &str| -> Words {
        let list = schema.pointer(path).expect("a list").as_array().expect("a list");
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let keys = |path: &str| -> Words {
        data.pointer(path).expect("an object").as_object().expect("an object").keys().cloned().collect()
    };
    for (ours, theirs) in [
        ("", "/required"),
        ("/principals/0", "/$defs/principal/required"),
        ("/principals/0/near/0", "/$defs/near/required"),
        ("/clusters/0", "/$defs/cluster/required"),
        ("/clusters/0/errors/0", "/$defs/error/required"),
        ("/clusters/0/nodes/0", "/$defs/node/required"),
        ("/clusters/0/nodes/0/evidence/0", "/$defs/evidence/required"),
        ("/clusters/0/nodes/0/idle_clients/0", "/$defs/idle_client/required"),
    ] {
        assert_eq!(keys(ours), required(theirs), "{theirs}");
    }
}
