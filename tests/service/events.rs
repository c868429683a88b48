//! From an event on a topic to cut sessions and an outcome on another topic.

use std::time::Duration;

use serde_json::{Value, json};
use severance::edge::mongo_lab::{Kind, Work, Workload};
use severance::lab::Credentials;

use super::house::{House, Plan, SOON, event, outcome, structured, user};
use crate::support::topic::Raw;
use crate::support::{block_on, replica_set};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn query_everywhere(who: &Credentials) -> Vec<Workload> {
    let set = replica_set();
    (0..set.size())
        .map(|member| block_on(set.work(member, who, Work::new(Kind::Query, "shop"))).expect("a query"))
        .collect()
}

fn are_cut(victims: &[Workload]) {
    for victim in victims {
        block_on(victim.wait_touched(Duration::from_secs(10))).expect("the victim's query ends");
    }
}

#[test]
fn an_event_in_either_mode_cuts_the_named_user_everywhere_and_its_outcome_stands_on_the_topic() {
    let set = replica_set();
    let house = House::new("modes", Plan::default());
    let named = ["carol", "dave"].map(|name| block_on(user(set, name, "admin")));
    let namesake = block_on(user(set, "carol", "app"));
    let victims = named.each_ref().map(query_everywhere);
    let others = query_everywhere(&namesake);
    let service = house.start();
    let outcomes = house.outcomes();

    // A fixed event, so that the ids can be written down: made with Python's uuid.uuid5.
    let data = json!({"principals": [{"user": "carol", "db": "admin"}], "incident": "INC-42"});
    house.put(&[Raw::new(
        data.to_string(),
        &[
            ("ce_specversion", "1.0"),
            ("ce_id", "01J9"),
            ("ce_source", "/siem/acme"),
            ("ce_type", "io.severance.account.compromised.v1"),
            ("ce_traceparent", TRACE),
            ("content-type", "application/json"),
        ],
    )]);
    let first = outcome(&outcomes.at_least(SOON, 1)[0]);
    are_cut(&victims[0]);
    assert!(victims[1].iter().all(Workload::is_untouched), "not named yet");
    assert_eq!(first["data"]["case_id"], "0a10ed09-dd7f-59aa-b657-bd804f0f6dcc");
    assert_eq!(first["id"], "b6e0d40d-1203-560b-8fbf-2852fed98656");
    assert_eq!(first["data"]["incident"], "INC-42");
    assert_eq!(first["data"]["maybe_rerun"], true, "whoever had the partition before may have acted");

    let mut second =
        event("account.offboarded", "2", json!({"principals": [{"user": "dave", "db": "admin"}]}));
    second["traceparent"] = json!(TRACE);
    house.put(&[structured(&second)]);
    let second = outcome(&outcomes.at_least(SOON, 2)[1]);
    are_cut(&victims[1]);
    assert_eq!(second["data"]["maybe_rerun"], false);
    assert!(others.iter().all(Workload::is_untouched), "carol@app was not named");

    for outcome in [&first, &second] {
        assert_eq!(outcome["data"]["status"], "terminated", "{outcome:#}");
        assert_eq!(outcome["traceparent"], TRACE);
        assert_eq!(outcome["data"]["traceparent"], TRACE);
        assert_eq!(outcome["source"], "/severance/modes");
        let nodes = outcome["data"]["clusters"][0]["nodes"].as_array().expect("nodes");
        let hosts: Vec<&Value> = nodes.iter().map(|node| &node["host"]).collect();
        assert_eq!(hosts.len(), set.size(), "{hosts:?}");
        assert!(nodes.iter().all(|node| node["status"] == "clean" && node["killed"] == 1), "{outcome:#}");
    }
    service.stop();
}

#[test]
fn a_type_or_a_source_that_a_topic_may_not_say_is_refused_and_cuts_nobody() {
    let set = replica_set();
    let topics = "    - name: {topic}\n      accept_types: ['io.severance.account.compromised.*']\n      accept_sources: ['/siem/*']\n";
    let house = House::new("trust", Plan { topics: topics.to_owned(), ..Plan::default() });
    let erin = block_on(user(set, "erin", "admin"));
    let work = query_everywhere(&erin);
    let service = house.start();

    let say = |kind: &str, id: &str, source: &str| {
        let mut event = event(kind, id, json!({"principals": [{"user": "erin", "db": "admin"}]}));
        event["source"] = json!(source);
        structured(&event)
    };
    house.put(&[
        say("account.offboarded", "1", "/siem/acme"),
        say("account.compromised", "2", "/hr/acme"),
        say("account.reinstated", "3", "/siem/acme"),
    ]);
    let outcomes = house.outcomes();
    let said = outcomes.at_least(SOON, 3);
    let said: Vec<_> = said
        .iter()
        .map(outcome)
        .map(|outcome| format!("{} {}", outcome["data"]["status"], outcome["data"]["reason"]))
        .collect();
    let [kind, source] = ["type", "source"].map(|what| format!("\"refused\" \"{what}_not_accepted\""));
    assert_eq!(said, [&kind, &source, &kind].map(String::clone));
    assert!(work.iter().all(Workload::is_untouched), "nobody may be cut for that");

    house.put(&[say("account.compromised", "4", "/siem/acme")]);
    assert_eq!(outcome(&outcomes.at_least(SOON, 4)[3])["data"]["status"], "terminated");
    are_cut(&work);
    service.stop();
}
