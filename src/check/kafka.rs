//! What is to be said of Kafka and its topics.

use super::report::Finding;
use crate::{
    config::Kafka,
    edge::{
        kafka_admin::Admin,
        kafka_client,
        kafka_topics::{Verdict, judge, needed},
    },
};

/// Asks the brokers.
pub async fn findings(kafka: &Kafka) -> Vec<Finding> {
    let mut findings: Vec<Finding> = kafka_client::validate(kafka)
        .into_iter()
        .map(|fault| {
            Finding::fault("kafka.properties", fault, "see librdkafka's CONFIGURATION.md".to_owned())
        })
        .collect();
    if !findings.is_empty() {
        return findings;
    }
    let needed = needed(kafka);
    let names: Vec<String> = needed.iter().map(|(name, _)| name.clone()).collect();
    let seen = match Admin::new(kafka) {
        Ok(admin) => admin.look(&names).await,
        Err(error) => Err(error),
    };
    match seen {
        Err(error) => {
            let fix = "start it, or correct bootstrap.servers and the security properties".to_owned();
            findings.push(Finding::fault("", error.to_string(), fix));
        }
        Ok(seen) => {
            for judged in judge(&needed, &seen, kafka_client::message_max_bytes(kafka)) {
                let subject = format!("{} ({})", judged.name, judged.role.name());
                if judged.findings.is_empty() {
                    findings.push(Finding::ok(subject, "is there"));
                    continue;
                }
                findings.extend(judged.findings.iter().map(|found| match found.verdict {
                    Verdict::Ok => Finding::ok(subject.clone(), found.what.clone()),
                    Verdict::Warning => {
                        Finding::warning(subject.clone(), found.what.clone(), found.fix.clone())
                    }
                    Verdict::Wrong | Verdict::Missing => {
                        Finding::fault(subject.clone(), found.what.clone(), found.fix.clone())
                    }
                }));
            }
        }
    }
    findings
}
