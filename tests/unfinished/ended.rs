//! Unfinished work is ended by somebody: a reinstatement, wherever it lands, or a person.

use std::process::Command;

use serde_json::Value;

use crate::house::PROGRAM;
use crate::scene::{Scene, reinstated, told};
use crate::support::{
    block_on,
    people::{assert_untouched, query},
};

#[test]
fn a_reinstatement_on_another_partition_ends_a_deferred_kill_at_once() {
    let scene = Scene::new("reinstated", "clock_skew: 0");
    let victim = scene.user("reinstated-victim");
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.freeze();
    scene.compromise("reinstated-1", "reinstated-victim");
    scene.deferred("reinstated-1");
    scene.house.put_on(3, &[reinstated("reinstated-2", "reinstated-victim", "compromise")]);
    let all = scene.to_the_end("reinstated-1");
    assert_eq!(all[all.len() - 1]["status"], "cancelled", "{}", told(&all));
    scene.thaw();
    let new = block_on(query(&scene.set, scene.hidden, &victim));
    // Long enough for another attempt, had there been one.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_untouched([&new]);
    service.stop();
}

#[test]
fn a_reinstatement_that_releases_another_class_ends_nothing() {
    let scene = Scene::new("class", "clock_skew: 0");
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.freeze();
    scene.compromise("class-1", "class-victim");
    scene.deferred("class-1");
    scene.house.put_on(3, &[reinstated("class-2", "class-victim", "offboarding")]);
    scene.outcomes("class-2", |seen| !seen.is_empty());
    scene.thaw();
    let all = scene.to_the_end("class-1");
    assert_ne!(all[all.len() - 1]["status"], "cancelled", "{}", told(&all));
    service.stop();
}

#[test]
fn a_person_cancels_a_case_and_sees_it_end() {
    let scene = Scene::new("person", "");
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.freeze();
    scene.compromise("person-1", "person-victim");
    let case = scene.deferred("person-1")["case_id"].as_str().expect("a case").to_owned();
    let cases = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("cases").args(arguments).arg("--config").arg(scene.house.config());
        let output = command.output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().expect("an exit"), text + &String::from_utf8_lossy(&output.stderr))
    };
    let (exit, list) = cases(&["list"]);
    let short = &case[..8];
    assert!(exit == 0 && list.contains(short), "{list}");
    let (exit, said) = cases(&["cancel", short, "--reason", "a drill", "--by", "sre"]);
    assert_eq!(exit, 0, "{said}");
    let all = scene.to_the_end("person-1");
    let last: &Value = &all[all.len() - 1];
    assert_eq!(last["status"], "cancelled", "{}", told(&all));
    assert!(
        last["detail"].as_str().is_some_and(|detail| detail.contains("a drill") && detail.contains("sre"))
    );
    let (_, list) = cases(&["list"]);
    assert_eq!(list, "no open cases\n");
    let (exit, said) = cases(&["cancel", &case]);
    assert_eq!(exit, 3, "{said}");
    scene.thaw();
    service.stop();
}
