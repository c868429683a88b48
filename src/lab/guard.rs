//! A child process that dies with us, whatever happens to us.
//!
//! The child belongs to a watcher, a small shell, which kills it when we are gone. The watcher is also
//! the only one who signals the child, and it keeps an ended child unreaped until we have asked for its
//! exit: the child's process number cannot have passed to a stranger when a signal is sent.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::watcher::Watcher;

/// One line in, one line out: a signal's name is answered with kill's status, `reap` with the child's.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT PIPE
log=$1
shift
( trap - TERM HUP PIPE; exec "$@" ) </dev/null >>"$log" 2>&1 &
child=$!
echo "$child"
while read -r order; do
  case $order in
  reap) wait "$child"; echo "$?"; child= ;;
  *) kill -s "$order" "$child"; echo "$?" ;;
  esac
done
if [ -n "$child" ]; then
  kill -s KILL "$child"
  wait "$child"
fi
"#;

/// How often an ending child is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What a guarded child can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stop running, stay in memory: a hung server.
    Stop,
    /// Go on after [`Signal::Stop`].
    Continue,
    /// End in an orderly way.
    Terminate,
    /// What Ctrl-C sends. A guarded child ignores it unless it asks for it itself.
    Interrupt,
    /// What tells a service to read its configuration again.
    Hangup,
    /// End at once.
    Kill,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "STOP",
            Self::Hangup => "HUP",
            Self::Continue => "CONT",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
        })
    }
}

/// A running child process; dropping it kills the child and waits until it is gone.
#[derive(Debug)]
pub struct Guarded {
    pid: u32,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    watcher: Watcher,
    exit: Option<i32>,
}

impl Guarded {
    /// Starts the program, arguments, environment and folder of `command`; its input is empty and its
    /// output is appended to the file `log`. (Standard streams set in `command` are not used.)
    ///
    /// A program that cannot be started shows as an early [exit](Self::exit) with 126 or 127, and the
    /// reason in the log.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(command: &Command, log: &Path) -> io::Result<Self> {
        let mut watcher = Watcher::start(SCRIPT, |shell| {
            shell.arg(log).arg(command.get_program());
            shell.args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            if let Some(folder) = command.get_current_dir() {
                shell.current_dir(folder);
            }
        })?;
        let pid = watcher.answer()?.parse().map_err(io::Error::other)?;
        let inner = Mutex::new(Inner { watcher, exit: None });
        Ok(Self { pid, inner })
    }

    /// The child's process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; one to a child that has ended already is no error.
    ///
    /// # Errors
    /// When the watcher is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.exit.is_some() {
            return Ok(());
        }
        inner.watcher.order(&signal.to_string())?;
        inner.watcher.answer().map(drop)
    }

    /// Whether the child runs (a stopped one does).
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.inner().exit.is_none() && is_alive(self.pid)
    }

    /// How the child ended, as a shell says it (128 + signal number); `None` while it runs.
    ///
    /// # Errors
    /// When the watcher is gone.
    pub fn exit(&self) -> io::Result<Option<i32>> {
        let mut inner = self.inner();
        if inner.exit.is_none() && !is_alive(self.pid) {
            inner.watcher.order("reap")?;
            let exit = inner.watcher.answer()?;
            inner.exit = Some(exit.parse().map_err(io::Error::other)?);
        }
        Ok(inner.exit)
    }

    /// Waits until the child has ended, at most `limit`; `None` if it still runs then.
    ///
    /// # Errors
    /// When the watcher is gone.
    pub fn wait(&self, limit: Duration) -> io::Result<Option<i32>> {
        let end = Instant::now() + limit;
        loop {
            let exit = self.exit()?;
            if exit.is_some() || Instant::now() >= end {
                return Ok(exit);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// A panic while the lock was held leaves nothing half done that matters here.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a process exists and is not just waiting to be reaped.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The state follows the name, which is in parentheses and may itself hold some.
    let state = stat.rsplit(')').next().map(str::trim_start);
    !state.is_none_or(|state| state.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::LabDir;

    const SOON: Duration = Duration::from_secs(5);

    fn sleeper(dir: &LabDir) -> Guarded {
        let mut command = Command::new("sleep");
        command.arg("600");
        let child = Guarded::start(&command, &dir.path().join("log")).unwrap();
        // Until it has become the program it is a shell that ignores some signals.
        let end = Instant::now() + SOON;
        while std::fs::read_to_string(format!("/proc/{}/comm", child.pid())).unwrap() != "sleep\n" {
            assert!(Instant::now() < end, "never became the program");
            std::thread::sleep(LOOK);
        }
        child
    }

    fn state(child: &Guarded) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("State:"));
        line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
    }

    #[test]
    fn a_dropped_guard_has_killed_its_child() {
        let dir = LabDir::new().unwrap();
        let child = sleeper(&dir);
        let pid = child.pid();
        assert!(child.is_running() && is_alive(pid));
        drop(child);
        assert!(!is_alive(pid));
    }

    #[test]
    fn an_exit_is_reported_and_the_output_is_in_the_log() {
        let dir = LabDir::new().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo hello $NAME; exit 7"]).env("NAME", "lab");
        let child = Guarded::start(&command, &log).unwrap();
        assert_eq!(child.wait(SOON).unwrap(), Some(7));
        assert!(!child.is_running());
        assert_eq!(child.exit().unwrap(), Some(7));
        assert_eq!(std::fs::read_to_string(log).unwrap(), "hello lab\n");
    }

    #[test]
    fn a_program_that_does_not_exist_exits_with_127() {
        let dir = LabDir::new().unwrap();
        let child = Guarded::start(&Command::new("no-such-program"), &dir.path().join("log"));
        assert_eq!(child.unwrap().wait(SOON).unwrap(), Some(127));
    }

    #[test]
    fn a_stopped_child_runs_on_when_continued_and_ends_when_terminated() {
        let dir = LabDir::new().unwrap();
        let child = sleeper(&dir);
        child.signal(Signal::Stop).unwrap();
        let end = Instant::now() + SOON;
        while state(&child) != "T" {
            assert!(Instant::now() < end, "never stopped");
            std::thread::sleep(LOOK);
        }
        assert!(child.is_running());
        child.signal(Signal::Continue).unwrap();
        child.signal(Signal::Terminate).unwrap();
        assert_eq!(child.wait(SOON).unwrap(), Some(128 + 15));
        child.signal(Signal::Kill).unwrap();
    }

    #[test]
    fn a_stopped_child_is_killed_too() {
        let dir = LabDir::new().unwrap();
        let child = sleeper(&dir);
        let pid = child.pid();
        child.signal(Signal::Stop).unwrap();
        drop(child);
        assert!(!is_alive(pid));
    }
}
