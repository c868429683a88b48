//! A member that used up a budget is not waited for until it answers a probe.

use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test]
async fn an_open_circuit_closes_when_the_member_answers_again() {
    let member = Fake::new("m:1");
    member.dead.store(true, Ordering::SeqCst);
    let circuits = Circuits::default();
    circuits.trip(member.clone());
    assert!(circuits.is_open("m:1") && !circuits.is_open("m:2"));
    member.dead.store(false, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(10);
    while circuits.is_open("m:1") {
        assert!(Instant::now() < deadline, "never closed");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn whoever_waits_for_a_cluster_hears_that_a_member_of_it_answers_again() {
    let closings = Closings::default();
    let mut closed = closings.hear();
    let [orders, lab] = ["orders", "lab"].map(|name| Circuits::of(name.into(), closings.clone()));
    for circuits in [&orders, &orders, &lab] {
        circuits.trip(Fake::new("m:1"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while circuits.is_open("m:1") {
            assert!(Instant::now() < deadline, "never closed");
            sleep(Duration::from_millis(5)).await;
        }
    }
    // However late one asks.
    assert_eq!(closed.next().await, Some(vec!["lab".into(), "orders".into()]));
    orders.trip(Fake::new("m:2"));
    assert_eq!(closed.next().await, Some(vec!["orders".into()]));
    drop((closings, orders, lab));
    assert_eq!(closed.next().await, None);
}

#[tokio::test]
async fn all_who_hold_the_circuits_see_the_same() {
    let member = Fake::new("m:1");
    member.dead.store(true, Ordering::SeqCst);
    let circuits = Circuits::default();
    let other = circuits.clone();
    circuits.trip(member.clone());
    circuits.trip(member);
    assert!(other.is_open("m:1"));
}
