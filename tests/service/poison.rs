//! Records that are no event: each is kept as it came, and said, and stops nobody behind it.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::house::{House, Plan, SOON, event, offboarded, outcome, structured, triggers, unheard};
use crate::support::topic::Raw;

/// What a record of each kind is called.
fn poisons() -> Vec<(&'static str, Raw)> {
    let good = event("account.offboarded", "good", json!({"principals": [{"user": "frank", "db": "admin"}]}));
    let text = good.to_string();
    let json = [("content-type", "application/cloudevents+json")];
    let mut unreadable = Raw::new(
        json!({"principals": [{"user": "frank", "db": "admin"}]}).to_string(),
        &[
            ("ce_specversion", "1.0"),
            ("ce_source", "/test"),
            ("ce_type", "io.severance.account.offboarded.v1"),
        ],
    );
    unreadable.headers.push(("ce_id".to_owned(), Some(vec![0xff, 0xfe])));
    let null_header = Raw { headers: vec![("ce_specversion".to_owned(), None)], ..Raw::new("x", &[]) };
    let mut large = b"{\"specversion\":\"1.0\",\"data\":\"".to_vec();
    large.resize(900 * 1024, b'x');
    vec![
        ("empty", Raw { value: None, ..Raw::new("", &json) }),
        ("empty", Raw { key: Some(b"\0key".to_vec()), value: None, headers: Vec::new() }),
        ("not_a_cloud_event", Raw::new("<user>frank</user>", &[])),
        ("not_a_cloud_event", Raw::new([0x00, 0xff, 0xfe], &[])),
        (
            "batch_mode",
            Raw::new(format!("[{text}]"), &[("content-type", "application/cloudevents-batch+json")]),
        ),
        ("malformed_json", Raw::new(&text[..text.len() - 2], &json)),
        ("malformed_json", Raw::new(text.replacen("\"db\"", "\"user\":\"root\",\"db\"", 1), &json)),
        ("malformed_json", Raw::new(large, &json)),
        ("invalid_attribute", unreadable),
        ("invalid_attribute", null_header),
        ("invalid_data", Raw::new(text.replace("[{", "[{}, {"), &json)),
    ]
}

#[test]
fn every_poison_record_is_kept_as_it_came_and_said_and_those_behind_it_are_served() {
    let house = House::new("poison", Plan::default());
    let poisons = poisons();
    let records: Vec<Raw> = poisons
        .iter()
        .enumerate()
        .flat_map(|(number, (_, raw))| [raw.clone(), offboarded(&format!("behind {number}"), "frank")])
        .collect();
    house.put(&records);
    let service = house.start();

    let outcomes = house.outcomes().at_least(SOON, records.len());
    let letters = house.dead_letters().at_least(SOON, poisons.len());
    assert_eq!((outcomes.len(), letters.len()), (records.len(), poisons.len()));
    let behind: Vec<String> = (0..poisons.len()).map(|number| format!("behind {number}")).collect();
    assert_eq!(triggers(&outcomes), behind);

    for (number, (reason, raw)) in poisons.iter().enumerate() {
        let (letter, data) = (&letters[number], &outcome(&outcomes[2 * number])["data"]);
        let offset = 2 * number;
        assert_eq!((&letter.key, &letter.value), (&raw.key, &raw.value), "record {offset}");
        assert_eq!(letter.headers[..raw.headers.len()], raw.headers, "record {offset}");
        assert_eq!(letter.header("severance-reason").as_deref(), Some(*reason), "record {offset}");
        assert_eq!(letter.header("severance-topic").as_deref(), Some(house.events.as_str()));
        assert_eq!(letter.header("severance-partition").as_deref(), Some("0"));
        assert_eq!(letter.header("severance-offset"), Some(offset.to_string()));
        assert!(letter.header("severance-truncated").is_none(), "record {offset}");
        assert_eq!((&data["status"], &data["reason"]), (&json!("undecodable"), &json!(reason)));
        let position = json!({"topic": house.events, "partition": 0, "offset": offset});
        for (key, value) in position.as_object().expect("an object") {
            assert_eq!(&data["origin"]["kafka"][key], value, "record {offset}");
        }
    }
    service.stop();
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 32);
    let mut block = Sha256::digest(b"noise");
    while bytes.len() < length {
        bytes.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    bytes.truncate(length);
    bytes
}

/// Names too long and too many for an outcome that holds all of them.
fn crowd() -> Raw {
    const LENGTH: usize = 250;
    let noise = noise(600 * LENGTH);
    let name = |number: usize| {
        noise[LENGTH * number..][..LENGTH].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let principals: Vec<Value> =
        (0..600).map(|number| json!({"user": name(number), "db": "admin"})).collect();
    structured(&event("account.offboarded", "crowd", json!({"principals": principals})))
}

fn minimal_forms_arrive(name: &str, plan: Plan) {
    let more = format!("{}limits: {{ max_principals: 1000 }}\nevidence: {{ wait: 1900ms }}\n", plan.more);
    let house = House::new(name, Plan { more, ..plan });
    let poison = noise(400_000);
    house.put(&[crowd(), Raw::new(poison.clone(), &[("sender", "x")]), unheard("behind")]);
    let service = house.start();
    let outcomes = house.outcomes().at_least(SOON, 3);
    let letter = &house.dead_letters().at_least(SOON, 1)[0];

    // What had to be sent again may stand behind what came after it.
    let of_crowd = outcomes.iter().find(|raw| triggers(std::slice::from_ref(raw)) == ["crowd"]);
    let of_crowd = of_crowd.expect("an outcome of the crowd");
    let data = &outcome(of_crowd)["data"];
    assert_eq!((&data["truncated"], &data["principals_total"]), (&json!(true), &json!(600)));
    assert_eq!(data["status"], "nothing_found");
    assert!(data["principals"].as_array().is_some_and(|listed| (1..600).contains(&listed.len())));
    assert!(of_crowd.value.as_ref().is_some_and(|value| value.len() < 100_000));
    let innocent = outcomes.iter().find(|raw| triggers(std::slice::from_ref(raw)) == ["behind"]);
    assert_eq!(outcome(innocent.expect("the other"))["data"]["truncated"], false);
    let mut served = triggers(&outcomes);
    served.sort();
    assert_eq!(served, ["behind", "crowd"]);

    let kept = letter.value.as_deref().expect("a value");
    assert!(!kept.is_empty() && poison.starts_with(kept) && kept.len() < 100_000);
    assert_eq!(letter.headers[0], ("sender".to_owned(), Some(b"x".to_vec())));
    assert_eq!(letter.header("severance-truncated").as_deref(), Some("true"));
    assert_eq!(letter.header("severance-size").as_deref(), Some("400000"));
    let digest: String = Sha256::digest(&poison).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(letter.header("severance-sha256"), Some(digest));
    assert_eq!(letter.header("severance-offset").as_deref(), Some("1"));
    service.stop();
}

#[test]
fn what_is_larger_than_message_max_bytes_arrives_in_its_minimal_form() {
    let properties = ", message.max.bytes: '100000'".to_owned();
    minimal_forms_arrive("small", Plan { properties, ..Plan::default() });
}

#[test]
fn what_is_larger_than_its_topic_allows_arrives_in_its_minimal_form() {
    let small: &[_] = &[("max.message.bytes", "100000")];
    minimal_forms_arrive("small-topic", Plan { settings: [small, small], ..Plan::default() });
}
