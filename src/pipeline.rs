//! The five stages, joined: ingest -> decode -> decide -> terminate -> report.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    case::CaseId,
    decide::{Context, Decided, Decision, Found, Plan, Policy, RefusalReason, Wanted, decide, wanted},
    decode::{self, Body, Decoded, decode},
    directory::RoleName,
    fault_point::{self, Place},
    ingest::{Batch, Claim, Origin, Partition, Record},
    lanes::Touches,
    principal::Principal,
    report::{Commit, Deferring, Speaker, report},
    telemetry::Trace,
    terminate::{NodeError, Terminator, member::Cluster},
};

/// Most accepted cases that are remembered to tell duplicates: about 20 MB at most.
pub(crate) const REMEMBERED_CASES: usize = 100_000;

/// Longest wait for a cluster to say who has a role or who is there.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Tells the time; passed in, so that tests can say what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Everything that one batch passes through.
pub struct Pipeline<C> {
    policy: Policy,
    terminator: Arc<Terminator<C>>,
    speaker: Speaker,
    clock: Clock,
    deferring: Option<Deferring>,
    accepted: Memory,
}

/// Which events were accepted, and who was cut lately; outlives a pipeline that a new configuration replaces.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Accepted>>);

impl<C: Cluster> Pipeline<C> {
    /// Joins the stages.
    pub fn new(
        policy: Policy,
        terminator: Arc<Terminator<C>>,
        speaker: Speaker,
        clock: Clock,
        memory: Memory,
    ) -> Self {
        Self { policy, terminator, speaker, clock, deferring: None, accepted: memory }
    }

    /// Hands on what a batch does not finish, and tells reinstatements to those who run jobs.
    pub fn deferring(self, deferring: Option<Deferring>) -> Self {
        Self { deferring, ..self }
    }

    /// From records to what they leave behind.
    pub async fn handle(&self, batch: Batch) -> Commit {
        let decided = self.decide(batch).await;
        self.carry_out(decided).await
    }

    /// The first half: what is to be done. Batches pass through it one by one, in their order.
    pub async fn decide(&self, batch: Batch) -> DecidedBatch {
        let mut trace = Trace::of(&batch);
        let Batch { id, records, fresh, crashed, received_at, claim } = batch;
        let offsets = next_offsets(&records);
        let mut decoded: Vec<Decoded> = records
            .into_iter()
            .map(|record| {
                let maybe_rerun =
                    record.origin.partition().is_some_and(|partition| fresh.contains(&partition));
                match crashed {
                    Some(crashes) => decode::give_up(record, crashes, received_at, maybe_rerun),
                    None => decode(record, received_at, maybe_rerun),
                }
            })
            .collect();
        trace.decoded(&mut decoded);
        let context = self.prepare(&decoded).await;
        let decided = decide(&self.policy, decoded, &context);
        trace.decided(&decided);
        self.remember(&decided);
        self.count(&decided, context.now);
        DecidedBatch { id, decided, offsets, claim, trace }
    }

    /// The second half: does it, and says what came of it. Batches may pass through it side by
    /// side, those about the same person on the same cluster one after the other.
    pub async fn carry_out(&self, batch: DecidedBatch) -> Commit {
        let DecidedBatch { id, decided, offsets, claim, mut trace } = batch;
        let terminated = trace.around(self.terminator.terminate(id, decided)).await;
        fault_point::reached(Place::Verified);
        let commit =
            report(&self.speaker, id, terminated, offsets, claim, self.deferring.as_ref(), (self.clock)());
        trace.reported(&commit.messages);
        Commit { trace, ..commit }
    }

    /// How old an event may be that is accepted, of whatever class.
    pub fn oldest_accepted(&self) -> Duration {
        let limits = &self.policy.limits;
        limits.max_event_age.values().max().copied().unwrap_or_default().saturating_add(limits.clock_skew)
    }

    /// Records from before we were here. Those which would be accepted now are remembered as if they
    /// had been accepted then: nobody else can tell any more. Nothing is asked of any cluster for it,
    /// so an event that names nobody but our own account counts as accepted too.
    pub fn recall(&self, records: Vec<Record>) {
        let now = (self.clock)();
        let mut decoded: Vec<Decoded> =
            records.into_iter().map(|record| decode(record, now, false)).collect();
        decoded.retain(|one| !was_early(one));
        let own_accounts =
            self.terminator.clusters().iter().map(|cluster| (cluster.name().clone(), Vec::new())).collect();
        let context = Context {
            now,
            own_accounts,
            accepted: HashMap::new(),
            found: Found::default(),
            recent: Arc::default(),
        };
        let decided = decide(&self.policy, decoded, &context);
        self.remember(&decided);
        // Whose target has to be looked up was not decided here for nothing but that.
        let mut accepted = self.accepted();
        for one in &decided {
            if matches!(one.decision, Decision::Refuse { reason: RefusalReason::GuardError, .. }) {
                accepted.insert(one.case.id, one.case.origin.clone());
            }
        }
    }

    /// Gathers what `decide` needs to know of the world.
    async fn prepare(&self, decoded: &[Decoded]) -> Context {
        let mut own_accounts = HashMap::new();
        for cluster in self.terminator.clusters() {
            match cluster.own_accounts().await {
                Ok(own) => drop(own_accounts.insert(cluster.name().clone(), own)),
                Err(error) => {
                    tracing::warn!(cluster = %cluster.name(), error = error.message, "own account not known")
                }
            }
        }
        let found = self.look_up(wanted(&self.policy, decoded)).await;
        let now = (self.clock)();
        let recent = self.recent(now);
        let accepted = self.accepted();
        let cases = decoded.iter().filter_map(|one| one.content.as_ref().ok().map(|trigger| trigger.case()));
        let accepted = cases.filter_map(|case| Some((case, accepted.origins.get(&case)?.clone()))).collect();
        Context { now, own_accounts, accepted, found, recent }
    }

    /// Asks the clusters side by side. One that does not answer in time has not answered.
    async fn look_up(&self, mut wanted: Wanted) -> Found {
        let asked = self.terminator.clusters().iter().map(|cluster| {
            let name = cluster.name().clone();
            let roles: Option<Vec<RoleName>> =
                wanted.roles.remove(&name).map(|roles| roles.into_iter().collect());
            let wants_live = wanted.live.contains(&name);
            async move {
                let roles = async {
                    let roles = roles?;
                    Some(in_time(cluster.holders(&roles)).await)
                };
                let live = async {
                    match wants_live {
                        true => Some(in_time(cluster.live()).await),
                        false => None,
                    }
                };
                let (roles, live) = tokio::join!(roles, live);
                (name, roles, live)
            }
        });
        let mut found = Found::default();
        for (name, roles, live) in join_all(asked).await {
            found.roles.extend(roles.map(|roles| (name.clone(), roles)));
            found.live.extend(live.map(|live| (name, live)));
        }
        found
    }

    fn remember(&self, decided: &[Decided]) {
        let mut accepted = self.accepted();
        for one in decided {
            if matches!(
                one.decision,
                Decision::Terminate(_)
                    | Decision::AwaitApproval { .. }
                    | Decision::Release { .. }
                    | Decision::Superseded { .. }
            ) {
                accepted.insert(one.case.id, one.case.origin.clone());
            }
        }
    }

    /// Who was cut within the window that has a cap.
    fn recent(&self, now: Timestamp) -> Arc<HashSet<Principal>> {
        let Some(cap) = self.policy.limits.window_cap else { return Arc::default() };
        let mut accepted = self.accepted();
        let begin = now.checked_sub(cap.window).unwrap_or(Timestamp::MIN);
        accepted.cut.retain(|_, at| *at > begin);
        Arc::new(accepted.cut.keys().cloned().collect())
    }

    /// Whoever is cut counts from now on. There are never more than the cap, and none without one.
    fn count(&self, decided: &[Decided], now: Timestamp) {
        if self.policy.limits.window_cap.is_none() {
            return;
        }
        let mut accepted = self.accepted();
        accepted.cut.extend(decided.iter().flat_map(Decided::cuts).map(|who| (who.clone(), now)));
    }

    fn accepted(&self) -> std::sync::MutexGuard<'_, Accepted> {
        // A case is entered in two steps of which each leaves it usable.
        self.accepted.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time<T>(question: impl Future<Output = Result<T, NodeError>>) -> Result<T, String> {
    match timeout(LOOK_UP, question).await {
        Ok(answer) => answer.map_err(|error| error.message),
        Err(_) => Err(format!("no answer within {} s", LOOK_UP.as_secs())),
    }
}

/// Whether it was dated later than it came: what was said to it then is not known.
fn was_early(decoded: &Decoded) -> bool {
    let Ok(trigger) = &decoded.content else { return false };
    match &trigger.body {
        Body::Offboarded { effective_at: Some(at), .. } => {
            decoded.record.origin.timestamp().is_none_or(|came| *at > came)
        }
        _ => false,
    }
}

/// A batch of which it is known what is to be done.
#[derive(Debug)]
pub struct DecidedBatch {
    id: Uuid,
    decided: Vec<Decided>,
    offsets: BTreeMap<Partition, i64>,
    claim: Claim,
    trace: Trace,
}

impl DecidedBatch {
    /// Whom it will cut, and where.
    pub fn touches(&self) -> Touches {
        let plans = self.decided.iter().filter_map(|one| match &one.decision {
            Decision::Terminate(plan) => Some(plan),
            _ => None,
        });
        plans
            .flat_map(Plan::parts)
            .flat_map(|(clusters, principals)| {
                clusters.iter().flat_map(move |cluster| {
                    principals.iter().map(move |principal| (cluster.clone(), principal.clone()))
                })
            })
            .collect()
    }
}

/// The triggers that were accepted, the latest of them.
#[derive(Debug, Default)]
struct Accepted {
    origins: HashMap<CaseId, Origin>,
    order: VecDeque<CaseId>,
    /// Who was cut last when.
    cut: HashMap<Principal, Timestamp>,
}

impl Accepted {
    fn insert(&mut self, case: CaseId, origin: Origin) {
        if self.origins.contains_key(&case) {
            return;
        }
        self.origins.insert(case, origin);
        self.order.push_back(case);
        if self.order.len() > REMEMBERED_CASES
            && let Some(oldest) = self.order.pop_front()
        {
            self.origins.remove(&oldest);
        }
    }
}

/// By partition the offset after the last record.
fn next_offsets(records: &[Record]) -> BTreeMap<Partition, i64> {
    let mut offsets = BTreeMap::new();
    for record in records {
        if let (Some(partition), Origin::Kafka { offset, .. }) = (record.origin.partition(), &record.origin) {
            let next = offsets.entry(partition).or_insert(0);
            *next = (*next).max(offset + 1);
        }
    }
    offsets
}
