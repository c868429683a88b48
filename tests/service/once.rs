//! Each outcome once, whatever happens to the processes: counted by a `read_committed` reader.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::group::{PARTITIONS, spread};
use super::house::{House, Plan, Service, outcome, triggers};

/// A crash leaves its transaction and its membership behind: 10 s and 6 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// Named replicas come back at once; the others show what a crash without a name costs.
fn pair(named: bool) -> House<'static> {
    let kafka = if named { "  instance: { env: REPLICA }\n" } else { "" };
    House::new(
        "once",
        Plan {
            partitions: PARTITIONS,
            kafka: kafka.to_owned(),
            more: "limits: { batch_max_records: 5 }\n".to_owned(),
            ..Plan::default()
        },
    )
}

/// Kills one of two replicas at moments that a seed chooses, while a stream goes on.
#[test]
fn through_kills_of_two_replicas_each_event_has_one_outcome_and_one_final() {
    let long = std::env::var_os("SEVERANCE_LONG").is_some();
    let (kills, events) = if long { (100, 5_000) } else { (3, 400) };
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let house = pair(long);
    let start = |number: usize| {
        house.start_with(|command| {
            command.env("REPLICA", format!("replica-{number}"));
        })
    };
    let outcomes = house.outcomes();
    let mut replicas: [Option<Service>; 2] = [Some(start(0)), Some(start(1))];
    let mut chance = seed;
    for kill in 0..kills {
        spread(&house, events * kill / kills..events * (kill + 1) / kills);
        // Any odd number will do: what matters is that moments differ.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (chance >> 40) as usize % 2;
        let victim = &mut replicas[number];
        let at_least = outcomes.all().len() + (chance >> 33) as usize % 40;
        let until = Instant::now() + Duration::from_secs(20);
        while outcomes.all().len() < at_least && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(service) = victim.take() {
            service.kill();
        }
        *victim = Some(start(number));
    }
    let (ids, _) = house.stream(0..events);
    let all = outcomes.until(PATIENCE, |seen| seen.len() >= ids.len());
    replicas.into_iter().flatten().for_each(|service| drop(service.stop()));
    let mut counts: BTreeMap<String, usize> = ids.iter().map(|id| (id.clone(), 0)).collect();
    for id in triggers(&outcomes.all()) {
        *counts.entry(id).or_default() += 1;
    }
    println!("{kills} kills, {events} events, {} outcomes", all.len());
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(wrong.is_empty(), "seed {seed}: not once: {wrong:?}");
    assert!(all.iter().all(|raw| outcome(raw)["data"]["final"] == true));
}
