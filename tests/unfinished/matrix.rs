//! Faults around unfinished work. Whatever happens: one final outcome a trigger, nobody who was
//! named escapes once the cluster is back, and nobody else is touched.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use severance::lab::Signal;

use crate::house::{House, Service, triggers};
use crate::scene::{SOON, Scene, compromised, told};
use crate::support::{
    Kafka, block_on,
    people::{assert_ended, assert_untouched, node, nodes, query, user},
};

/// Longer than a transaction may take.
const LONGER: Duration = Duration::from_secs(13);

fn recovered(fault: &str, since: Instant) {
    println!("{fault}: recovered {:.1} s after it was over", since.elapsed().as_secs_f64());
}

fn started(scene: &Scene) -> Service {
    let service = scene.house.start();
    service.says(&["unfinished work is loaded"]);
    service
}

#[test]
fn a_cluster_that_was_down_as_a_whole_is_finished_when_it_is_back_and_who_came_back_is_spared() {
    let scene = Scene::new("whole", "");
    let who = scene.user("whole-victim");
    let service = started(&scene);
    block_on(async {
        scene.set.kill(scene.hidden).await.expect("it ends");
        scene.set.kill(0).await.expect("it ends");
    });
    scene.compromise("whole-1", "whole-victim");
    let first = scene.deferred("whole-1");
    assert!(nodes(&first).iter().all(|node| node["status"] != "clean"), "{first:#}");
    block_on(async {
        scene.set.restart(0).await.expect("it starts");
        scene.set.restart(scene.hidden).await.expect("it starts");
        scene.set.wait_healthy().await.expect("it is back");
    });
    let back = Instant::now();
    let new = block_on(query(&scene.set, 0, &who));
    let all = scene.to_the_end("whole-1");
    recovered("whole cluster down", back);
    let last = &all[all.len() - 1];
    assert!(
        ["terminated", "nothing_found"].contains(&last["status"].as_str().unwrap_or("")),
        "{}",
        told(&all)
    );
    assert!(
        nodes(last).iter().all(|node| node["status"] == "clean" || node["status"] == "ended_by_restart"),
        "{last:#}"
    );
    assert_untouched([&new]);
    service.stop();
}

#[test]
fn rights_that_were_taken_away_are_named_and_with_them_given_back_the_case_ends() {
    let scene = Scene::new("rights", "");
    let who = scene.user("rights-victim");
    let service = started(&scene);
    let there = block_on(query(&scene.set, scene.hidden, &who));
    let role = json!([{"role": severance::privilege::ROLE, "db": "admin"}]);
    let change = |command: &'static str| {
        let role = role.clone();
        let admin = scene.set.admin(0);
        block_on(admin.run("admin", command, json!("severance"), json!({"roles": role}))).expect(command);
    };
    change("revokeRolesFromUser");
    scene.compromise("rights-1", "rights-victim");
    let first = scene.deferred("rights-1");
    let said = first["clusters"].to_string();
    assert!(said.contains("\"code\":13"), "the missing right is named: {first:#}");
    change("grantRolesToUser");
    let back = Instant::now();
    let all = scene.to_the_end("rights-1");
    recovered("rights revoked", back);
    assert_eq!(all[all.len() - 1]["status"], "terminated", "{}", told(&all));
    block_on(assert_ended(&[there]));
    service.stop();
}

#[test]
fn a_broker_that_stands_still_for_longer_than_a_transaction_costs_no_outcome_and_repeats_none() {
    let kafka: &'static Kafka = Box::leak(Box::new(Kafka::start()));
    let scene = Scene::on(kafka, "standstill", "batch_max_records: 3", |_| {});
    let who = scene.user("standstill-0");
    let there = block_on(query(&scene.set, scene.hidden, &who));
    let service = started(&scene);
    scene.freeze();
    let ids: Vec<String> = (0..9).map(|number| format!("standstill-{number}")).collect();
    for id in &ids {
        scene.house.put(&[compromised(id, id)]);
    }
    for id in &ids {
        scene.deferred(id);
    }
    // Steps of the jobs and a batch's transaction are under way when it stops.
    scene.thaw();
    scene.house.put(&[compromised("standstill-last", "standstill-last")]);
    kafka.signal(Signal::Stop);
    std::thread::sleep(LONGER);
    kafka.signal(Signal::Continue);
    let back = Instant::now();
    for id in ids.iter().map(String::as_str).chain(["standstill-last"]) {
        scene.to_the_end(id);
    }
    recovered("broker frozen for 13 s", back);
    block_on(assert_ended(&[there]));
    let finals = finals(&scene.house);
    assert_eq!(finals.len(), ids.len() + 1);
    let log = service.stop();
    assert!(!log.contains("panicked"), "{log}");
}

/// The triggers of final outcomes, of which none may have two.
fn finals(house: &House<'_>) -> BTreeSet<String> {
    let raws = house.outcomes().all();
    let finals: Vec<_> =
        raws.into_iter().filter(|raw| crate::house::outcome(raw)["data"]["final"] == true).collect();
    let triggers = triggers(&finals);
    let different: BTreeSet<_> = triggers.iter().cloned().collect();
    assert_eq!(different.len(), triggers.len(), "a final outcome twice: {triggers:?}");
    different
}

#[test]
fn replicas_that_join_and_leave_neither_lose_nor_double_what_is_unfinished() {
    const CASES: usize = 16;
    let scene = Scene::new("joining", "");
    let first = started(&scene);
    scene.freeze();
    let ids: Vec<String> = (0..CASES).map(|number| format!("joining-{number}")).collect();
    for (number, id) in (0..).zip(&ids) {
        scene.house.put_on(number % 4, &[compromised(id, &format!("{id}-victim"))]);
    }
    for id in &ids {
        scene.deferred(id);
    }
    let second = scene.house.start();
    second.says(&["partitions assigned"]);
    let third = scene.house.start();
    third.says(&["partitions assigned"]);
    first.stop();
    scene.thaw();
    let back = Instant::now();
    second.stop();
    for id in &ids {
        scene.to_the_end(id);
    }
    recovered("replicas join and leave, member frozen", back);
    assert_eq!(finals(&scene.house).len(), CASES);
    third.stop();
}

#[test]
fn a_primary_that_steps_down_while_jobs_wait_changes_nothing_for_them() {
    let scene = Scene::sized("steps-down", 3);
    let who = scene.user("steps-down-victim");
    let there = block_on(query(&scene.set, scene.hidden, &who));
    let service = started(&scene);
    scene.freeze();
    scene.compromise("steps-down-1", "steps-down-victim");
    scene.deferred("steps-down-1");
    block_on(scene.set.step_down()).expect("another primary");
    scene.thaw();
    let back = Instant::now();
    let all = scene.to_the_end("steps-down-1");
    recovered("step-down, member frozen", back);
    let last = &all[all.len() - 1];
    assert_eq!(last["status"], "terminated", "{}", told(&all));
    assert_eq!(node(&scene.set, last, scene.hidden)["status"], "clean");
    block_on(assert_ended(&[there]));
    service.stop();
}

#[test]
fn a_slow_broker_and_a_slow_member_delay_and_lose_nothing() {
    let kafka: &'static Kafka = Box::leak(Box::new(Kafka::start()));
    let scene = Scene::on(kafka, "slow", "", |_| {});
    let bystander = block_on(async {
        let who = user(&scene.set, "slow-bystander", "admin").await;
        query(&scene.set, scene.hidden, &who).await
    });
    let service = started(&scene);
    let ids: Vec<String> = (0..10).map(|number| format!("slow-{number}")).collect();
    let began = Instant::now();
    for id in &ids {
        scene.house.put(&[compromised(id, &format!("{id}-victim"))]);
        for _ in 0..4 {
            // Stands still for longer than a moment, again and again.
            kafka.signal(Signal::Stop);
            scene.freeze();
            std::thread::sleep(Duration::from_millis(120));
            scene.thaw();
            kafka.signal(Signal::Continue);
            std::thread::sleep(Duration::from_millis(60));
        }
    }
    for id in &ids {
        scene.to_the_end(id);
    }
    println!("slow broker and member: 10 cases in {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(finals(&scene.house).len(), ids.len());
    assert_untouched([&bystander]);
    service.stop();
}

#[test]
fn commands_that_write_fence_nothing_while_jobs_are_run_under_the_same_name() {
    let scene = Scene::sized_with("beside", 1, "", |plan| plan.kafka.push_str("  instance: one\n"));
    let service = started(&scene);
    scene.freeze();
    scene.compromise("beside-1", "beside-victim");
    let case = scene.deferred("beside-1")["case_id"].as_str().expect("a case").to_owned();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::house::PROGRAM);
        command.args(arguments).arg("--config").arg(scene.house.config());
        command.output().expect("the program starts").status.code().expect("an exit")
    };
    assert_eq!(run(&["check"]), 6, "a member does not answer");
    let event = scene.house.path().join("event.json");
    let text = json!({
        "specversion": "1.0", "id": "beside-2", "source": "/test", "type": "io.severance.account.compromised.v1",
        "data": {"principals": [{"user": "beside-other", "db": "admin"}]},
    });
    std::fs::write(&event, text.to_string()).expect("the folder is ours");
    let event = event.display().to_string();
    assert_eq!(run(&["respond", "--event", &event]), 4, "a member does not answer");
    assert_eq!(run(&["publish", "--event", &event]), 0);
    assert_eq!(run(&["dead-letters", "list"]), 0);
    scene.thaw();
    let end = Instant::now() + SOON;
    while !scene.house.outcomes().all().iter().any(|raw| {
        let data = &crate::house::outcome(raw)["data"];
        data["case_id"] == case.as_str() && data["final"] == true
    }) {
        assert!(Instant::now() < end, "the job does not end");
    }
    let log = service.stop();
    assert!(!log.contains("fenced") && !log.contains("under our name"), "{log}");
}
