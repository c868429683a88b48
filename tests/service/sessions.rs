//! `severance sessions`: who is connected, as the servers say.

use std::time::Instant;

use serde_json::Value;

use super::commands::severance;
use super::house::{House, Plan, SOON, user};
use crate::support::{block_on, people::query, replica_set};

fn lines(house: &House<'_>, more: &[&str]) -> Vec<Value> {
    let config = house.config().display().to_string();
    let (exit, out, err) = severance(&[&["sessions", "--json", "--config", &config], more].concat());
    assert_eq!(exit, 0, "{err}");
    out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

#[test]
fn somebody_at_work_is_shown_on_the_member_where_they_work_hidden_ones_included() {
    let set = replica_set();
    let house = House::new("sessions", Plan::default());
    let hidden = set.hidden().expect("a hidden member");
    let _work = block_on(async {
        let who = user(set, "sessions-somebody", "admin").await;
        query(set, hidden, &who).await
    });
    // The lab's clients start their query a moment after they say so.
    let end = Instant::now() + SOON;
    let busy = loop {
        let seen = lines(&house, &["--user", "sessions-somebody"]);
        if let Some(busy) = seen.into_iter().find(|line| line["operations"] == 1) {
            break busy;
        }
        assert!(Instant::now() < end, "they are not seen");
    };
    assert_eq!(busy["node"], set.host(hidden));
    assert_eq!(busy["principal"], "sessions-somebody@admin");
    assert_eq!((&busy["client"], &busy["idle_seconds"]), (&"127.0.0.1".into(), &0.into()));
    assert!(lines(&house, &["--user", "sessions-nobody"]).is_empty());
    let config = house.config().display().to_string();
    let (exit, table, _) = severance(&["sessions", "--config", &config, "--user", "sessions-somebody@admin"]);
    assert!(
        exit == 0 && table.starts_with("CLUSTER") && table.contains("sessions-somebody@admin"),
        "{table}"
    );
    let (exit, _, err) = severance(&["sessions", "--config", &config, "--cluster", "elsewhere"]);
    assert!(exit == 2 && err.contains("write one of: lab"), "{err}");
}
