//! From librdkafka's borrowed message to a [`Record`], whatever its bytes are.

use std::{
    cell::Cell,
    panic,
    sync::{Arc, Once},
};

use jiff::Timestamp;
use rdkafka::{
    Message,
    message::{BorrowedHeaders, BorrowedMessage, Headers},
};

use crate::ingest::{Header, Origin, Partition, Record};

/// A copy of the message; `topic` is its topic's name, shared between records.
pub(super) fn record(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Record {
    Record {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message.headers().map(headers).unwrap_or_default(),
        origin: Origin::Kafka {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message
                .timestamp()
                .to_millis()
                .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        },
    }
}

fn headers(headers: &BorrowedHeaders) -> Vec<Header> {
    (0..headers.count()).map(|index| header(headers, index)).collect()
}

/// rdkafka 0.39 panics on a header whose name is not UTF-8, before it gives the value. Whoever
/// may write to a topic could stop us with that, so the panic ends here and costs that one
/// header: it stays in its place as [`Header::unreadable`].
fn header(headers: &BorrowedHeaders, index: usize) -> Header {
    EXPECTING.set(true);
    let read = panic::catch_unwind(|| {
        headers
            .try_get(index)
            .map(|header| Header { name: header.key.to_owned(), value: header.value.map(<[u8]>::to_vec) })
    });
    EXPECTING.set(false);
    read.ok().flatten().unwrap_or_else(Header::unreadable)
}

thread_local! {
    /// A panic on this thread is the expected one.
    static EXPECTING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the expected panic off standard error, where it would be a line, or a backtrace, for
/// every such header that somebody sends. All other panics are reported as before.
pub(super) fn expect_odd_names() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !EXPECTING.get() {
                report(panic);
            }
        }));
    });
}

/// The topic names seen so far, so that a thousand records share one name.
#[derive(Default)]
pub(super) struct Names(Vec<Arc<str>>);

impl Names {
    /// The shared name.
    pub(super) fn of(&mut self, topic: &str) -> Arc<str> {
        match self.0.iter().find(|name| &***name == topic) {
            Some(name) => name.clone(),
            None => {
                let name: Arc<str> = topic.into();
                self.0.push(name.clone());
                name
            }
        }
    }

    /// A partition with the shared name.
    pub(super) fn partition(&mut self, topic: &str, number: i32) -> Partition {
        Partition { topic: self.of(topic), number }
    }
}
