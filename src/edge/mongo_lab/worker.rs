//! The client behind a workload.

use std::time::Duration;

use bson::{Document, doc};
use futures::StreamExt;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ChangeStreamEvent;
use mongodb::{Client, ClientSession, Collection, Cursor, SessionCursor};
use tokio::sync::{mpsc, oneshot};

use super::journal::Shared;
use super::{COLLECTION, DATABASE, Kind, MongoError};

/// Where open transactions write.
const WRITTEN: &str = "written";
/// A long query runs for longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// Asks for the next step and hears what came of it.
pub(super) type Probe = oneshot::Sender<Result<(), MongoError>>;

/// What a worker has open on the server.
pub(super) enum Opened {
    Nothing,
    Cursor(Cursor<Document>),
    SessionCursor(SessionCursor<Document>),
    Stream(Box<ChangeStream<ChangeStreamEvent<Document>>>),
}

pub(super) struct Worker {
    pub(super) client: Client,
    pub(super) session: Option<ClientSession>,
    pub(super) comment: String,
    pub(super) journal: Shared,
}

impl Worker {
    pub(super) async fn open(&mut self, kind: Kind) -> Result<Opened, MongoError> {
        match kind {
            Kind::Query | Kind::ComesBack { .. } => Ok(Opened::Nothing),
            Kind::Cursor => {
                let find = doc! { "find": COLLECTION, "batchSize": 1, "comment": &self.comment };
                let database = self.client.database(DATABASE);
                let action = database.run_cursor_command(find).batch_size(1);
                let mut opened = match &mut self.session {
                    Some(session) => Opened::SessionCursor(action.session(session).await?),
                    None => Opened::Cursor(action.await?),
                };
                // The first document came with the first batch; every other one is asked for.
                self.advance(&mut opened).await?;
                Ok(opened)
            }
            Kind::Transaction => {
                if let Some(session) = &mut self.session {
                    session.start_transaction().await?;
                }
                self.write().await?;
                Ok(Opened::Nothing)
            }
            Kind::ChangeStream { wait } => {
                let things: Collection<Document> = self.client.database(DATABASE).collection(COLLECTION);
                // Not the driver's `comment`: mongodb 3.9 puts it where the server refuses it (40415).
                let marked = doc! { "$match": { "$comment": &self.comment } };
                let stream = things.watch().pipeline([marked]).max_await_time(wait).await?;
                Ok(Opened::Stream(Box::new(stream)))
            }
        }
    }

    pub(super) async fn go_on(&mut self, opened: &mut Opened, kind: Kind, asked: &mut mpsc::Receiver<Probe>) {
        match (kind, opened) {
            (Kind::Query, _) => {
                let result = self.query(LONG).await;
                self.journal.saw(result);
            }
            (Kind::ComesBack { each }, _) => loop {
                let result = self.query(each).await;
                self.journal.saw(result);
                // An error may come without any wait, and others want to run as well.
                tokio::task::yield_now().await;
            },
            (Kind::ChangeStream { .. }, Opened::Stream(stream)) => {
                while let Some(event) = stream.next().await {
                    let ended = event.is_err();
                    self.journal.saw(event.map(drop).map_err(MongoError::from));
                    if ended {
                        break;
                    }
                }
            }
            (Kind::Cursor, opened) => {
                while let Some(answer) = asked.recv().await {
                    let result = self.advance(opened).await;
                    self.step(result, answer);
                }
            }
            (Kind::Transaction, _) => {
                while let Some(answer) = asked.recv().await {
                    let result = self.write().await;
                    self.step(result, answer);
                }
            }
            (Kind::ChangeStream { .. }, _) => {}
        }
    }

    async fn advance(&mut self, opened: &mut Opened) -> Result<(), MongoError> {
        let found = match (opened, &mut self.session) {
            (Opened::Cursor(cursor), _) => cursor.advance().await?,
            (Opened::SessionCursor(cursor), Some(session)) => cursor.advance(session).await?,
            _ => return Err(MongoError::own("there is no cursor")),
        };
        if found { Ok(()) } else { Err(MongoError::own("the cursor is at its end")) }
    }

    fn step(&self, result: Result<(), MongoError>, answer: Probe) {
        self.journal.saw(result.clone());
        // Who asked may have gone; the journal has it all the same.
        let _ = answer.send(result);
    }

    /// Sleeps on the server in slices, so that an interrupt is noticed within milliseconds.
    async fn query(&mut self, length: Duration) -> Result<(), MongoError> {
        let script = format!(
            "function() {{ const end = Date.now() + {}; while (Date.now() < end) sleep(5); return true; }}",
            length.as_millis()
        );
        let find = doc! {
            "find": COLLECTION,
            // One document, or the script would run once for each.
            "filter": { "_id": 0, "$where": script },
            "limit": 1,
            "comment": &self.comment,
        };
        self.run(find).await.map(drop)
    }

    async fn write(&mut self) -> Result<(), MongoError> {
        let document = doc! { "by": &self.comment };
        let insert = doc! { "insert": WRITTEN, "documents": [document], "comment": &self.comment };
        self.run(insert).await.map(drop)
    }

    async fn run(&mut self, command: Document) -> Result<Document, MongoError> {
        let database = self.client.database(DATABASE);
        let action = database.run_command(command);
        let action = match &mut self.session {
            Some(session) => action.session(session),
            None => action,
        };
        Ok(action.await?)
    }
}
