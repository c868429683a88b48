//! One line an outcome, in the log's own level. Identifiers are fields; no payload, no secret.

use super::{Alert, OutcomeData};

/// Says what came of a case.
pub fn log(data: &OutcomeData) {
    let status = super::word_of(&data.status).unwrap_or_default();
    let principals: Vec<String> = data
        .principals
        .iter()
        .take(10)
        .map(|principal| format!("{}@{}", principal.user, principal.db))
        .collect();
    let undone: Vec<String> = data
        .clusters
        .iter()
        .flat_map(|cluster| &cluster.nodes)
        .filter_map(|node| {
            let status = node.status.filter(|status| !status.is_done())?;
            Some(format!("{} {}", node.host, super::word_of(&status)?))
        })
        .collect();
    macro_rules! say {
        ($level:ident) => {
            tracing::$level!(
                case = %data.case_id,
                status,
                reason = data.reason.as_deref(),
                detail = data.detail.as_deref(),
                rule = data.rule.as_deref(),
                origin = %data.origin,
                principals = principals.join(" "),
                found = data.cumulative.found,
                killed = data.cumulative.killed,
                undone = (!undone.is_empty()).then(|| undone.join(", ")),
                dry_run = data.dry_run.then_some(true),
                maybe_rerun = data.maybe_rerun.then_some(true),
                "outcome"
            )
        };
    }
    match data.alert {
        Alert::Info => say!(info),
        Alert::Warning => say!(warn),
        Alert::Error => say!(error),
    }
}
