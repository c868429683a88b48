//! What is to be said of Kafka and its topics.

use super::{report::Finding, unfinished};
use crate::{
    config::Config,
    edge::{
        kafka_admin::Admin,
        kafka_client,
        kafka_topics::{Judged, Needs, Role, Verdict, judge},
    },
};

/// Asks the brokers.
pub async fn findings(config: &Config) -> Vec<Finding> {
    let kafka = &config.kafka;
    let faults: Vec<Finding> = kafka_client::validate(kafka)
        .into_iter()
        .map(|fault| {
            Finding::fault("kafka.properties", fault, "see librdkafka's CONFIGURATION.md".to_owned())
        })
        .collect();
    if !faults.is_empty() {
        return faults;
    }
    let needs = Needs::of(config);
    let seen = match Admin::new(kafka) {
        Ok(admin) => admin.look(&needs.names()).await,
        Err(error) => Err(error),
    };
    match seen {
        Err(error) => {
            let fix = "start it, or correct bootstrap.servers and the security properties".to_owned();
            vec![Finding::fault("", error.to_string(), fix)]
        }
        Ok(seen) => {
            let judged = judge(&needs, &seen);
            let mut findings: Vec<Finding> = judged.iter().flat_map(topic).collect();
            if are_there(&judged) {
                findings.extend(unfinished::findings(config, &seen).await);
            }
            findings
        }
    }
}

fn topic(judged: &Judged) -> Vec<Finding> {
    let subject = format!("{} ({})", judged.name, judged.role.name());
    if judged.findings.is_empty() {
        return vec![Finding::ok(subject, "is there")];
    }
    let findings = judged.findings.iter().map(|found| match found.verdict {
        Verdict::Ok => Finding::ok(subject.clone(), found.what.clone()),
        Verdict::Warning => Finding::warning(subject.clone(), found.what.clone(), found.fix.clone()),
        Verdict::Wrong | Verdict::Missing => {
            Finding::fault(subject.clone(), found.what.clone(), found.fix.clone())
        }
    });
    findings.collect()
}

/// Whether both topics of unfinished work can be read.
fn are_there(judged: &[Judged]) -> bool {
    let of_jobs = |topic: &&Judged| match topic.role {
        Role::State | Role::Commands => true,
        Role::Triggers | Role::Outcomes | Role::DeadLetters => false,
    };
    let mut topics = judged.iter().filter(of_jobs).peekable();
    topics.peek().is_some()
        && topics.all(|topic| topic.topic.as_ref().is_some_and(|topic| topic.leaderless == 0))
}
