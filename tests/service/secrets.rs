//! Where a password never shows: the process's own surroundings, its log, its outcomes, its errors.

use std::fs;

use super::house::{House, Plan, SOON, offboarded, outcome, responder, user};
use crate::support::topic::Raw;
use crate::support::{block_on, replica_set};

const KAFKA_PASSWORD: &str = "kafka-pa55word-of-nobody";
/// Everything that the program and its two drivers can say.
const LEVELS: [&str; 2] = ["debug", "severance=trace,mongodb=debug,rdkafka=debug,librdkafka=debug"];

fn password_in(uri: &str) -> String {
    let (_, rest) = uri.split_once("://").expect("a scheme");
    let (user, _) = rest.split_once('@').expect("an account");
    user.split_once(':').expect("a password").1.to_owned()
}

fn text(raws: &[Raw]) -> String {
    format!(
        "{raws:?} {}",
        raws.iter()
            .map(|raw| String::from_utf8_lossy(raw.value.as_deref().unwrap_or_default()))
            .collect::<String>()
    )
}

#[test]
fn no_password_is_seen_in_the_process_or_in_anything_that_it_says_with_the_right_one_or_a_wrong_one() {
    let set = replica_set();
    block_on(user(set, "iris", "admin"));
    let right = set.uri(responder());
    let password = password_in(&right);
    let wrong_password = format!("wr0ng{password}");
    let wrong = right.replacen(&password, &wrong_password, 1);
    let properties =
        ", sasl.username: nobody, sasl.password: { file: kafka-password }, debug: 'security,broker'";
    for (number, (uri, level)) in
        [(&right, LEVELS[0]), (&right, LEVELS[1]), (&wrong, LEVELS[0]), (&wrong, LEVELS[1])]
            .into_iter()
            .enumerate()
    {
        let house = House::new(
            &format!("secrets-{number}"),
            Plan { uri: Some(uri.clone()), properties: properties.to_owned(), ..Plan::default() },
        );
        fs::write(house.path().join("kafka-password"), format!("{KAFKA_PASSWORD}\n"))
            .expect("the folder is ours");
        house.put(&[offboarded("1", "iris"), Raw::new("poison", &[])]);
        let service = house.start_with(|command| {
            command.env("RUST_LOG", level);
        });
        let outcomes = house.outcomes().at_least(SOON, 2);
        let letters = house.dead_letters().at_least(SOON, 1);
        let status = outcome(&outcomes[0])["data"]["status"].clone();
        let fails = *uri == wrong;
        assert_eq!(["failed", "refused"].iter().any(|word| status == *word), fails, "{status}");
        let of_process = |what: &str| {
            let bytes = fs::read(format!("/proc/{}/{what}", service.pid())).expect("it runs");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let places = [
            ("cmdline", of_process("cmdline")),
            ("environ", of_process("environ")),
            ("the outcomes", text(&outcomes)),
            ("the dead letters", text(&letters)),
            ("the log", service.stop()),
        ];
        let log = &places[4].1;
        assert!(log.contains("DEBUG"), "the log is as loud as it was asked to be:\n{log}");
        assert!(!fails || log.contains("uthentication"), "the log says what is wrong:\n{log}");
        for (place, text) in &places {
            for secret in [password.as_str(), KAFKA_PASSWORD] {
                let line = text.lines().find(|line| line.contains(secret));
                assert!(line.is_none(), "a password is in {place}: {line:?}");
            }
        }
    }
}
