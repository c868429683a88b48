//! A kill that could not reach a member is carried on until it has.

use severance::jobs::Key;

use crate::house::SOURCE;
use crate::scene::{Scene, told};
use crate::support::{
    block_on,
    people::{assert_ended, assert_untouched, node, query},
};

#[test]
fn a_member_that_hangs_is_cut_when_it_answers_again_and_the_case_ends_once() {
    let scene = Scene::new("hangs", "");
    let victim = scene.user("hangs-victim");
    let bystander = scene.user("hangs-bystander");
    let (there, here, other) = block_on(async {
        (
            query(&scene.set, scene.hidden, &victim).await,
            query(&scene.set, 0, &victim).await,
            query(&scene.set, scene.hidden, &bystander).await,
        )
    });
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.freeze();
    scene.compromise("hangs-1", "hangs-victim");
    let first = scene.deferred("hangs-1");
    assert_eq!(first["final"], false);
    assert_eq!(first["alert"], "warning");
    assert_eq!(node(&scene.set, &first, scene.hidden)["status"], "unreachable", "{first:#}");
    assert_eq!(node(&scene.set, &first, 0)["status"], "clean");
    block_on(assert_ended(&[here]));
    scene.thaw();
    let all = scene.to_the_end("hangs-1");
    let last = &all[all.len() - 1];
    assert_eq!(last["status"], "terminated", "{}", told(&all));
    assert_eq!(node(&scene.set, last, scene.hidden)["status"], "clean", "{last:#}");
    block_on(assert_ended(&[there]));
    assert_untouched([&other]);
    service.stop();
}

#[test]
fn what_came_back_meanwhile_is_not_hunted() {
    let scene = Scene::new("returns", "");
    let victim = scene.user("returns-victim");
    let service = scene.house.start();
    service.says(&["listening"]);
    let old = block_on(query(&scene.set, scene.hidden, &victim));
    scene.freeze();
    scene.compromise("returns-1", "returns-victim");
    scene.deferred("returns-1");
    // The password is new, say, and they work again: on a member that was reached.
    let new = block_on(query(&scene.set, 0, &victim));
    scene.thaw();
    let all = scene.to_the_end("returns-1");
    assert_eq!(all[all.len() - 1]["status"], "terminated", "{}", told(&all));
    block_on(assert_ended(&[old]));
    assert_untouched([&new]);
    service.stop();
}

#[test]
fn what_stays_away_is_given_up_in_time_and_said() {
    let scene = Scene::new("gives-up", "give_up_after: 5s");
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.freeze();
    scene.compromise("gives-up-1", "gives-up-victim");
    let all = scene.to_the_end("gives-up-1");
    let last = &all[all.len() - 1];
    assert_eq!(
        (last["status"].as_str(), last["alert"].as_str()),
        (Some("partial"), Some("error")),
        "{}",
        told(&all)
    );
    assert_eq!(node(&scene.set, last, scene.hidden)["status"], "unreachable");
    scene.thaw();
    service.stop();
}

#[test]
fn the_end_leaves_a_mark_and_no_creation() {
    let scene = Scene::new("marks", "");
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.freeze();
    scene.compromise("marks-1", "marks-victim");
    let case = scene.deferred("marks-1")["case_id"].as_str().expect("a case").to_owned();
    scene.thaw();
    scene.to_the_end("marks-1");
    service.stop();
    let state = crate::support::topic::Topic::open(&scene.house.kafka.bootstrap(), &scene.house.state);
    let mut last = std::collections::BTreeMap::new();
    for raw in state.all() {
        let key = Key::from_bytes(raw.key.as_deref().expect("a key")).expect("a key of ours");
        last.insert(key.to_string(), raw.value);
    }
    assert_eq!(last.get(&format!("{case}/create/0")), Some(&None), "{:?}", last.keys());
    let mark = last[&format!("{case}/state")].as_deref().expect("a mark");
    assert!(String::from_utf8_lossy(mark).contains(r#""record":"done""#));
    assert_eq!(case, crate::house::case_of(SOURCE, "marks-1").to_string());
}
