//! `severance dead-letters`: what could not be read is listed, shown, and given another chance.

use std::process::Command;

use severance::ingest::REDRIVEN;

use super::house::{House, PROGRAM, Plan, SOON, outcome};
use crate::support::topic::Raw;

fn dead_letters(house: &House<'_>, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("dead-letters").arg(arguments[0]).arg("--config").arg(house.config()).args(&arguments[1..]);
    let output = command.env_remove("RUST_LOG").output().expect("it was built");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("an exit"), String::from_utf8(text).expect("text"))
}

#[test]
fn a_dead_letter_is_listed_shown_and_redriven_with_its_history() {
    let house = House::new("letters", Plan::default());
    let letters = house.dead_letters();
    let service = house.start();
    house.put(&[Raw::new("no event", &[("team", "hr")])]);
    letters.at_least(SOON, 1);

    let (exit, list) = dead_letters(&house, &["list"]);
    assert_eq!(exit, 0, "{list}");
    assert!(list.contains("letters.dead-letters[0]@"), "{list}");
    assert!(
        list.contains("not_a_cloud_event  from letters.events[0]@0") && list.contains("1 dead letters"),
        "{list}"
    );
    let position = list.split_whitespace().next().expect("a position").to_owned();
    let (exit, shown) = dead_letters(&house, &["show", &position]);
    assert_eq!(exit, 0, "{shown}");
    assert!(shown.contains("header  team: hr") && shown.ends_with("no event\n"), "{shown}");

    let (exit, said) = dead_letters(&house, &["redrive"]);
    assert_eq!(exit, 2, "nothing chooses: {said}");
    let (exit, said) = dead_letters(&house, &["redrive", "--reason", "invalid_data"]);
    assert_eq!(exit, 3, "nothing is chosen: {said}");
    let (exit, said) = dead_letters(&house, &["redrive", "--all", "--dry-run"]);
    assert_eq!((exit, letters.all().len()), (0, 1), "{said}");
    assert!(said.contains("would be sent to letters.events"), "{said}");
    let (exit, said) = dead_letters(&house, &["redrive", "--position", &position]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("sent to letters.events[0]@"), "{said}");

    let again = &letters.at_least(SOON, 2)[1];
    assert_eq!(again.value.as_deref(), Some(&b"no event"[..]));
    assert_eq!(again.header(REDRIVEN).as_deref(), Some("1"));
    assert_eq!(again.header("team").as_deref(), Some("hr"));
    let said = house.outcomes().at_least(SOON, 2);
    let redriven: Vec<bool> = said.iter().map(|raw| outcome(raw)["data"]["redriven"] == true).collect();
    assert_eq!(redriven, [false, true]);
    service.stop();
}
