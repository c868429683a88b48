//! Whether this process can do its job now, and if not, why.
//!
//! The parts report into one [`Health`]: one that knows when something changes calls
//! [`Health::report`], one that can be asked at any time hands over a question with
//! [`Health::ask`]. Ready is who has no fault. Names of checks: `running`, `started`,
//! `assignment`, `publishing`, `jobs`, `paused`, `config` and `cluster <name>`.

mod nodes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use crate::telemetry::events::ReadinessChanged;

pub use nodes::watch_nodes;

/// The check that fails while we drain.
pub const RUNNING: &str = "running";
/// The check that fails until the clusters were looked for.
pub const STARTED: &str = "started";
/// The check that fails until the group has given us our partitions, and without Kafka.
pub const ASSIGNMENT: &str = "assignment";
/// The check that fails while the configuration that was read last cannot be used.
pub const CONFIG: &str = "config";
/// The check that fails while the pause file exists.
pub const PAUSED: &str = "paused";
/// The check that fails while unfinished work cannot be carried on.
pub const JOBS: &str = "jobs";
/// The check that fails while outcomes cannot be published.
pub const PUBLISHING: &str = "publishing";

type Question = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What the parts say of themselves.
#[derive(Default)]
pub struct Health {
    checks: Mutex<BTreeMap<String, Check>>,
    /// The checks that failed when last looked at; `None` before.
    failing: Mutex<Option<BTreeSet<String>>>,
}

enum Check {
    Reported(Option<String>),
    Asked(Question),
}

/// How all of it stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether no check fails.
    pub ready: bool,
    /// By check.
    pub checks: BTreeMap<String, Verdict>,
}

/// How one check stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether it holds.
    pub ok: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Health {
    /// From now on the check has this fault, or none.
    pub fn report(&self, check: &str, fault: Option<String>) {
        self.checks().insert(check.to_owned(), Check::Reported(fault));
    }

    /// Checks whose names begin so are no longer there.
    pub fn forget(&self, beginning: &str) {
        self.checks().retain(|name, _| !name.starts_with(beginning));
    }

    /// From now on whoever wants to know asks for the check's fault. The question must not wait.
    pub fn ask(&self, check: &str, question: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.checks().insert(check.to_owned(), Check::Asked(Box::new(question)));
    }

    /// How all of it stands; logged where other checks fail than the last time.
    pub fn look(&self) -> Readiness {
        let checks: BTreeMap<_, _> = self
            .checks()
            .iter()
            .map(|(name, check)| {
                let reason = match check {
                    Check::Reported(fault) => fault.clone(),
                    Check::Asked(question) => question(),
                };
                (name.clone(), Verdict { ok: reason.is_none(), reason })
            })
            .collect();
        let readiness = Readiness { ready: checks.values().all(|verdict| verdict.ok), checks };
        let failing: BTreeSet<_> = readiness.faults().map(|(check, _)| check.to_owned()).collect();
        let mut before = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if before.as_ref() != Some(&failing) {
            // How it begins is no news.
            let is_news = before.replace(failing).is_some();
            drop(before);
            if is_news {
                ReadinessChanged { readiness: &readiness }.emit();
            }
        }
        readiness
    }

    fn checks(&self) -> MutexGuard<'_, BTreeMap<String, Check>> {
        // Each entry is replaced whole.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readiness {
    /// The checks that fail, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.checks.iter().filter_map(|(check, verdict)| Some((check.as_str(), verdict.reason.as_deref()?)))
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("checks", &self.checks().keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[test]
    fn ready_is_who_has_no_fault_and_every_fault_is_told() {
        let health = Health::default();
        assert!(health.look().ready, "nobody has anything to say");
        let down = Arc::new(AtomicBool::new(true));
        let asked = down.clone();
        health.ask(PUBLISHING, move || asked.load(Ordering::Relaxed).then(|| "Kafka is away".to_owned()));
        health.report(RUNNING, Some("draining".to_owned()));
        let told: Vec<String> =
            health.look().faults().map(|(check, why)| format!("{check}: {why}")).collect();
        assert_eq!(told, ["publishing: Kafka is away", "running: draining"]);
        down.store(false, Ordering::Relaxed);
        health.report(RUNNING, None);
        assert!(health.look().ready);
    }

    #[test]
    fn readiness_is_json_with_a_reason_only_where_there_is_one() {
        let health = Health::default();
        health.report(STARTED, None);
        health.report("cluster orders", Some("m2:27017: no answer".to_owned()));
        insta::assert_snapshot!(
            serde_json::to_string(&health.look()).unwrap(),
            @r#"{"ready":false,"checks":{"cluster orders":{"ok":false,"reason":"m2:27017: no answer"},"started":{"ok":true}}}"#
        );
    }
}
