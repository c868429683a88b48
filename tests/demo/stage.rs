//! A demo to be watched: in a temporary folder of its own, by which everything of it is known.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use severance::lab::{Guarded, LabDir, Signal};

/// A demo takes five seconds on a machine that is not busy.
pub const SOON: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(10);
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_severance");

pub struct Demo {
    process: Guarded,
    folder: LabDir,
    log: PathBuf,
}

impl Demo {
    pub fn start(arguments: &[&str]) -> Self {
        let folder = LabDir::new().expect("a temporary folder can be made");
        let log = folder.path().join("output");
        fs::create_dir(folder.path().join("tmp")).expect("the folder is ours");
        // Its watcher ignores Ctrl-C, and a child inherits that. The variable is set here, so that the
        // watcher itself has it not.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(format!("TMPDIR={}", folder.path().join("tmp").display()));
        command.arg(PROGRAM).arg("demo").args(arguments);
        let process = Guarded::start(&command, &log).expect("a watcher can be started");
        Self { process, folder, log }
    }

    /// The temporary folder that it was given.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn says(&self, words: &str) {
        let end = Instant::now() + SOON;
        while !self.output().contains(words) {
            let exit = self.process.exit().expect("the watcher lives as long as we do");
            assert!(exit.is_none(), "it ended with {exit:?} without saying {words:?}:\n{}", self.output());
            assert!(Instant::now() < end, "it does not say {words:?}:\n{}", self.output());
            std::thread::sleep(LOOK);
        }
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal).expect("the watcher lives as long as we do");
    }

    pub fn exit(&self) -> i32 {
        let exit = self.process.wait(SOON).expect("the watcher lives as long as we do");
        exit.unwrap_or_else(|| panic!("it still runs:\n{}", self.output()))
    }

    /// Every process that was given the folder, the demo itself and those that it started.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let variable = format!("TMPDIR={}\0", self.folder().display());
        let entries = fs::read_dir("/proc").expect("Linux").flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers
            .filter(|pid| {
                let surroundings = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                String::from_utf8_lossy(&surroundings).contains(&variable)
            })
            .map(|pid| (pid, command_line(pid)))
            .collect()
    }

    /// The servers, in the order of their members.
    pub fn servers(&self) -> Vec<u32> {
        let mut servers: Vec<_> = self
            .processes()
            .into_iter()
            .filter(|(_, line)| line.split(' ').next().is_some_and(|program| program.ends_with("mongod")))
            .collect();
        servers.sort_by(|(_, one), (_, other)| data_folder(one).cmp(&data_folder(other)));
        servers.into_iter().map(|(pid, _)| pid).collect()
    }

    /// Waits until nothing of it is left, for as long as that may take.
    pub fn is_gone_within(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let processes = self.processes();
            let files: Vec<_> = fs::read_dir(self.folder())
                .expect("it is ours")
                .flatten()
                .map(|entry| entry.path())
                .collect();
            if processes.is_empty() && files.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "left after {limit:?}: {processes:?} {files:?}\n{}", self.output());
            std::thread::sleep(LOOK);
        }
    }
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn data_folder(line: &str) -> Option<&Path> {
    line.split(' ').skip_while(|word| *word != "--dbpath").nth(1).map(Path::new)
}
