//! Writes what a batch leaves behind: with an acknowledged produce and the offsets after it, or
//! in one transaction.

use super::{
    kafka_consumer::Offsets,
    kafka_publisher::{PublishError, Publisher},
    kafka_transactions::Transactions,
};
use crate::{
    config::{Delivery, Kafka},
    fault_point::{self, Place},
    report::Commit,
};

/// The running committer.
pub struct Committer {
    offsets: Offsets,
    way: Way,
}

enum Way {
    AtLeastOnce(Publisher),
    ExactlyOnce(Transactions),
}

impl Committer {
    /// Whether the brokers can be reached shows later: it is tried for ever.
    pub fn start(kafka: &Kafka, offsets: Offsets) -> Result<Self, PublishError> {
        let way = match kafka.delivery {
            Delivery::AtLeastOnce => Way::AtLeastOnce(Publisher::start(kafka)?),
            Delivery::ExactlyOnce => Way::ExactlyOnce(Transactions::start(kafka, offsets.clone())?),
        };
        Ok(Self { offsets, way })
    }

    /// Comes back when the brokers have all of it, or when what they do not have is another
    /// owner's by now. Dropping the future takes nothing back.
    pub async fn commit(&self, commit: Commit) -> Result<(), PublishError> {
        let claim = commit.claim.clone();
        let done = match &self.way {
            Way::AtLeastOnce(publisher) => {
                let done = publisher.publish(commit.messages).await;
                if done.is_ok() {
                    fault_point::reached(Place::Produced);
                    for (partition, offset) in commit.offsets {
                        self.offsets.store(&partition, offset);
                    }
                }
                done
            }
            Way::ExactlyOnce(transactions) => transactions.commit(commit).await,
        };
        fault_point::reached(Place::Committed);
        self.offsets.settled(&claim, done.is_ok());
        done
    }

    /// Gives up what is not acknowledged, now and from now on.
    pub fn stop(&self) {
        match &self.way {
            Way::AtLeastOnce(publisher) => publisher.stop(),
            Way::ExactlyOnce(transactions) => transactions.stop(),
        }
    }

    /// A question, to be asked at any time: what keeps us from publishing.
    pub fn fault(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let connection = match &self.way {
            Way::AtLeastOnce(publisher) => publisher.connection(),
            Way::ExactlyOnce(transactions) => transactions.connection(),
        };
        move || connection.fault()
    }

    /// False while no broker can be reached, as far as is known.
    pub fn is_reachable(&self) -> bool {
        match &self.way {
            Way::AtLeastOnce(publisher) => publisher.is_reachable(),
            Way::ExactlyOnce(transactions) => transactions.is_reachable(),
        }
    }
}
