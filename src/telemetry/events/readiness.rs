//! Other checks of readiness fail than before, or somebody holds us.

use std::path::Path;

use crate::health::Readiness;

/// A pause began or is over.
pub struct PauseChanged<'a> {
    /// Whether there is one now.
    pub paused: bool,
    /// The file that makes it.
    pub file: &'a Path,
}

impl PauseChanged<'_> {
    /// Says it; `severance.ready` has a check for it.
    pub fn emit(self) {
        let file = self.file.display();
        match self.paused {
            true => {
                tracing::warn!(%file, "paused: nothing is consumed and no job is run while the file exists")
            }
            false => tracing::warn!(%file, "the pause is over"),
        }
    }
}

/// Other checks fail than before.
pub struct ReadinessChanged<'a> {
    /// How all of them stand now.
    pub readiness: &'a Readiness,
}

impl ReadinessChanged<'_> {
    /// Says it; at each scrape the checks are asked themselves.
    pub fn emit(self) {
        let faults: Vec<_> =
            self.readiness.faults().map(|(check, fault)| format!("{check}: {fault}")).collect();
        match faults[..] {
            [] => tracing::info!("ready"),
            _ => tracing::warn!(reasons = faults.join("; "), "not ready"),
        }
    }
}
