//! A case that waits for a person: over a cap, or because its rule asks.

use std::process::Command;

use serde_json::{Value, json};

use crate::house::{PROGRAM, SOURCE, case_of, event, structured};
use crate::scene::{Scene, assert_orderly, told};
use crate::support::{
    block_on,
    people::{assert_ended, assert_untouched, query},
    topic::Raw,
};

/// One person is a case, two are too many.
fn scene(name: &str, over_cap: &str) -> Scene {
    Scene::with(name, &format!("max_principals: 1, over_cap: {{ {over_cap} }}"), |plan| {
        plan.topics = "    - { name: {topic}, accept_types: ['io.severance.account.compromised.*', \
             'io.severance.account.reinstated.*', 'io.severance.termination.approved.*', \
             'io.severance.termination.denied.*'] }\n"
            .to_owned();
    })
}

fn two(id: &str, who: &str) -> Raw {
    let principals = json!([{"user": who, "db": "admin"}, {"user": format!("{who}-too"), "db": "admin"}]);
    structured(&event("account.compromised", id, json!({ "principals": principals })))
}

fn ruled(kind: &str, id: &str, of: &str) -> Raw {
    let data = json!({"case_id": case_of(SOURCE, of).to_string(), "approver": "ann"});
    structured(&event(&format!("termination.{kind}"), id, data))
}

/// Until it waits.
fn waits(scene: &Scene, id: &str) -> Value {
    let all = scene.outcomes(id, |seen| !seen.is_empty());
    let first = &all[0];
    assert_eq!(
        (
            first["status"].as_str(),
            first["final"].as_bool(),
            first["reason"].as_str(),
            first["alert"].as_str()
        ),
        (Some("awaiting_approval"), Some(false), Some("cap_exceeded"), Some("warning")),
        "{first:#}"
    );
    first.clone()
}

fn cases(scene: &Scene, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("cases").args(arguments).arg("--config").arg(scene.house.config());
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("an exit"), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_is_over_the_cap_waits_through_a_restart_and_a_person_lets_it_go() {
    let scene = scene("release", "expires: 1h");
    let victim = scene.user("release-victim");
    let service = scene.house.start();
    service.says(&["listening"]);
    let (there, here) = block_on(async {
        (query(&scene.set, scene.hidden, &victim).await, query(&scene.set, 0, &victim).await)
    });
    scene.house.put(&[two("release-1", "release-victim")]);
    let case = waits(&scene, "release-1")["case_id"].as_str().expect("a case").to_owned();
    service.stop();
    let service = scene.house.start();
    service.says(&["listening"]);
    assert_untouched([&there, &here]);
    let (exit, list) = cases(&scene, &["list"]);
    assert!(exit == 0 && list.contains("waits for approval: 2 principals are named"), "{list}");
    let (exit, said) =
        cases(&scene, &["release", &case, "--by", "sre", "--reason", "a drill", "--wait", "60s"]);
    assert_eq!(exit, 0, "{said}");
    let all = scene.to_the_end("release-1");
    let last = &all[all.len() - 1];
    assert_eq!(
        (last["status"].as_str(), last["approver"].as_str()),
        (Some("terminated"), Some("sre")),
        "{}",
        told(&all)
    );
    assert!(all[1]["detail"].as_str().is_some_and(|detail| detail.contains("a drill")), "{}", told(&all));
    block_on(assert_ended(&[there, here]));
    let (exit, said) = cases(&scene, &["release", &case]);
    assert_eq!(exit, 3, "{said}");
    service.stop();
}

#[test]
fn an_approved_event_lets_it_go_and_a_denied_one_does_not() {
    let scene = scene("events", "expires: 1h");
    let (yes, no) = (scene.user("events-yes"), scene.user("events-no"));
    let service = scene.house.start();
    service.says(&["listening"]);
    let (cut, left) = block_on(async {
        (query(&scene.set, scene.hidden, &yes).await, query(&scene.set, scene.hidden, &no).await)
    });
    scene.house.put(&[two("events-1", "events-yes"), two("events-2", "events-no")]);
    waits(&scene, "events-1");
    waits(&scene, "events-2");
    scene.house.put(&[ruled("approved", "events-3", "events-1"), ruled("denied", "events-4", "events-2")]);
    let all = scene.to_the_end("events-1");
    let last = &all[all.len() - 1];
    assert_eq!(
        (last["status"].as_str(), last["approver"].as_str()),
        (Some("terminated"), Some("ann")),
        "{}",
        told(&all)
    );
    let all = scene.to_the_end("events-2");
    let last = &all[all.len() - 1];
    assert_eq!(
        (last["status"].as_str(), last["reason"].as_str()),
        (Some("refused"), Some("denied")),
        "{}",
        told(&all)
    );
    let heard = scene.outcomes("events-3", |seen| !seen.is_empty());
    assert_eq!(heard[0]["status"], "acknowledged");
    block_on(assert_ended(&[cut]));
    assert_untouched([&left]);
    service.stop();
}

#[test]
fn when_nobody_comes_it_is_refused_and_nobody_is_cut() {
    let scene = scene("expires", "expires: 3s");
    let victim = scene.user("expires-victim");
    let service = scene.house.start();
    service.says(&["listening"]);
    let other = block_on(query(&scene.set, scene.hidden, &victim));
    scene.house.put(&[two("expires-1", "expires-victim")]);
    waits(&scene, "expires-1");
    let all = scene.to_the_end("expires-1");
    let last = &all[all.len() - 1];
    assert_eq!(
        (last["status"].as_str(), last["reason"].as_str(), last["alert"].as_str()),
        (Some("refused"), Some("approval_expired"), Some("error")),
        "{}",
        told(&all)
    );
    assert_untouched([&other]);
    service.stop();
}

#[test]
fn when_nobody_comes_it_may_be_carried_out() {
    let scene = scene("proceeds", "expires: 3s, on_expiry: proceed");
    let victim = scene.user("proceeds-victim");
    let service = scene.house.start();
    service.says(&["listening"]);
    let old = block_on(query(&scene.set, scene.hidden, &victim));
    scene.house.put(&[two("proceeds-1", "proceeds-victim")]);
    let all = scene.to_the_end("proceeds-1");
    let last = &all[all.len() - 1];
    assert_eq!(last["status"], "terminated", "{}", told(&all));
    assert_orderly(&all);
    block_on(assert_ended(&[old]));
    service.stop();
}

#[test]
fn more_people_than_a_window_may_have_wait_and_who_was_cut_in_it_may_be_cut_again() {
    let scene = Scene::new("window", "max_principals_per_window: { count: 1, window: 1h }");
    let service = scene.house.start();
    service.says(&["listening"]);
    let status = |id: &str, who: &str| {
        scene.compromise(id, who);
        scene.outcomes(id, |seen| !seen.is_empty())[0]["status"].as_str().expect("a status").to_owned()
    };
    assert_eq!(status("window-1", "window-one"), "nothing_found");
    assert_eq!(status("window-2", "window-two"), "awaiting_approval");
    assert_eq!(status("window-3", "window-one"), "nothing_found");
    service.stop();
}

#[test]
fn a_person_denies_it() {
    let scene = scene("denies", "expires: 1h");
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.house.put(&[two("denies-1", "denies-victim")]);
    let case = waits(&scene, "denies-1")["case_id"].as_str().expect("a case").to_owned();
    let (exit, said) = cases(&scene, &["deny", &case[..8], "--by", "sre"]);
    assert_eq!(exit, 0, "{said}");
    let all = scene.to_the_end("denies-1");
    assert_eq!(all[all.len() - 1]["reason"], "denied", "{}", told(&all));
    service.stop();
}
