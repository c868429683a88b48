//! What is to be said of the work that is not finished, from what stands on its topics.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::spawn_blocking;

use super::report::Finding;
use crate::{
    config::{Config, JobTopics, duration},
    edge::{
        kafka_probe::{BrokerClock, probe},
        kafka_reader::ReadError,
        kafka_topics::Seen,
    },
    jobs::{Current, Shelves, Unreadable},
    unfinished::Unfinished,
};

/// Reads both topics.
pub(super) async fn findings(config: &Config, seen: &Seen) -> Vec<Finding> {
    let Some(topics) = &config.kafka.jobs else { return Vec::new() };
    let state = format!("{} (state)", topics.state);
    match read(config, topics).await {
        Ok(unfinished) => {
            let partitions = seen.topics.get(&*topics.state).map_or(0, |topic| topic.partitions);
            let mut findings = cases(&state, partitions, &unfinished.shelves);
            findings.push(writes(config, topics, seen, &state).await);
            findings
        }
        Err(error) => {
            let fix = "allow Read on kafka.state and kafka.commands".to_owned();
            vec![Finding::fault(state, error.to_string(), fix)]
        }
    }
}

async fn read(config: &Config, topics: &JobTopics) -> Result<Unfinished, ReadError> {
    let (kafka, topics) = (config.kafka.clone(), topics.clone());
    let topic = topics.state.to_string();
    spawn_blocking(move || Unfinished::read(&kafka, &topics))
        .await
        .unwrap_or_else(|error| Err(ReadError::Refused { topic, reason: error.to_string() }))
}

/// The cases, and those of them that nobody may carry on.
fn cases(subject: &str, partitions: usize, shelves: &Shelves) -> Vec<Finding> {
    let mut open = 0;
    let (mut elsewhere, mut unreadable) = (Vec::new(), Vec::new());
    for (case, _, current) in shelves.iter() {
        match current {
            Current::Job(_) => open += 1,
            Current::Blocked(Unreadable::Elsewhere { lives_in, found_in }) => {
                elsewhere.push((case, lives_in, found_in));
            }
            Current::Blocked(why) => unreadable.push((case, why)),
            Current::Ended(_) | Current::Nothing => {}
        }
    }
    let mut findings = Vec::new();
    if let Some((case, lives_in, found_in)) = elsewhere.first() {
        let needed = elsewhere.iter().map(|(_, lives_in, _)| *lives_in).max().unwrap_or(0).saturating_add(1);
        findings.push(Finding::fault(
            subject,
            format!(
                "{} stand in another partition than the one they live in (case {case}: {found_in}, not {lives_in}): the \
                 number of partitions was changed, now it is {partitions}, and nobody carries them on",
                many(elsewhere.len())
            ),
            format!(
                "restore the topic with the number of partitions that it had, at least {needed}, each record in the \
                 partition that it names; change the number only while no case is open (severance cases list)"
            ),
        ));
    }
    if let Some((case, why)) = unreadable.first() {
        findings.push(Finding::warning(
            subject,
            format!("{} cannot be read and are left alone (case {case}: {why})", many(unreadable.len())),
            "run the version that wrote them; severance cases list shows them all".to_owned(),
        ));
    }
    if findings.is_empty() {
        let said = match open {
            0 => "no open cases".to_owned(),
            open => format!("{} not finished", many(open)),
        };
        findings.push(Finding::ok(subject, said));
    }
    findings
}

/// Whether a transaction can be written there, and what the broker's clock shows meanwhile.
async fn writes(config: &Config, topics: &JobTopics, seen: &Seen, subject: &str) -> Finding {
    let (kafka, topic) = (config.kafka.clone(), topics.state.clone());
    let probed = spawn_blocking(move || probe(&kafka, &topic)).await;
    match probed.map_err(|crash| crash.to_string()).and_then(|probed| probed) {
        Ok(Some(shown)) if seen.has_brokers_time(&topics.state) => clock(shown, config.limits.clock_skew),
        Ok(_) => Finding::ok(subject, "takes transactions; without LogAppendTime it does not tell its clock"),
        Err(error) => Finding::fault(
            subject,
            format!("takes no transaction from us: {error}"),
            format!(
                "allow Write on it, and Write on the transactional ids that begin with severance-{}-",
                config.kafka.group
            ),
        ),
    }
}

fn clock(BrokerClock { ahead, error }: BrokerClock, skew: Duration) -> Finding {
    let apart = ahead.abs().saturating_sub(error);
    if apart <= SignedDuration::try_from(skew).unwrap_or(SignedDuration::MAX) {
        return Finding::ok("clock", "the broker's and ours show the same, within limits.clock_skew");
    }
    let way = if ahead.is_negative() { "behind" } else { "ahead of" };
    Finding::warning(
        "clock",
        format!(
            "the broker's clock is at least {} {way} ours, and `limits.clock_skew` is {}: the order of events \
             would be misjudged",
            duration::spell(Duration::from_secs(apart.unsigned_abs().as_secs())),
            duration::spell(skew)
        ),
        "let the same time server set this machine's clock and the brokers'".to_owned(),
    )
}

fn many(cases: usize) -> String {
    match cases {
        1 => "1 case".to_owned(),
        cases => format!("{cases} cases"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    use crate::{
        case::CaseId,
        check::report::Level,
        jobs::{Done, State},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_broker_whose_clock_is_elsewhere_is_a_warning_beyond_the_error_of_asking() {
        let clock = |ahead, error| {
            let second = SignedDuration::from_secs;
            super::clock(BrokerClock { ahead: second(ahead), error: second(error) }, Duration::from_secs(30))
        };
        let found = clock(42, 0);
        assert_eq!(found.level, Level::Warning);
        assert!(
            found.message.starts_with("the broker's clock is at least 42s ahead of ours"),
            "{}",
            found.message
        );
        assert!(clock(-42, 1).message.contains("41s behind ours"));
        for (ahead, error) in [(30, 0), (-30, 0), (42, 12), (0, 0)] {
            assert_eq!(clock(ahead, error).level, Level::Ok, "{ahead} {error}");
        }
    }

    #[test]
    fn a_case_that_cannot_be_read_is_a_warning_and_one_that_has_ended_is_none() {
        let case = CaseId::of_event("/siem", "1");
        let (mut shelves, key) = (Shelves::default(), format!("{case}/state"));
        let done = State::Done(Done { case_id: case, n: 0, seq: 2, ended_at: at(1), until: at(2) });
        shelves.put(0, key.as_bytes(), Some(&done.encode()));
        assert_eq!(cases("s", 1, &shelves), [Finding::ok("s", "no open cases")]);
        shelves.put(0, key.as_bytes(), Some(b"{\"schema_version\":2}"));
        let found = cases("s", 1, &shelves);
        assert_eq!((found.len(), found[0].level), (1, Level::Warning));
        assert!(found[0].message.contains("schema_version 2"), "{}", found[0].message);
    }
}
