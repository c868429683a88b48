//! Unfinished work outlives its owner: a restart, a crash at each step, another replica.

use std::collections::BTreeSet;

use severance::fault_point::Place;

use crate::house::{House, Service, triggers};
use crate::scene::{SOON, Scene, assert_orderly, told};
use crate::support::{
    block_on,
    people::{assert_ended, query},
};

fn doomed(house: &House<'_>, place: Place) -> Service {
    house.start_with(|command| {
        command.env("SEVERANCE_FAULT_POINT", format!("{place:?}"));
    })
}

#[test]
fn a_restart_goes_on_where_the_last_owner_stopped() {
    let scene = Scene::new("restart", "");
    let victim = scene.user("restart-victim");
    let old = block_on(query(&scene.set, scene.hidden, &victim));
    let service = scene.house.start();
    service.says(&["listening"]);
    scene.freeze();
    scene.compromise("restart-1", "restart-victim");
    scene.deferred("restart-1");
    service.stop();
    scene.thaw();
    let service = scene.house.start();
    let all = scene.to_the_end("restart-1");
    assert_eq!(all[all.len() - 1]["status"], "terminated", "{}", told(&all));
    assert_eq!(all[all.len() - 1]["maybe_rerun"], true, "an earlier owner may have acted already");
    block_on(assert_ended(&[old]));
    service.stop();
}

#[test]
fn a_crash_at_each_step_of_a_job_neither_loses_nor_doubles_its_end() {
    for place in [Place::JobTaken, Place::JobDone] {
        let name = format!("crash-{place:?}").to_lowercase();
        let scene = Scene::with(&name, "", |plan| plan.kafka.push_str("  instance: one\n"));
        scene.freeze();
        let id = format!("{name}-1");
        scene.compromise(&id, &format!("{name}-victim"));
        let service = doomed(&scene.house, place);
        let exit = service.exit(SOON);
        assert_ne!(exit, 0, "{place:?} was never reached:\n{}", service.log());
        scene.thaw();
        let service = scene.house.start();
        let all = scene.to_the_end(&id);
        service.stop();
        assert_orderly(&all);
    }
}

#[test]
fn when_one_of_two_replicas_dies_the_other_ends_its_cases_each_once() {
    const CASES: usize = 12;
    let scene = Scene::new("replicas", "");
    let mut replicas = [Some(scene.house.start()), Some(scene.house.start())];
    for replica in replicas.iter().flatten() {
        replica.says(&["partitions assigned"]);
    }
    scene.freeze();
    let ids: Vec<String> = (0..CASES).map(|number| format!("replicas-{number}")).collect();
    for (number, id) in (0..).zip(&ids) {
        scene.house.put_on(number % 4, &[crate::scene::compromised(id, &format!("{id}-victim"))]);
    }
    for id in &ids {
        scene.deferred(id);
    }
    replicas[0].take().expect("it runs").kill();
    scene.thaw();
    for id in &ids {
        let all = scene.to_the_end(id);
        assert_orderly(&all);
    }
    replicas.into_iter().flatten().for_each(|service| drop(service.stop()));
    let finals: Vec<String> = triggers(&scene.house.outcomes().all());
    assert_eq!(finals.iter().collect::<BTreeSet<_>>().len(), CASES);
}
