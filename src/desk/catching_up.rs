//! Attempts that wait for the commands to be read. The watermark of each has to be taken after the
//! attempt was announced, so whoever comes while one is under way waits for the next.

use crate::{case::CaseId, jobs::Turn};

type Waiting = (i32, CaseId, Turn);

/// Who waits.
#[derive(Default)]
pub(super) struct CatchingUp {
    waiting: Vec<Waiting>,
    under_way: Option<(u64, Vec<Waiting>)>,
    begun: u64,
}

impl CatchingUp {
    /// An attempt of this partition's book wants the commands to be read.
    pub fn wants(&mut self, partition: i32, case: CaseId, turn: Turn) {
        self.waiting.push((partition, case, turn));
    }

    /// Whether to ask now, and under which number: at the very first, and where somebody waits and
    /// nothing is under way.
    pub fn begin(&mut self) -> Option<u64> {
        if self.under_way.is_some() || (self.waiting.is_empty() && self.begun > 0) {
            return None;
        }
        self.begun += 1;
        self.under_way = Some((self.begun, std::mem::take(&mut self.waiting)));
        Some(self.begun)
    }

    /// The commands were read for this number: for whom.
    pub fn done(&mut self, token: u64) -> Vec<Waiting> {
        match self.under_way.take() {
            Some((asked, waited)) if asked == token => waited,
            other => {
                self.under_way = other;
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(number: u64) -> Turn {
        Turn { load: 1, number }
    }

    #[test]
    fn who_comes_while_it_is_asked_waits_for_the_next_answer() {
        let case = CaseId::of_event("/s", "1");
        let mut catching_up = CatchingUp::default();
        assert_eq!(catching_up.begin(), Some(1), "all that was ever said");
        catching_up.wants(0, case, turn(1));
        assert_eq!(catching_up.begin(), None);
        assert!(catching_up.done(1).is_empty(), "it came later");
        assert_eq!(catching_up.begin(), Some(2));
        catching_up.wants(0, case, turn(2));
        assert_eq!(catching_up.done(2), [(0, case, turn(1))]);
        assert_eq!(catching_up.begin(), Some(3));
        assert!(catching_up.done(7).is_empty(), "nobody asked");
        assert_eq!(catching_up.done(3), [(0, case, turn(2))]);
        assert_eq!(catching_up.begin(), None, "nobody waits");
    }
}
