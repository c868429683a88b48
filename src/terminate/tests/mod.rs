//! Claims about a kill on members that do as they are told: what real servers do seldom, these do at once.

mod circuits;
mod clusters;
mod fake;
mod hunted;
mod hunts;
mod kills;
mod left;
mod orders;
mod rollup;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::principal::Principals;
use fake::Fake;

/// A budget that a test can wait for, where something is to use it up.
fn short() -> Pace {
    Pace { inline_budget: Duration::from_millis(500), evidence_wait: Duration::from_millis(300), ..patient() }
}

/// A budget that nothing may use up, however busy the machine.
fn patient() -> Pace {
    Pace {
        inline_budget: Duration::from_secs(20),
        evidence_wait: Duration::from_secs(10),
        max_items: 10,
        verify_rounds: 3,
    }
}

/// Far less than the patient budget, far more than what does not wait needs.
const SOON: Duration = Duration::from_secs(10);

fn who(name: &str) -> Principal {
    name.parse().unwrap()
}

fn case_of(id: &str) -> CaseId {
    CaseId::of_event("/s", id)
}

/// One case about these, each `user@db`.
fn part(id: &str, names: &[&str]) -> Part {
    Part { case: case_of(id), principals: Principals::new(names.iter().map(|name| who(name))).unwrap() }
}

fn order(parts: Vec<Part>) -> Order {
    Order::new(Uuid::nil(), parts).unwrap()
}

fn error(class: ErrorClass, code: i32) -> NodeError {
    NodeError { class, code: Some(code), node: "m:1".to_owned(), message: format!("said {code}") }
}

/// What one case's report of one member says, on one line.
fn line(report: &NodeReport) -> String {
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    let status = report.status.map_or("looked at".to_owned(), |status| format!("{status:?}"));
    let mut line = format!(
        "{status} found {} killed {} left {}",
        number(report.found),
        number(report.killed),
        report.left
    );
    for (name, count) in [
        ("returned", report.returned),
        ("active", report.returned_active),
        ("shared", report.spared_shared),
        ("idle", report.idle_connections),
    ] {
        if count > 0 {
            line.push_str(&format!(" {name} {count}"));
        }
    }
    for error in &report.errors {
        line.push_str(&format!(" ({})", error.code.map_or("no code".to_owned(), |code| code.to_string())));
    }
    line
}

/// Carries the order out on one member; one line a case.
async fn cut_on(member: &Arc<Fake>, order: &Order) -> Vec<String> {
    cut_with(member, order, &patient(), &Circuits::default()).await
}

async fn cut_with(member: &Arc<Fake>, order: &Order, pace: &Pace, circuits: &Circuits) -> Vec<String> {
    let run = cut::cut(member, order, pace, circuits).await;
    tally::node_reports(&run, order, pace.max_items).iter().map(line).collect()
}
