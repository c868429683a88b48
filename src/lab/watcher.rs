//! A `/bin/sh` that outlives us by a moment, to clean up after us.
//!
//! Its standard input is a pipe whose only other end is ours. However we end, the kernel closes that
//! end, and the script reads end-of-file and tidies up. The pipe exists before the shell does, so there
//! is no moment at which we could die unnoticed. The shell is a process group of its own, so that Ctrl-C
//! in our terminal does not reach it, and the scripts ignore what a terminal sends besides.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

#[derive(Debug)]
pub(super) struct Watcher {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Watcher {
    /// Starts `script` with what `prepare` adds to the shell's command line and environment.
    pub(super) fn start(script: &str, prepare: impl FnOnce(&mut Command)) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "watcher"]);
        prepare(&mut command);
        let mut shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let (Some(orders), Some(answers)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(io::Error::other("the watcher has no pipes"));
        };
        Ok(Self { shell, orders: Some(orders), answers: BufReader::new(answers) })
    }

    /// Sends one line.
    pub(super) fn order(&mut self, line: &str) -> io::Result<()> {
        match &mut self.orders {
            Some(orders) => writeln!(orders, "{line}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for one line.
    pub(super) fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

impl Drop for Watcher {
    /// Lets the script tidy up, and waits until it has.
    fn drop(&mut self) {
        drop(self.orders.take());
        // Nothing useful can be done about a failed wait in a drop: the shell goes on by itself.
        let _ = self.shell.wait();
    }
}
