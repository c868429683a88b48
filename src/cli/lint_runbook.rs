//! `severance lint-runbook`: commands in runbooks that end other sessions than they seem to.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
};

use super::{Exit, events};
use crate::runbook::{Dialect, Finding, Level, lint};

/// What to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance lint-runbook docs/*.md scripts/*.sh
  git grep -lE 'kill(All)?Sessions' | xargs severance lint-runbook

It reads any text: mongosh, shell, Markdown, JSON, YAML, Python. It finds killAllSessionsByPattern with `users`,
`roles`, `{}` or `[]`, all of which end everybody's sessions, an `lsid` without its `uid`, and killAllSessions
and killSessions where they do not do what they seem to. It prints the command that does.

A line that has `lint-runbook: allow` in it, or in the line before, is left alone. Exit code 0: nothing is found;
6: something is; 2: a file cannot be read. What is not written out is told and does not count.")]
pub struct LintRunbookArgs {
    /// One JSON object a finding, one a line, instead of text
    #[arg(long)]
    json: bool,
    /// The files; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// The command.
pub fn run(args: &LintRunbookArgs) -> Exit {
    let (mut traps, mut unclear, mut read, mut unreadable) = (0, 0, 0, false);
    let mut written = String::new();
    for path in &args.files {
        let name = path.display().to_string();
        let bytes = match events::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("severance: {name}: {error}");
                unreadable = true;
                continue;
            }
        };
        read += 1;
        for finding in lint(&bytes, Dialect::of(&name)) {
            match finding.level {
                Level::Trap => traps += 1,
                Level::Unclear => unclear += 1,
            }
            match args.json {
                true => written.push_str(&json(&name, &finding)),
                false => written.push_str(&text(&name, &finding)),
            }
        }
    }
    if !args.json {
        if traps > 0 {
            written.push_str("A kill reaches only the member it runs on: every data-bearing one has to be asked, hidden ones too.\n");
        }
        let _ = writeln!(
            written,
            "{} in {}{}",
            many(traps, "finding"),
            many(read, "file"),
            if unclear > 0 { format!(", and {unclear} not written out") } else { String::new() }
        );
    }
    // A reader that has gone away, as `head` does, still gets the exit code.
    let _ = io::stdout().write_all(written.as_bytes());
    match (unreadable, traps) {
        (true, _) => Exit::Usage,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Failed,
    }
}

fn many(count: usize, word: &str) -> String {
    match count {
        0 => format!("no {word}"),
        1 => format!("1 {word}"),
        many => format!("{many} {word}s"),
    }
}

fn json(file: &str, finding: &Finding) -> String {
    let mut object = serde_json::json!(finding);
    object["file"] = file.into();
    format!("{object}\n")
}

fn text(file: &str, finding: &Finding) -> String {
    let Finding { line, column, level, command, message, meant, instead } = finding;
    let note = match level {
        Level::Trap => "",
        Level::Unclear => "note: ",
    };
    let mut text = format!("{file}:{line}:{column}: {note}{command} {message}\n");
    if !meant.is_empty() {
        let meant: Vec<_> = meant.iter().map(|name| name.escape_debug().to_string()).collect();
        let _ = writeln!(text, "    meant:   {}", meant.join(", "));
    }
    for (index, line) in instead.iter().flat_map(|instead| instead.lines()).enumerate() {
        let word = if index == 0 { "instead:" } else { "" };
        let _ = writeln!(text, "    {word:<8} {line}");
    }
    text
}
