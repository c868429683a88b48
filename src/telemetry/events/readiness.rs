//! Other checks of readiness fail than before.

use crate::health::Readiness;

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
