//! desk: carries on the work that is not finished yet.
//!
//! The protocol is in [`crate::jobs`], pure; here it is joined to Kafka, the clusters and the
//! clock. One task owns everything: the books of the state partitions that we hold, what was heard
//! on `commands`, and what is under way. Whatever takes time (a hunt, a transaction) is a task of its
//! own and comes back as a message; what is read comes as [`News`]. So nothing here waits for anybody,
//! and no two things are told to a book at once.
//!
//! A partition's life: told by the group that it is ours, cleared of what an earlier book still has
//! under way, loaded, run, and closed when it is taken away or its book was dropped.

mod catching_up;
mod heard;
mod notice;
mod place;
mod report;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

pub use self::report::Status;
use self::{
    catching_up::CatchingUp,
    heard::Commands,
    place::{Place, Stand},
};
use crate::{
    case::CaseId,
    config::{JobTopics, Kafka},
    edge::{
        kafka_consumer::Tenure,
        kafka_follow::{FollowError, Follower, News},
        kafka_holdings::Holdings,
        kafka_publisher::PublishError,
        kafka_steps::{StepCommit, Steps},
    },
    fault_point,
    ingest::Claim,
    jobs::{
        Answer, Attempt, Attempted, Bounds, Context, Effect, Generation, Illegal, Limits, Load, Step, Turn,
    },
    pipeline::Clock,
    report::{Speaker, said},
    telemetry::events::OutcomeMade,
    terminate::{Terminator, circuit::Closed, member::Cluster},
};

/// Wall clocks can be set: what is due is looked at no rarer than this.
const TICK: Duration = Duration::from_secs(1);
/// News that are read ahead; the follower waits where there are more.
const AHEAD: usize = 1_024;
/// Generations whose right is kept: a step that began in an older one is rejected anyway.
const GENERATIONS: usize = 32;

/// Why unfinished work cannot be carried on.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// A topic cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Nothing can be committed.
    #[error(transparent)]
    Steps(#[from] PublishError),
}

/// What the desk works with, beside Kafka.
pub struct Tools<C> {
    /// Who kills.
    pub terminator: Arc<Terminator<C>>,
    /// Who speaks.
    pub speaker: Speaker,
    /// Who tells the time.
    pub clock: Clock,
    /// By what jobs are run.
    pub limits: Limits,
    /// How much is in hand at once.
    pub bounds: Bounds,
}

/// Something that was begun has come back.
enum Back {
    Attempted { partition: i32, case: CaseId, turn: Turn, attempted: Attempted },
    Answered { partition: i32, case: CaseId, turn: Turn, answer: Answer },
}

/// From which topic.
enum Source {
    State,
    Commands,
}

/// The desk of this process.
pub struct Desk<C> {
    tools: Arc<Tools<C>>,
    /// The tools of a new configuration.
    renewed: watch::Receiver<Arc<Tools<C>>>,
    tenure: Tenure,
    holdings: watch::Receiver<Holdings>,
    steps: Steps,
    state: Follower,
    commands: Follower,
    news: mpsc::Receiver<(Source, News)>,
    back: (mpsc::UnboundedSender<Back>, mpsc::UnboundedReceiver<Back>),
    /// The clusters in which a member answers again.
    woken: Closed,
    heard: Commands,
    catching_up: CatchingUp,
    places: BTreeMap<i32, Place>,
    /// Attempts that have not come back, by the partition and turn that began them, with the way to
    /// stop each.
    attempts: HashMap<(i32, Turn), Arc<AtomicBool>>,
    /// Transactions that have not come back.
    committing: usize,
    claims: BTreeMap<Generation, Claim>,
    loads: u64,
    draining: bool,
    status: Arc<Status>,
}

impl<C: Cluster> Desk<C> {
    /// Begins to read `commands`; the state partitions come with the group's word. `partitions` is
    /// told how many state partitions there are.
    pub fn start(
        kafka: &Kafka,
        topics: &JobTopics,
        tenure: Tenure,
        mut renewed: watch::Receiver<Arc<Tools<C>>>,
        partitions: Arc<AtomicI32>,
    ) -> Result<Self, DeskError> {
        let tools = renewed.borrow_and_update().clone();
        let (told, news) = mpsc::channel(AHEAD);
        let tell = |source: fn() -> Source| {
            let told = told.clone();
            move |news| told.blocking_send((source(), news)).is_ok()
        };
        let count = move |count| partitions.store(count, Ordering::Relaxed);
        let state = Follower::start(kafka, &topics.state, "state", tell(|| Source::State), count)?;
        let commands =
            Follower::start(kafka, &topics.commands, "commands", tell(|| Source::Commands), |_| {})?;
        let kept_for = heard::kept_for(&tools.limits);
        let woken = tools.terminator.circuits_closed();
        let mut desk = Self {
            holdings: tenure.holdings(),
            tenure,
            steps: Steps::start(kafka, topics)?,
            state,
            commands,
            news,
            back: mpsc::unbounded_channel(),
            woken,
            heard: Commands::new(kept_for),
            catching_up: CatchingUp::default(),
            places: BTreeMap::new(),
            attempts: HashMap::new(),
            committing: 0,
            claims: BTreeMap::new(),
            loads: 0,
            draining: false,
            status: Arc::new(Status::default()),
            tools,
            renewed,
        };
        // All that was ever said and is kept, before the first job needs it.
        desk.catch_up();
        Ok(desk)
    }

    /// How it stands, for health and metrics.
    pub fn status(&self) -> Arc<Status> {
        self.status.clone()
    }

    /// Questions, to be asked at any time: what keeps us from reading and from committing.
    pub fn faults(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let (state, commands, steps) = (self.state.fault(), self.commands.fault(), self.steps.fault());
        let status = self.status.clone();
        move || state().or_else(&commands).or_else(&steps).or_else(|| status.fault())
    }

    /// Runs until `stop` becomes true; what is under way is finished, nothing new is begun. While it is
    /// `paused`, no attempt is begun either.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>, paused: watch::Receiver<bool>) {
        let mut ticked = Instant::now();
        loop {
            if self.draining && self.attempts.is_empty() && self.committing == 0 {
                return;
            }
            let next = self.next_tick(ticked);
            tokio::select! {
                changed = self.holdings.changed() => {
                    // The group's thread is gone, and with it everything that was held.
                    if changed.is_err() {
                        return;
                    }
                    self.take_holdings();
                }
                told = stop.wait_for(|stop| *stop), if !self.draining => {
                    drop(told);
                    self.drain();
                }
                Some((source, news)) = self.news.recv() => match source {
                    Source::State => self.state_news(news),
                    Source::Commands => self.commands_news(news),
                },
                Some(back) = self.back.1.recv() => self.came_back(back),
                Some(clusters) = self.woken.next() => {
                    for cluster in clusters {
                        self.wake(&cluster);
                    }
                }
                Ok(()) = self.renewed.changed() => {
                    self.tools = self.renewed.borrow_and_update().clone();
                    self.woken = self.tools.terminator.circuits_closed();
                }
                () = sleep_until(next) => {
                    ticked = Instant::now();
                    self.tick(*paused.borrow());
                }
            }
        }
    }

    /// A second from the last one at the latest, and earlier where something is due.
    fn next_tick(&self, ticked: Instant) -> Instant {
        let latest = ticked + TICK;
        if self.draining {
            return latest;
        }
        let due = self.books().filter_map(|(_, book)| book.next_due()).min();
        let Some(due) = due else { return latest };
        let wait = due.duration_since((self.tools.clock)());
        let wait = Duration::try_from(wait).unwrap_or(Duration::ZERO);
        // What could not be begun for want of room is due already: that is no reason to spin.
        latest.min(Instant::now() + wait.max(Duration::from_millis(20)))
    }

    fn books(&self) -> impl Iterator<Item = (i32, &crate::jobs::Book)> {
        self.places.iter().filter_map(|(partition, place)| match &place.stand {
            Stand::Running(book) => Some((*partition, &**book)),
            Stand::Clearing | Stand::Loading(_) => None,
        })
    }

    fn tick(&mut self, paused: bool) {
        self.heard.forget_old((self.tools.clock)());
        self.status.look(self.books(), self.places.values());
        if self.draining || paused {
            return;
        }
        for partition in self.running() {
            self.tell(partition, |book, context| book.tick(context));
        }
    }

    fn wake(&mut self, cluster: &str) {
        for partition in self.running() {
            self.tell(partition, |book, context| book.wake(cluster, context).map(|()| Vec::new()));
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        for stop in self.attempts.values() {
            stop.store(true, Ordering::Relaxed);
        }
    }

    fn running(&self) -> Vec<i32> {
        self.books().map(|(partition, _)| partition).collect()
    }

    /// The group has said what is ours.
    fn take_holdings(&mut self) {
        let Holdings { generation, claim, partitions } = self.holdings.borrow_and_update().clone();
        self.claims.insert(generation, claim);
        while self.claims.len() > GENERATIONS {
            self.claims.pop_first();
        }
        let lost: Vec<i32> = self
            .places
            .iter()
            .filter(|(partition, place)| partitions.get(partition) != Some(&place.holding))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in lost {
            self.close(partition);
        }
        for (partition, holding) in partitions {
            match self.places.get_mut(&partition).map(|place| (&mut place.stand, &mut place.generation)) {
                Some((_, known)) if *known >= generation => {}
                Some((stand, known)) => {
                    *known = generation;
                    match stand {
                        Stand::Clearing | Stand::Loading(None) => {}
                        Stand::Loading(Some(load)) => load.kept(generation),
                        Stand::Running(_) => {
                            self.tell(partition, |book, context| book.kept(generation, context));
                        }
                    }
                }
                None => {
                    tracing::debug!(partition, "a state partition is ours");
                    self.places.insert(partition, Place::new(holding, generation));
                    self.load(partition);
                }
            }
        }
    }

    fn close(&mut self, partition: i32) {
        if let Some(place) = self.places.remove(&partition) {
            tracing::debug!(partition, "a state partition is no longer ours");
            self.state.leave(partition);
            if let Stand::Running(book) = place.stand {
                self.perform(partition, book.close());
            }
        }
    }

    /// Loads a partition, once nothing of an earlier book of it is under way.
    fn load(&mut self, partition: i32) {
        if self.attempts.keys().any(|(of, _)| *of == partition) {
            return;
        }
        let Some(place) = self.places.get_mut(&partition) else { return };
        self.loads += 1;
        place.load = self.loads;
        place.stand = Stand::Loading(None);
        self.state.load(partition, self.loads);
    }

    fn state_news(&mut self, news: News) {
        match news {
            News::Begun { partition, load, high_watermark, .. } => {
                let bounds = self.tools.bounds;
                if let Some(place) = self.place_of(partition, load) {
                    let begun = Load::begin(partition, place.generation, load, high_watermark, bounds);
                    place.stand = Stand::Loading(Some(Box::new(begun)));
                }
            }
            News::Record { partition, load, offset, key, value, .. } => {
                let Some(place) = self.place_of(partition, load) else { return };
                match &mut place.stand {
                    Stand::Loading(Some(loading)) => match loading.read(offset, &key, value.as_deref()) {
                        Ok(None) => {}
                        Ok(Some(notice)) => notice::say(partition, &notice),
                        Err(illegal) => self.start_over(partition, &illegal),
                    },
                    Stand::Running(_) => {
                        self.tell(partition, |book, context| {
                            book.read(offset, &key, value.as_deref(), context)
                        });
                    }
                    Stand::Clearing | Stand::Loading(None) => {}
                }
            }
            News::Reached { partition, load, next } => self.reached(partition, load, next),
            News::CaughtUp { .. } => {}
        }
    }

    fn reached(&mut self, partition: i32, load: u64, next: i64) {
        let now = (self.tools.clock)();
        let Some(place) = self.places.get_mut(&partition).filter(|place| place.load == load) else { return };
        match std::mem::replace(&mut place.stand, Stand::Clearing) {
            Stand::Loading(Some(mut loading)) => {
                loading.reached(next);
                let context = Context { now, heard: self.heard.all(), limits: &self.tools.limits };
                match loading.finish(next, &context) {
                    Ok((book, effects)) => {
                        let jobs = book.entries().count();
                        tracing::info!(partition, jobs, "unfinished work is loaded");
                        place.stand = Stand::Running(Box::new(book));
                        self.perform(partition, effects);
                    }
                    Err((loading, not_loaded)) => {
                        tracing::warn!(partition, %not_loaded, "unfinished work is not loaded yet");
                        place.stand = Stand::Loading(Some(loading));
                    }
                }
            }
            Stand::Running(mut book) => {
                book.reached(next);
                place.stand = Stand::Running(book);
            }
            stand @ (Stand::Clearing | Stand::Loading(None)) => place.stand = stand,
        }
    }

    fn place_of(&mut self, partition: i32, load: u64) -> Option<&mut Place> {
        self.places.get_mut(&partition).filter(|place| place.load == load)
    }

    /// Tells a running book something, and does what comes of it.
    fn tell(
        &mut self,
        partition: i32,
        told: impl FnOnce(&mut crate::jobs::Book, &Context<'_>) -> Result<Vec<Effect>, Illegal>,
    ) {
        let now = (self.tools.clock)();
        let Some(place) = self.places.get_mut(&partition) else { return };
        let Stand::Running(book) = &mut place.stand else { return };
        let context = Context { now, heard: self.heard.all(), limits: &self.tools.limits };
        match told(book, &context) {
            Ok(effects) => self.perform(partition, effects),
            // An answer to something that was given up meanwhile.
            Err(Illegal::NotUnderWay { .. }) => {}
            Err(illegal) => self.start_over(partition, &illegal),
        }
    }

    /// What cannot be has happened: the records know better than memory.
    fn start_over(&mut self, partition: i32, illegal: &Illegal) {
        tracing::error!(partition, %illegal, "unfinished work is loaded again");
        if let Some(place) = self.places.get_mut(&partition)
            && let Stand::Running(book) = std::mem::replace(&mut place.stand, Stand::Clearing)
        {
            self.perform(partition, book.close());
        }
        self.load(partition);
    }

    fn perform(&mut self, partition: i32, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::CatchUp { case, turn } => {
                    if !self.draining {
                        self.catching_up.wants(partition, case, turn);
                        self.catch_up();
                    }
                }
                Effect::Attempt(attempt) => self.attempt(partition, *attempt),
                Effect::Stop { turn, .. } => {
                    if let Some(stop) = self.attempts.get(&(partition, turn)) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                Effect::Commit(step) => self.commit(step),
                Effect::Reload => {
                    if let Some(place) = self.places.get_mut(&partition) {
                        place.stand = Stand::Clearing;
                    }
                    self.load(partition);
                }
                Effect::Notice(notice) => notice::say(partition, &notice),
            }
        }
    }

    fn attempt(&mut self, partition: i32, attempt: Attempt) {
        let Attempt { turn, job, kill_within } = attempt;
        let Some(holding) = self.places.get(&partition).map(|place| place.holding) else { return };
        let stop = Arc::new(AtomicBool::new(self.draining));
        self.attempts.insert((partition, turn), stop.clone());
        let (tenure, limits) = (self.tenure.clone(), self.tools.limits.clone());
        let may_kill = move || {
            // Asked anew each time: who was heard of meanwhile may go on for longer.
            !stop.load(Ordering::Relaxed)
                && tenure.holds(partition, holding)
                && limits.may_kill_for(tenure.broker_heard_ago()).is_some()
        };
        tracing::debug!(case = %job.case_id, attempt = job.attempts + 1, ?kill_within, "hunting what is left");
        let (terminator, back, case) = (self.tools.terminator.clone(), self.back.0.clone(), job.case_id);
        tokio::spawn(async move {
            fault_point::reached(fault_point::Place::JobTaken);
            let attempted = match terminator.hunt(job.hunt(Uuid::now_v7()), &may_kill).await {
                None if !may_kill() => Attempted::NotBegun,
                hunted => Attempted::of(hunted),
            };
            fault_point::reached(fault_point::Place::JobDone);
            // The desk may be gone.
            drop(back.send(Back::Attempted { partition, case, turn, attempted }));
        });
    }

    fn commit(&mut self, step: Arc<Step>) {
        let now = (self.tools.clock)();
        let outcome = step.outcome.as_ref().map(|saying| Box::new(said(&self.tools.speaker, saying, now)));
        let (partition, case, turn) = (step.partition, step.case, step.turn);
        let back = self.back.0.clone();
        self.committing += 1;
        let Some(claim) = self.claims.get(&step.generation).cloned() else {
            // Of a generation long gone.
            drop(back.send(Back::Answered { partition, case, turn, answer: Answer::Rejected }));
            return;
        };
        let committed = self.steps.commit(StepCommit { step, outcome: outcome.clone(), claim });
        tokio::spawn(async move {
            let answer = committed.await;
            if let (Answer::Committed, Some(outcome)) = (answer, &outcome) {
                OutcomeMade(&outcome.data).emit();
            }
            drop(back.send(Back::Answered { partition, case, turn, answer }));
        });
    }

    fn came_back(&mut self, back: Back) {
        match back {
            Back::Attempted { partition, case, turn, attempted } => {
                self.attempts.remove(&(partition, turn));
                let place = self.places.get(&partition);
                match place.map(|place| (&place.stand, place.load == turn.load)) {
                    Some((Stand::Running(_), true)) => {
                        let dice = chance();
                        self.tell(partition, |book, context| {
                            book.attempted(case, turn, attempted, dice, context)
                        });
                    }
                    Some((Stand::Clearing, _)) => self.load(partition),
                    Some(_) | None => {}
                }
            }
            Back::Answered { partition, case, turn, answer } => {
                self.committing -= 1;
                if self.place_of(partition, turn.load).is_some() {
                    self.tell(partition, |book, context| book.answered(case, turn, answer, context));
                }
            }
        }
    }

    fn catch_up(&mut self) {
        if let Some(token) = self.catching_up.begin() {
            self.commands.catch_up(token);
        }
    }

    fn commands_news(&mut self, news: News) {
        let now = (self.tools.clock)();
        match news {
            News::Begun { partition, low, .. } => self.heard.begun(partition, low),
            News::Record { partition, offset, value, appended_at, .. } => {
                if let Some(command) = self.heard.read(partition, offset, appended_at, value.as_deref(), now)
                {
                    for partition in self.running() {
                        self.tell(partition, |book, context| book.heard(&command, context));
                    }
                }
            }
            News::Reached { partition, next, .. } => self.heard.reached(partition, next, now),
            News::CaughtUp { token, watermark } => {
                for (partition, next) in &watermark {
                    self.heard.reached(*partition, *next, now);
                }
                let ago = self.tenure.broker_heard_ago();
                for (partition, case, turn) in self.catching_up.done(token) {
                    let watermark = watermark.clone();
                    if self.place_of(partition, turn.load).is_some() {
                        self.tell(partition, |book, context| {
                            book.caught_up(case, turn, watermark, ago, context)
                        });
                    }
                }
                self.catch_up();
            }
        }
    }
}

/// Any number: the last bits of a v7 identifier are drawn.
fn chance() -> u32 {
    let [.., a, b, c, d] = Uuid::now_v7().into_bytes();
    u32::from_be_bytes([a, b, c, d])
}
