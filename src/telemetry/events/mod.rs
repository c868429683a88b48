//! What an operator may want to know of, one value each. `emit` writes its log line and moves its
//! metrics; nobody else does either for it.

mod kafka;
mod node;
mod outcome;
mod readiness;
mod work;

pub use kafka::{
    DeadLettered, OffsetsDone, PartitionEnds, PartitionsAssigned, PartitionsRevoked, PublishRetried,
    RebalanceFailed, TransactionEnded,
};
pub use node::{CircuitClosed, CircuitOpened, KillRetried, NodeUnreachable};
pub use outcome::OutcomeMade;
pub use readiness::{PauseChanged, ReadinessChanged};
pub use work::{BatchDone, BatchTaken, CanaryDone, Published};

/// A closed set's word, as it is serialized.
pub(super) fn word_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}
