//! A primary that steps down while people are being cut: nothing is lost.

use severance::edge::mongo_lab::Workload;

use crate::{
    harmed::harmed,
    support::{
        block_on,
        people::{GONE, query, user},
        responder::{account, compromised, respond, responder},
    },
};

#[test]
fn a_primary_that_steps_down_in_the_middle_of_many_kills_loses_none() {
    /// So many people, one running query each, spread over the members.
    const PEOPLE: usize = 12;
    block_on(async {
        let set = harmed().await;
        let own = account(&set, "responder-step-down").await;
        let responder = responder(&set.uri(&own), "").await;
        let names: Vec<String> = (0..PEOPLE).map(|number| format!("many-{number}")).collect();
        let mut victims: Vec<Workload> = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let who = user(&set, name, "admin").await;
            victims.push(query(&set, number % set.size(), &who).await);
        }

        let stepped = std::sync::atomic::AtomicBool::new(false);
        let step_down = async {
            set.step_down().await.expect("another primary");
            stepped.store(true, std::sync::atomic::Ordering::SeqCst);
        };
        let kills = async {
            let mut statuses = Vec::new();
            // Round after round until the election is over; the first round finds, later ones need not.
            while statuses.len() < PEOPLE || !stepped.load(std::sync::atomic::Ordering::SeqCst) {
                let name = format!("{}@admin", names[statuses.len() % PEOPLE]);
                let outcomes = respond(&responder, &[compromised(&[&name])]).await;
                statuses.push((name, outcomes[0].clone()));
            }
            statuses
        };
        let ((), outcomes) = tokio::join!(step_down, kills);

        for (number, (name, outcome)) in outcomes.iter().enumerate() {
            let wanted: &[&str] = if number < PEOPLE { &["terminated"] } else { &["nothing_found"] };
            let status = outcome["status"].as_str().expect("a status");
            assert!(wanted.contains(&status), "{name}: {outcome:#}");
        }
        for victim in &victims {
            victim.wait_touched(GONE).await.expect("the victim's query ends");
        }
        println!("{} cases through the election", outcomes.len());
    });
}
