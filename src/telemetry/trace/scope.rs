//! Below which span something is done, carried along in the context of whatever does it.

use std::{collections::HashMap, sync::Arc};

use opentelemetry::{
    Context,
    trace::{Link, TraceContextExt as _},
};

use crate::case::CaseId;

/// Which span belongs to which case; in the context of whatever is done for them.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Scope {
    by_case: HashMap<CaseId, Context>,
}

/// What is done on one cluster, and for whom; in the context of whatever is done there.
#[derive(Debug)]
pub(in crate::telemetry) struct OnCluster {
    pub(in crate::telemetry) name: Arc<str>,
    /// The spans of the cases, where there is more than one.
    pub(in crate::telemetry) links: Vec<Link>,
}

impl Scope {
    pub(super) fn new(by_case: HashMap<CaseId, Context>) -> Self {
        Self { by_case }
    }

    /// The context for what is done for these cases on one cluster: below the case's span where it is
    /// one, else below the batch's, with links.
    pub(in crate::telemetry) fn on_cluster(
        &self,
        name: &Arc<str>,
        cases: &[CaseId],
        batch: &Context,
    ) -> Context {
        let spans = || cases.iter().filter_map(|case| self.by_case.get(case));
        if let ([_], Some(context)) = (cases, spans().next()) {
            return context.with_value(OnCluster { name: name.clone(), links: Vec::new() });
        }
        let links = spans().map(|context| Link::with_context(context.span().span_context().clone()));
        batch.with_value(OnCluster { name: name.clone(), links: links.collect() })
    }
}
