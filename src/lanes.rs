//! Batches in flight side by side, and in order where they touch the same person on the same
//! cluster: a later kill must not overtake an earlier one.

use std::{collections::HashSet, sync::Arc};

use tokio::sync::watch;

use crate::principal::Principal;

/// What a batch touches: a principal on a cluster.
pub type Touches = HashSet<(Arc<str>, Principal)>;

/// The batches in flight.
#[derive(Debug, Default)]
pub struct Lanes(Vec<Lane>);

#[derive(Debug)]
struct Lane {
    touches: Touches,
    done: watch::Receiver<()>,
}

/// A batch's place: whom it has to wait for, and who waits for it until this is dropped.
#[derive(Debug)]
pub struct Turn {
    before: Vec<watch::Receiver<()>>,
    _done: watch::Sender<()>,
}

impl Lanes {
    /// The place of a batch that touches this, behind all that entered before and touch the same.
    pub fn enter(&mut self, touches: Touches) -> Turn {
        self.0.retain(|lane| lane.done.has_changed().is_ok());
        let before =
            self.0.iter().filter(|lane| !lane.touches.is_disjoint(&touches)).map(|lane| lane.done.clone());
        let before = before.collect();
        let (sender, done) = watch::channel(());
        self.0.push(Lane { touches, done });
        Turn { before, _done: sender }
    }
}

impl Turn {
    /// Waits until everybody before has finished, however they did.
    pub async fn wait(&mut self) {
        while let Some(before) = self.before.last_mut() {
            // Nothing is ever sent: it ends when the other turn is dropped.
            while before.changed().await.is_ok() {}
            self.before.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn touches(names: &[&str]) -> Touches {
        names.iter().map(|name| (Arc::from("orders"), name.parse().unwrap())).collect()
    }

    #[tokio::test]
    async fn a_batch_waits_for_an_earlier_one_about_the_same_person_and_for_no_other() {
        let mut lanes = Lanes::default();
        let first = lanes.enter(touches(&["a@admin", "b@admin"]));
        let mut other = lanes.enter(touches(&["c@admin"]));
        let mut same = lanes.enter(touches(&["b@admin", "c@admin"]));
        assert!(other.wait().now_or_never().is_some());
        assert!(same.wait().now_or_never().is_none());
        drop(first);
        assert!(same.wait().now_or_never().is_none(), "it came behind two");
        drop(other);
        same.wait().await;
    }

    #[test]
    fn what_has_finished_is_forgotten() {
        let mut lanes = Lanes::default();
        for _ in 0..10 {
            drop(lanes.enter(touches(&["a@admin"])));
        }
        assert_eq!(lanes.0.len(), 1);
    }
}
