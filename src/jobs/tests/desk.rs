//! A desk at which the test plays clock, topics and servers.

use super::*;

/// A desk with its book.
pub struct Desk {
    pub book: Book,
    pub heard: Heard,
    pub limits: Limits,
    pub now: Timestamp,
    pub log: Vec<(Key, Option<Vec<u8>>)>,
}

impl Desk {
    /// With what stands on the topic.
    pub fn with(log: &[(Key, Option<Vec<u8>>)]) -> Self {
        let (book, effects) = loaded(log, &Heard::default());
        assert_eq!(effects, []);
        Self { book, heard: Heard::default(), limits: limits(), now: at(10), log: log.to_vec() }
    }

    /// With a job that was created while it was loading.
    pub fn with_a_job() -> Self {
        Self::with(&[creation(&job(0))])
    }

    pub fn tell<T>(&mut self, tell: impl FnOnce(&mut Book, &Context<'_>) -> T) -> T {
        let context = Context { now: self.now, heard: &self.heard, limits: &self.limits };
        tell(&mut self.book, &context)
    }

    pub fn at(&mut self, second: i64) -> &mut Self {
        self.now = at(second);
        self
    }

    pub fn read(&mut self, record: (Key, Option<Vec<u8>>)) -> Vec<Effect> {
        self.log.push(record.clone());
        let offset = self.book.owner().offset.max(i64::try_from(self.log.len()).unwrap() - 1);
        let (key, value) = record;
        let key = key.to_string();
        self.tell(|book, context| book.read(offset, key.as_bytes(), value.as_deref(), context)).unwrap()
    }

    pub fn hear(&mut self, command: &Command) -> Vec<Effect> {
        let offset = self.heard.read_to().get(&COMMANDS).copied().unwrap_or(0);
        let heard = self.heard.read(COMMANDS, offset, self.now, Some(&command.encode().unwrap())).unwrap();
        self.tell(|book, context| book.heard(&heard.unwrap(), context)).unwrap()
    }

    pub fn tick(&mut self) -> Vec<Effect> {
        self.tell(|book, context| book.tick(context)).unwrap()
    }

    pub fn caught_up(&mut self, turn: Turn) -> Result<Vec<Effect>, Illegal> {
        self.tell(|book, context| {
            book.caught_up(case(), turn, BTreeMap::new(), Duration::from_secs(1), context)
        })
    }

    pub fn attempted(&mut self, turn: Turn, is_left: bool) -> Vec<Effect> {
        let attempted = Attempted::Tried { work: work(is_left), principals: vec![report("alice")] };
        self.tell(|book, context| book.attempted(case(), turn, attempted, 20, context)).unwrap()
    }

    /// The transaction is committed, and its records stand on the topic.
    pub fn commit(&mut self, step: &Step) -> Vec<Effect> {
        self.log.extend(step.writes.iter().map(|write| (write.key(), write.value())));
        self.answer(step, Answer::Committed)
    }

    pub fn answer(&mut self, step: &Step, answer: Answer) -> Vec<Effect> {
        self.tell(|book, context| book.answered(case(), step.turn, answer, context)).unwrap()
    }

    /// Up to where servers are asked.
    pub fn begin_attempt(&mut self) -> Turn {
        let turn = catch_up(&self.tick());
        attempt(&self.caught_up(turn).unwrap()).turn
    }

    pub fn entry(&self) -> &Entry {
        self.book.entry(case()).expect("the case is known")
    }
}

pub fn loaded(log: &[(Key, Option<Vec<u8>>)], heard: &Heard) -> (Book, Vec<Effect>) {
    let end = i64::try_from(log.len()).unwrap();
    let mut load = Load::begin(PARTITION, Generation(1), 1, end, Bounds::default());
    for (offset, (key, value)) in log.iter().enumerate() {
        let offset = i64::try_from(offset).unwrap();
        assert_eq!(load.read(offset, key.to_string().as_bytes(), value.as_deref()), Ok(None));
    }
    let limits = limits();
    load.finish(end, &Context { now: at(10), heard, limits: &limits }).map_err(|(_, not)| not).unwrap()
}

#[track_caller]
pub fn one(effects: &[Effect]) -> &Effect {
    match effects {
        [one] => one,
        other => panic!("not one effect: {other:?}"),
    }
}

#[track_caller]
pub fn catch_up(effects: &[Effect]) -> Turn {
    match one(effects) {
        Effect::CatchUp { turn, .. } => *turn,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn attempt(effects: &[Effect]) -> &Attempt {
    match one(effects) {
        Effect::Attempt(attempt) => attempt,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn commit(effects: &[Effect]) -> Arc<Step> {
    let mut steps = effects.iter().filter_map(|effect| match effect {
        Effect::Commit(step) => Some(step.clone()),
        _ => None,
    });
    match (steps.next(), steps.next()) {
        (Some(step), None) => step,
        _ => panic!("not one commit: {effects:?}"),
    }
}

/// A step in one line.
pub fn line(step: &Step) -> String {
    let writes = step.writes.iter().map(|write| match write {
        Write::State(state) => match &**state {
            State::Pending(job) => format!("pending n{} seq {} due +{}s", job.n, job.seq, since(job.due)),
            State::Done(done) => format!("done n{} seq {} until +{}s", done.n, done.seq, since(done.until)),
        },
        Write::Tombstone(key) => {
            format!("no {}", key.to_string().trim_start_matches(&case().to_string()).trim_start_matches('/'))
        }
    });
    let said = step.outcome.iter().map(|said| {
        let saying = match &said.saying {
            Saying::Deferred { .. } => "deferred",
            Saying::Final(Ended::Done) => "done",
            Saying::Final(Ended::GaveUp) => "gave up",
            Saying::Final(Ended::TooLarge) => "too large",
            Saying::Final(Ended::Cancelled(_)) => "cancelled",
            Saying::Final(Ended::Reinstated(_)) => "reinstated",
            Saying::Final(Ended::Denied(_)) => "denied",
            Saying::Final(Ended::Expired) => "expired",
        };
        format!("outcome {} {saying}{}", said.seq, if said.is_final() { ", final" } else { "" })
    });
    let parts: Vec<String> = said.chain(writes).collect();
    format!("[{}] in generation {}", parts.join(" | "), step.generation.0)
}

pub fn since(at_last: Timestamp) -> i64 {
    at_last.duration_since(at(0)).as_secs()
}
