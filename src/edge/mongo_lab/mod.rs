//! What a lab asks of the MongoDB driver: commands as its administrator, and real work to be killed.
//!
//! No type of the driver is in a signature: commands and replies are JSON, with what JSON lacks in the
//! relaxed extended form (`{"$binary": ..}`, `{"$date": ..}`). A connection belongs to the tokio runtime
//! that made it.

mod journal;
mod work;
mod worker;

pub use journal::{Journal, Seen, Sight};
pub use work::{Kind, Sessions, Work, Workload};

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use mongodb::Client;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;
use serde_json::{Value, json};

/// Where the workloads work.
const DATABASE: &str = "lab";
/// What they read.
const COLLECTION: &str = "things";
/// How many documents it holds: a cursor with batches of one can be asked so often.
const THINGS: i32 = 50;
/// A connected driver looks for its server this long before it gives up.
const SELECTION_LIMIT: Duration = Duration::from_secs(10);
/// How often something is looked for that is about to appear.
const LOOK: Duration = Duration::from_millis(10);

/// What the server or the driver said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct MongoError {
    /// The server's error code; none when the error is not the server's.
    pub code: Option<i32>,
    /// The whole message, for a person.
    pub message: String,
}

impl From<Error> for MongoError {
    fn from(error: Error) -> Self {
        match error.kind.as_ref() {
            // Without the server's whole response, which the driver's own message appends.
            ErrorKind::Command(command) => Self {
                code: Some(command.code),
                message: format!("{} ({}): {}", command.code_name, command.code, command.message),
            },
            _ => Self::own(error.to_string()),
        }
    }
}

impl MongoError {
    fn own(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code: None, message }
    }
}

/// A connection that runs commands.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// Prepares the connection; the first command opens it.
    ///
    /// # Errors
    /// When the connection string is not one.
    pub async fn connect(uri: &str) -> Result<Self, MongoError> {
        let client = client(uri, "severance-lab").await?;
        Ok(Self { client })
    }

    /// Runs `{<name>: <argument>, ..fields}` on `db`. The name stands apart because it must come first
    /// and JSON objects have no order.
    ///
    /// # Errors
    /// What the server or the driver says.
    pub async fn run(
        &self,
        db: &str,
        name: &str,
        argument: Value,
        fields: Value,
    ) -> Result<Value, MongoError> {
        let reply = self.client.database(db).run_command(command(name, argument, fields)?).await?;
        Ok(Bson::Document(reply).into_relaxed_extjson())
    }

    /// Everything `$currentOp` shows of this member: all users, idle cursors, sessions and connections.
    ///
    /// # Errors
    /// What the server or the driver says.
    pub async fn current_ops(&self) -> Result<Vec<Value>, MongoError> {
        let stage = json!({"$currentOp": {
            "allUsers": true, "idleConnections": true, "idleSessions": true, "idleCursors": true,
        }});
        let fields = json!({"pipeline": [stage], "cursor": {"batchSize": 100_000}});
        let mut reply = self.run("admin", "aggregate", json!(1), fields).await?;
        match reply["cursor"]["firstBatch"].take() {
            Value::Array(ops) => Ok(ops),
            other => Err(MongoError::own(format!("$currentOp answered {other}"))),
        }
    }

    /// Waits until `$currentOp` shows an entry that `wanted` accepts, and returns it.
    ///
    /// # Errors
    /// What the server says, or that no such entry appeared within `limit`.
    pub async fn wait_for_op(
        &self,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, MongoError> {
        let end = Instant::now() + limit;
        loop {
            let ops = self.current_ops().await?;
            if let Some(op) = ops.into_iter().find(&wanted) {
                return Ok(op);
            }
            if Instant::now() > end {
                return Err(MongoError::own("the operation did not appear in $currentOp"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Creates a role: `definition` is the whole command after its name (`privileges`, `roles`).
    ///
    /// # Errors
    /// What the server or the driver says.
    pub async fn create_role(&self, db: &str, name: &str, definition: Value) -> Result<(), MongoError> {
        self.run(db, "createRole", json!(name), definition).await.map(drop)
    }

    /// Fills the collection `lab.things` that the workloads read.
    pub(crate) async fn seed(&self, write_concern: Value) -> Result<(), MongoError> {
        let things: Vec<Value> = (0..THINGS).map(|n| json!({"_id": n, "n": n})).collect();
        let fields = json!({"documents": things, "writeConcern": write_concern});
        self.run(DATABASE, "insert", json!(COLLECTION), fields).await.map(drop)
    }
}

fn command(name: &str, argument: Value, fields: Value) -> Result<Document, MongoError> {
    let bson = |value: Value| Bson::try_from(value).map_err(|error| MongoError::own(error.to_string()));
    let mut command = doc! { name: bson(argument)? };
    match bson(fields)? {
        Bson::Document(fields) => command.extend(fields),
        other => {
            return Err(MongoError::own(format!("a command's fields are an object, not {other}")));
        }
    }
    Ok(command)
}

async fn client(uri: &str, app: &str) -> Result<Client, MongoError> {
    let mut options = ClientOptions::parse(uri).await?;
    options.app_name = Some(app.to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION_LIMIT);
    Ok(Client::with_options(options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_name_comes_first() {
        let command = command("find", json!("things"), json!({"batchSize": 1, "filter": {}})).unwrap();
        assert_eq!(command.keys().next().unwrap(), "find");
        assert!(command.contains_key("filter"));
    }

    #[test]
    fn fields_that_are_no_object_are_refused() {
        assert!(command("ping", json!(1), json!([])).is_err());
    }
}
