//! Follows a topic without a group, and can say that everything that stood in a partition at some
//! moment has been read.
//!
//! That is harder than it looks. A `read_committed` reader is told "end of partition" at the last
//! stable offset, before whatever open transactions have written; and the mark at a transaction's
//! end takes an offset that is never read. So: the high watermark is asked of a client that reads
//! uncommitted, the last stable offset has to reach it, and only then is the partition fetched anew
//! from where the reading stands: the next "end" lies behind the watermark.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{self, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tracing::{debug, error};

use super::{
    kafka_client,
    kafka_context::{Connection, Watched},
    kafka_record::expect_odd_names,
};
use crate::config::Kafka;

/// How long one poll lasts, and so how long an order may wait.
const POLL: Duration = Duration::from_millis(20);
/// How long one question to a broker may take.
const ANSWER: Duration = Duration::from_secs(2);
/// The first and the longest pause between two questions for the last stable offset.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));
/// How often a topic that is not there is looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What was read, and how far.
#[derive(Debug)]
pub enum News {
    /// A partition is being read from its beginning.
    Begun {
        /// Which.
        partition: i32,
        /// For which order.
        load: u64,
        /// The first offset that is kept.
        low: i64,
        /// Where it ended, open transactions included, after it was ordered.
        high_watermark: i64,
    },
    /// A record.
    Record {
        /// Of which partition.
        partition: i32,
        /// Of which order.
        load: u64,
        /// Where.
        offset: i64,
        /// Its key.
        key: Vec<u8>,
        /// Its value; `None` is Kafka's null.
        value: Option<Vec<u8>>,
        /// When the broker appended it, where the topic has `LogAppendTime`.
        appended_at: Timestamp,
    },
    /// Everything before `next` has been read, and no transaction was open before it.
    Reached {
        /// Of which partition.
        partition: i32,
        /// Of which order.
        load: u64,
        /// Up to where.
        next: i64,
    },
    /// Everything has been read that was there when this was ordered.
    CaughtUp {
        /// Which order.
        token: u64,
        /// By partition up to where.
        watermark: BTreeMap<i32, i64>,
    },
}

/// What a follower does.
enum Order {
    Load { partition: i32, load: u64 },
    Leave { partition: i32 },
    CatchUp { token: u64 },
}

/// The running thread.
pub struct Follower {
    orders: mpsc::Sender<Order>,
    connection: Arc<Connection>,
}

/// Why a follower cannot be started.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FollowError {
    /// librdkafka does not take the configuration.
    #[error("kafka.properties: {0}")]
    Config(String),
}

impl Follower {
    /// Reads nothing until it is told to; what it reads is handed to `tell`, on its own thread,
    /// which may block it. It ends when `tell` says that nobody listens any more. `partitions` is told
    /// how many there are, once that is known.
    pub fn start(
        kafka: &Kafka,
        topic: &str,
        name: &'static str,
        tell: impl FnMut(News) -> bool + Send + 'static,
        partitions: impl Fn(i32) + Send + 'static,
    ) -> Result<Self, FollowError> {
        expect_odd_names();
        let refused = |error: KafkaError| FollowError::Config(kafka_client::fault(&error, &kafka.properties));
        let connection = Arc::new(Connection::logged(name));
        let client = |config: &ClientConfig| {
            BaseConsumer::from_config_and_context(config, Watched(connection.clone())).map_err(refused)
        };
        let reader = client(&kafka_client::follower(kafka))?;
        let looker = client(kafka_client::follower(kafka).set("isolation.level", "read_uncommitted"))?;
        let (orders, ordered) = mpsc::channel();
        let thread = Thread {
            topic: topic.to_owned(),
            reader,
            looker,
            connection: connection.clone(),
            tell: Box::new(tell),
            partitions: Box::new(partitions),
            count: 0,
            looked_at: None,
            followed: BTreeMap::new(),
            catching_up: Vec::new(),
        };
        thread::Builder::new()
            .name(format!("kafka-{name}"))
            .spawn(move || thread.run(&ordered))
            .map_err(|error| FollowError::Config(format!("no thread for it: {error}")))?;
        Ok(Self { orders, connection })
    }

    /// Reads a partition from its beginning, also where it is read already. `load` comes back with
    /// everything that is read for this order.
    pub fn load(&self, partition: i32, load: u64) {
        self.order(Order::Load { partition, load });
    }

    /// Reads a partition no longer.
    pub fn leave(&self, partition: i32) {
        self.order(Order::Leave { partition });
    }

    /// Asks where every partition of the topic ends, those that are new included, and says when
    /// all have been read up to there.
    pub fn catch_up(&self, token: u64) {
        self.order(Order::CatchUp { token });
    }

    /// A question, to be asked at any time: what keeps it from reading.
    pub fn fault(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let connection = self.connection.clone();
        move || connection.fault()
    }

    fn order(&self, order: Order) {
        // It ends only when nobody listens to what it says.
        drop(self.orders.send(order));
    }
}

/// The thread's own state.
struct Thread {
    topic: String,
    reader: BaseConsumer<Watched>,
    /// Sees what open transactions have written.
    looker: BaseConsumer<Watched>,
    connection: Arc<Connection>,
    tell: Box<dyn FnMut(News) -> bool + Send>,
    partitions: Box<dyn Fn(i32) + Send>,
    /// How many partitions there are; 0 while that is not known.
    count: i32,
    looked_at: Option<Instant>,
    followed: BTreeMap<i32, Followed>,
    catching_up: Vec<CatchingUp>,
}

/// One partition.
struct Followed {
    load: u64,
    /// Everything before it was read.
    next: i64,
    goal: Goal,
}

/// Up to where a partition has to be read.
enum Goal {
    /// The watermark has to be asked for, for a new order.
    Unknown,
    /// The last stable offset has to reach it.
    Unstable { high_watermark: i64, ask_at: Instant, pause: Duration },
    /// It was fetched anew after that: the next end lies behind it.
    Fetching { high_watermark: i64 },
    /// It is read as it grows.
    None,
}

struct CatchingUp {
    token: u64,
    /// `None` until it is asked for.
    watermark: Option<BTreeMap<i32, i64>>,
}

/// Nobody listens any more.
struct Unheard;

impl Thread {
    fn run(mut self, ordered: &mpsc::Receiver<Order>) {
        while self.round(ordered).is_ok() {}
    }

    fn round(&mut self, ordered: &mpsc::Receiver<Order>) -> Result<(), Unheard> {
        loop {
            match ordered.try_recv() {
                Ok(order) => self.take(order),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(Unheard),
            }
        }
        if self.count == 0 {
            self.look_for_partitions();
        }
        self.advance()?;
        self.answer()?;
        self.poll()
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Load { partition, load } => {
                self.unassign(partition);
                self.followed.insert(partition, Followed { load, next: 0, goal: Goal::Unknown });
            }
            Order::Leave { partition } => {
                self.unassign(partition);
                self.followed.remove(&partition);
            }
            Order::CatchUp { token } => self.catching_up.push(CatchingUp { token, watermark: None }),
        }
    }

    fn look_for_partitions(&mut self) {
        if self.looked_at.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return;
        }
        self.looked_at = Some(Instant::now());
        match self.metadata() {
            Some(count) => {
                self.count = count;
                self.connection.block(None);
                (self.partitions)(count);
            }
            None => {
                self.connection.block(Some(format!("topic {} is missing, or we may not see it", self.topic)))
            }
        }
    }

    fn metadata(&self) -> Option<i32> {
        let metadata = self.looker.fetch_metadata(Some(&self.topic), ANSWER).ok()?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic)?;
        self.connection.reached();
        let count = i32::try_from(topic.partitions().len()).ok()?;
        (topic.error().is_none() && count > 0).then_some(count)
    }

    /// Goes on with every partition that is to be read up to some point.
    fn advance(&mut self) -> Result<(), Unheard> {
        let partitions: Vec<i32> = self.followed.keys().copied().collect();
        for partition in partitions {
            let Some(followed) = self.followed.get(&partition) else { continue };
            match followed.goal {
                Goal::Unknown => self.begin(partition)?,
                Goal::Unstable { high_watermark, ask_at, pause } if ask_at <= Instant::now() => {
                    self.wait_for_stable(partition, high_watermark, pause);
                }
                Goal::Unstable { .. } | Goal::Fetching { .. } | Goal::None => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, partition: i32) -> Result<(), Unheard> {
        let Ok((low, high_watermark)) = self.looker.fetch_watermarks(&self.topic, partition, ANSWER) else {
            return Ok(());
        };
        self.connection.reached();
        let Some(followed) = self.followed.get_mut(&partition) else { return Ok(()) };
        followed.next = low;
        followed.goal = unstable(high_watermark);
        let load = followed.load;
        self.say(News::Begun { partition, load, low, high_watermark })
    }

    fn wait_for_stable(&mut self, partition: i32, high_watermark: i64, pause: Duration) {
        // Asked by a client that reads committed, this is the last stable offset.
        let stable = self.reader.fetch_watermarks(&self.topic, partition, ANSWER).map(|(_, stable)| stable);
        let is_stable = stable.is_ok_and(|stable| stable >= high_watermark);
        if is_stable {
            self.unassign(partition);
        }
        let Some(followed) = self.followed.get_mut(&partition) else { return };
        if !is_stable {
            followed.goal = Goal::Unstable {
                high_watermark,
                ask_at: Instant::now() + pause,
                pause: (pause * 2).min(PAUSES.1),
            };
            return;
        }
        followed.goal = Goal::Fetching { high_watermark };
        let next = followed.next;
        if let Err(error) = self.assign(partition, next) {
            error!(%error, topic = self.topic, partition, "cannot be read; trying on");
            if let Some(followed) = self.followed.get_mut(&partition) {
                followed.goal = unstable(high_watermark);
            }
        }
    }

    fn assign(&self, partition: i32, next: i64) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(next))?;
        self.reader.incremental_assign(&list)
    }

    /// What was fetched ahead and not read is forgotten with it.
    fn unassign(&self, partition: i32) {
        let Ok(assigned) = self.reader.assignment() else { return };
        if assigned.find_partition(&self.topic, partition).is_none() {
            return;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        if let Err(error) = self.reader.incremental_unassign(&list) {
            debug!(%error, topic = self.topic, partition, "could not be left");
        }
    }

    /// Answers those who wait for everything to be read.
    fn answer(&mut self) -> Result<(), Unheard> {
        if self.catching_up.iter().any(|one| one.watermark.is_none()) {
            let Some(watermark) = self.watermark() else { return Ok(()) };
            for one in &mut self.catching_up {
                one.watermark.get_or_insert_with(|| watermark.clone());
            }
            for (partition, wanted) in watermark {
                let followed = self.followed.entry(partition);
                let followed = followed.or_insert(Followed { load: 0, next: 0, goal: Goal::Unknown });
                if followed.next < wanted && matches!(followed.goal, Goal::None) {
                    followed.goal = unstable(wanted);
                }
            }
        }
        let mut waiting = std::mem::take(&mut self.catching_up);
        let is_reached = |one: &CatchingUp| {
            one.watermark.as_ref().is_some_and(|watermark| {
                watermark.iter().all(|(partition, wanted)| {
                    self.followed.get(partition).is_some_and(|followed| followed.next >= *wanted)
                })
            })
        };
        let (done, waiting_still): (Vec<_>, Vec<_>) = waiting.drain(..).partition(is_reached);
        self.catching_up = waiting_still;
        for one in &self.catching_up {
            // A watermark that was asked for while another goal was under way.
            for (partition, wanted) in one.watermark.iter().flatten() {
                if let Some(followed) = self.followed.get_mut(partition)
                    && followed.next < *wanted
                    && matches!(followed.goal, Goal::None)
                {
                    followed.goal = unstable(*wanted);
                }
            }
        }
        for CatchingUp { token, watermark } in done {
            self.say(News::CaughtUp { token, watermark: watermark.unwrap_or_default() })?;
        }
        Ok(())
    }

    /// Where every partition ends now; `None` where not all of them could be asked.
    fn watermark(&self) -> Option<BTreeMap<i32, i64>> {
        let count = self.metadata()?;
        (0..count)
            .map(|partition| {
                let (_, high) = self.looker.fetch_watermarks(&self.topic, partition, ANSWER).ok()?;
                Some((partition, high))
            })
            .collect()
    }

    fn poll(&mut self) -> Result<(), Unheard> {
        let mut wait = POLL;
        // Two hundred, so that orders are not kept waiting by a long load.
        for _ in 0..200 {
            let news = match self.reader.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let partition = message.partition();
                    let Some(followed) = self.followed.get_mut(&partition) else { continue };
                    let offset = message.offset();
                    if offset < followed.next {
                        continue;
                    }
                    followed.next = offset + 1;
                    News::Record {
                        partition,
                        load: followed.load,
                        offset,
                        key: message.key().unwrap_or_default().to_vec(),
                        value: message.payload().map(<[u8]>::to_vec),
                        appended_at: message
                            .timestamp()
                            .to_millis()
                            .and_then(|millis| Timestamp::from_millisecond(millis).ok())
                            .unwrap_or(Timestamp::MAX),
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    let Some(followed) = self.followed.get_mut(&partition) else { continue };
                    let Goal::Fetching { high_watermark } = followed.goal else { continue };
                    followed.goal = Goal::None;
                    followed.next = followed.next.max(high_watermark);
                    News::Reached { partition, load: followed.load, next: followed.next }
                }
                // The context has logged it, and librdkafka tries on.
                Some(Err(error)) => {
                    debug!(%error, topic = self.topic, "while following");
                    continue;
                }
            };
            wait = Duration::ZERO;
            self.say(news)?;
        }
        // Its queue also carries what librdkafka says of the other client's troubles.
        self.looker.poll(Duration::ZERO);
        Ok(())
    }

    fn say(&mut self, news: News) -> Result<(), Unheard> {
        if (self.tell)(news) { Ok(()) } else { Err(Unheard) }
    }
}

fn unstable(high_watermark: i64) -> Goal {
    Goal::Unstable { high_watermark, ask_at: Instant::now(), pause: PAUSES.0 }
}
