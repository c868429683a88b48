//! What a batch leaves behind, on its way to Kafka.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    events::{BatchDone, CanaryDone, DeadLettered, OffsetsDone, OutcomeMade, Published},
    trace::Trace,
};
use crate::{
    canary,
    ingest::Partition,
    report::{Commit, Message},
};

/// What there is to say of a batch once it is published.
#[derive(Debug)]
pub struct Publication<'a> {
    batch: uuid::Uuid,
    trace: Trace,
    outcomes: &'a str,
    dead_letters: &'a str,
    /// Of outcomes and of dead letters.
    counts: (u64, u64),
    offsets: BTreeMap<Partition, i64>,
    /// When each canary of it was made.
    canaries: Vec<Timestamp>,
}

impl<'a> Publication<'a> {
    /// Says what came of each case. The trace is taken over: it ends with the publication.
    pub fn of(commit: &mut Commit, outcomes: &'a str, dead_letters: &'a str) -> Self {
        let mut counts = (0, 0);
        let mut canaries = Vec::new();
        for message in &commit.messages {
            match message {
                Message::Outcome(outcome) => {
                    counts.0 += 1;
                    OutcomeMade(&outcome.data).emit();
                    if outcome.data.rule.as_deref() == Some(canary::RULE) {
                        canaries.extend(outcome.data.event_time);
                    }
                }
                Message::DeadLetter(letter) => {
                    counts.1 += 1;
                    DeadLettered { reason: letter.poison.reason }.emit();
                }
                // Said by the outcome beside it.
                Message::State(_) | Message::Command(_) => {}
            }
        }
        Self {
            batch: commit.batch,
            trace: std::mem::take(&mut commit.trace),
            outcomes,
            dead_letters,
            counts,
            offsets: commit.offsets.clone(),
            canaries,
        }
    }

    /// Publishes it.
    pub async fn around<T, E>(self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let Self { batch, mut trace, outcomes, dead_letters, counts, offsets, canaries } = self;
        let began = Instant::now();
        let published = trace.publish(outcomes, counts.0 + counts.1, work).await;
        let acknowledged = published.is_ok();
        Published { outcomes, dead_letters, counts, took: began.elapsed(), acknowledged }.emit();
        if acknowledged {
            for (partition, next) in &offsets {
                OffsetsDone { partition, next: *next }.emit();
            }
            for made in canaries {
                let took = Timestamp::now().duration_since(made);
                CanaryDone { took: Duration::try_from(took).unwrap_or_default() }.emit();
            }
            BatchDone { batch, took: trace.age() }.emit();
        }
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::CaseId,
        ingest::Origin,
        jobs::Key,
        report::{CommandRecord, StateRecord},
    };

    #[test]
    fn what_is_left_for_jobs_is_neither_an_outcome_nor_a_dead_letter() {
        let case = CaseId::of_event("/s", "1");
        let key = Key::Create { case, n: 0 };
        let state = StateRecord { partition: 0, key, value: None, origin: Origin::Local };
        let command = CommandRecord { key: case, value: Vec::new(), origin: Origin::Local };
        let mut commit = Commit {
            batch: uuid::Uuid::nil(),
            messages: vec![Message::State(state), Message::Command(command)],
            offsets: BTreeMap::new(),
            claim: Default::default(),
            trace: Trace::default(),
        };
        assert_eq!(Publication::of(&mut commit, "outcomes", "letters").counts, (0, 0));
    }
}
