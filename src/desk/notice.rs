//! What the protocol wants a person to know, as log lines.

use crate::jobs::Notice;

/// Says it.
pub(super) fn say(partition: i32, notice: &Notice) {
    match notice {
        Notice::Beaten { case, n } => {
            tracing::debug!(%case, n, "its trigger was delivered again after it had ended");
        }
        Notice::Blocked { case, why } => {
            tracing::error!(%case, partition, %why, "a case is not run: its record is not for us to read");
        }
        Notice::MayLackCommands { case } => tracing::error!(
            %case,
            partition,
            fix = "`severance cases show` says whom it is about; cancel it, or redrive its trigger",
            "a case waits for a person: a command that concerns it may be gone from kafka.commands"
        ),
        Notice::CreationGone { case, n } => {
            tracing::error!(%case, n, partition, "somebody deleted the record of a case that was in hand");
        }
        Notice::Foreign { case } => {
            tracing::error!(%case, partition, "somebody else has written the state of a case that we hold");
        }
        Notice::UnknownKey { offset } => {
            tracing::error!(partition, offset, "a record on kafka.state is none of ours");
        }
        Notice::NotBuilt { key } => {
            tracing::error!(%key, partition, "a record on kafka.state needs a later version");
        }
        Notice::Full => tracing::error!(
            partition,
            "too much unfinished work for one process: what is beyond waits until some has ended"
        ),
    }
}
