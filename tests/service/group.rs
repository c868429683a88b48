//! Two processes in one group.

use std::collections::BTreeSet;

use super::house::{House, Plan, SOON, Service, triggers};

const PARTITIONS: i32 = 4;

fn spread(house: &House<'_>, range: std::ops::Range<usize>) {
    let (_, records) = house.stream(range);
    for partition in 0..PARTITIONS {
        let own: Vec<_> =
            records.iter().skip(partition as usize).step_by(PARTITIONS as usize).cloned().collect();
        house.put_on(partition, &own);
    }
}

/// How many partitions a line of the log names.
fn named(line: &str) -> usize {
    line.matches("].").count() + line.matches("] ").count() + usize::from(line.contains("]\""))
}

fn has_worked(service: &Service) -> bool {
    service.has_said(&["outcome", "origin="])
}

#[test]
fn two_processes_share_the_partitions_and_one_that_leaves_loses_nothing() {
    let house = House::new(
        "pair",
        Plan {
            partitions: PARTITIONS,
            more: "limits: { batch_max_records: 5 }\n".to_owned(),
            ..Plan::default()
        },
    );
    let outcomes = house.outcomes();
    let first = house.start();
    let assigned = first.says(&["partitions assigned"]);
    assert_eq!(named(&assigned), 4, "{assigned}");
    let second = house.start();
    let assigned = second.says(&["partitions assigned"]);
    assert_eq!(named(&assigned), 2, "{assigned}");
    let revoked = first.says(&["partitions revoked"]);
    assert_eq!(named(&revoked), 2, "the others are kept while they move: {revoked}");

    spread(&house, 0..40);
    outcomes.at_least(SOON, 40);
    assert!(has_worked(&first) && has_worked(&second), "both work");

    // One leaves in the middle of its work.
    spread(&house, 40..140);
    outcomes.at_least(SOON, 60);
    first.stop();
    spread(&house, 140..160);
    let everything: BTreeSet<String> = house.stream(0..160).0.into_iter().collect();
    let all = outcomes.until(SOON, |seen| triggers(seen).into_iter().collect::<BTreeSet<_>>() == everything);
    assert_eq!(all.len(), 160, "a drain leaves nothing to be done twice");
    second.stop();
}
