//! One `mongod` process: its port, its folder, its log.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Guarded, LabError, Mongod, Signal};

/// How long a `mongod` may take to accept connections: 1 s is usual, a loaded machine gets more.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often its log is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// "Address already in use": somebody took the port between our choice and the server's bind.
const EXIT_PORT_TAKEN: i32 = 48;
/// How many ports are tried.
const PORT_TRIES: usize = 5;
/// The log line "Waiting for connections".
const LOG_READY: u64 = 23016;

/// What all servers of a lab have in common, and what one may have besides.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) mongod: Mongod,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Member {
    spec: Spec,
    port: u16,
    folder: PathBuf,
    /// Another one after each restart.
    process: Mutex<Arc<Guarded>>,
}

impl Member {
    /// Starts a server on a free port; it accepts connections when this returns.
    pub(super) async fn start(spec: Spec, folder: PathBuf) -> Result<Self, LabError> {
        fs::create_dir_all(folder.join("data")).map_err(LabError::io("making a data folder"))?;
        let mut tries = 1;
        loop {
            let port = free_port().map_err(LabError::io("looking for a free port"))?;
            match launch(&spec, port, &folder).await {
                Ok(process) => {
                    let process = Mutex::new(Arc::new(process));
                    return Ok(Self { spec, port, folder, process });
                }
                Err(LabError::Died { exit: EXIT_PORT_TAKEN, .. }) if tries < PORT_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts it again, as it was, after it has ended; one that still runs is killed first.
    pub(super) async fn restart(&self) -> Result<(), LabError> {
        self.process().signal(Signal::Kill).map_err(LabError::io("killing a mongod"))?;
        self.gone(START_LIMIT).await?;
        let process = Arc::new(launch(&self.spec, self.port, &self.folder).await?);
        *self.current() = process;
        Ok(())
    }

    /// Waits until its process has ended.
    pub(super) async fn gone(&self, limit: Duration) -> Result<(), LabError> {
        let end = Instant::now() + limit;
        let process = self.process();
        while process.exit().map_err(LabError::io("looking after a mongod"))?.is_none() {
            if Instant::now() > end {
                let what = format!("the end of mongod on port {}", self.port);
                return Err(LabError::TooSlow { what, waited: limit });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn process(&self) -> Arc<Guarded> {
        Arc::clone(&self.current())
    }

    /// A panic while the lock was held leaves the one process or the other, both whole.
    fn current(&self) -> MutexGuard<'_, Arc<Guarded>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log_path(&self) -> PathBuf {
        log_in(&self.folder)
    }

    /// The lines of the log with this id, as they are now.
    pub(super) fn log_lines(&self, id: u64) -> Result<Vec<Value>, LabError> {
        let log = fs::read_to_string(self.log_path()).map_err(LabError::io("reading a log"))?;
        Ok(lines_with(&log, id).collect())
    }
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("mongod.log")
}

/// Small, quiet and quick: labs run several of these beside everything else.
fn command(spec: &Spec, port: u16, folder: &Path) -> Command {
    let mut command = Command::new(spec.mongod.path());
    command.arg("--dbpath").arg(folder.join("data"));
    command.args(["--bind_ip", "127.0.0.1", "--port", &port.to_string(), "--nounixsocket"]);
    command.args(["--wiredTigerCacheSizeGB", "0.25"]);
    command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
    // The least the server takes: a login costs the client this many rounds of hashing.
    command.args(["--setParameter", "scramSHA256IterationCount=5000"]);
    command.args(&spec.args);
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    command
}

async fn launch(spec: &Spec, port: u16, folder: &Path) -> Result<Guarded, LabError> {
    let log = log_in(folder);
    let before = fs::read(&log).map_or(0, |log| log.len());
    let process =
        Guarded::start(&command(spec, port, folder), &log).map_err(LabError::io("starting a mongod"))?;
    let end = Instant::now() + START_LIMIT;
    loop {
        // The exit first: what it wrote last is then complete.
        let exit = process.exit().map_err(LabError::io("looking after a mongod"))?;
        // Only what this run wrote: the log also holds what the runs before it said.
        let log = fs::read(&log).unwrap_or_default();
        let log = String::from_utf8_lossy(log.get(before..).unwrap_or_default());
        if let Some(exit) = exit {
            let log = log.lines().rev().take(3).collect::<Vec<_>>().join(" | ");
            return Err(LabError::Died { port, exit, log });
        }
        if lines_with(&log, LOG_READY).next().is_some() {
            return Ok(process);
        }
        if Instant::now() > end {
            let what = format!("mongod on port {port} to accept connections");
            return Err(LabError::TooSlow { what, waited: START_LIMIT });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The last line may be half written, so what does not parse is skipped.
fn lines_with(log: &str, id: u64) -> impl Iterator<Item = Value> + '_ {
    let marker = format!("\"id\":{id},");
    log.lines()
        .filter(move |line| line.contains(&marker))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(move |line| line["id"] == id)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
