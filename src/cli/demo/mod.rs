//! `severance demo`: the main job on real servers, on this machine, with nothing set up.
//!
//! It is done only if the named principals' work died on every node and everybody else's goes on,
//! as the clients themselves and the servers' own logs say.

mod cast;
mod screen;
mod stage;

use std::{io::Write as _, time::Duration};

use clap::Args;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use super::Exit;
use crate::edge::mongo_lab::MongoError;
use cast::CAST;
use screen::plural;
use stage::{Running, Stage, event};

/// How long a client may take to notice that its work is gone.
const NOTICE: Duration = Duration::from_secs(5);

/// How to show it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  severance demo
  severance demo --keep")]
pub struct DemoArgs {
    /// Leave everything running afterwards, and say how to play with it
    #[arg(long)]
    keep: bool,
}

/// Shows it.
pub async fn run(args: &DemoArgs) -> Exit {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return failed(&error.into()),
    };
    let shown = tokio::select! {
        shown = show() => shown,
        () = signals.next() => return interrupted(),
    };
    let (stage, problems) = match shown {
        Ok(shown) => shown,
        Err(error) => return failed(&error),
    };
    if !problems.is_empty() {
        let lines: String = problems.iter().map(|problem| format!("  - {problem}\n")).collect();
        say(&format!("\nNOT as it should be:\n{lines}"));
    }
    if args.keep {
        tell_how_to_play(&stage);
        signals.next().await;
    }
    tokio::select! {
        closed = stage.close() => match closed {
            Ok(()) if problems.is_empty() => Exit::Done,
            Ok(()) => Exit::Failed,
            Err(error) => failed(&error),
        },
        () = signals.next() => interrupted(),
    }
}

fn failed(error: &anyhow::Error) -> Exit {
    eprintln!("severance demo: {error:#}");
    Exit::OurFault
}

fn interrupted() -> Exit {
    eprintln!("\nseverance demo: interrupted; its servers and its folder are gone");
    Exit::OurFault
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The whole of it: what is up at the end, and what is not as it should be.
async fn show() -> anyhow::Result<(Stage, Vec<String>)> {
    say("Severance on real servers on this machine, loopback only. Starting them takes a few seconds.\n\n");
    let mut stage = Stage::build(|what, detail| say(&format!("  {what:<10} {detail}\n"))).await?;
    say("\n");
    say(&screen::table("before", &stage.look().await?));
    let mut problems = Vec::new();
    for (kind, source, data, who) in scenes() {
        say(&format!("\n> {kind}   {who}   from {source}\n"));
        problems.extend(act(&mut stage, &event(kind, source, data)).await?);
    }
    match stage.look().await {
        Ok(looks) => say(&format!("\n{}", screen::table("after", &looks))),
        Err(error) => problems.push(format!("the last look failed: {error}")),
    }
    problems.extend(ask_the_clients(&stage).await);
    Ok((stage, problems))
}

/// One event: published, answered, shown, and held against the servers' own logs.
async fn act(stage: &mut Stage, event: &Value) -> anyhow::Result<Vec<String>> {
    stage.publish(event)?;
    let outcome = stage.next_outcome().await?;
    let data = &outcome["data"];
    let case = data["case_id"].as_str().unwrap_or_default();
    let mut agreeing = 0;
    for member in 0..stage.set.size() {
        let kills = stage.set.logged_kills(member)?;
        agreeing += usize::from(kills.iter().any(|line| line.to_string().contains(case)));
    }
    say(&screen::outcome(data, agreeing));
    Ok(complaints(data, agreeing, stage.set.size()))
}

/// What the clients themselves saw: the only witnesses that are neither ours nor the servers'.
async fn ask_the_clients(stage: &Stage) -> Vec<String> {
    let mut problems = Vec::new();
    let (named, others): (Vec<&Running>, Vec<&Running>) =
        stage.running.iter().partition(|running| running.actor.named);
    let fates = join_all(named.iter().chain(&others).map(|running| fate(running))).await;
    let (mut ended, mut untouched) = (0, 0);
    for (running, fate) in named.iter().chain(&others).zip(fates) {
        let (who, member) = (running.actor.name(), running.piece.member + 1);
        match (fate, running.actor.named) {
            (Fate::Ended, true) => ended += 1,
            (Fate::Alive, false) => untouched += 1,
            (Fate::Alive, true) => problems.push(format!("{who} still runs on m{member}")),
            (Fate::Ended, false) => problems.push(format!("{who} was cut on m{member}")),
            (Fate::Unknown, _) => {
                problems.push(format!("whether {who} still runs on m{member} cannot be known"));
            }
        }
    }
    say(&format!(
        "\nnamed:      {ended} of {} ended, as their own clients saw\n\
         bystanders: {untouched} of {} untouched, as their own clients saw\n",
        plural(named.len(), "operation"),
        plural(others.len(), "operation"),
    ));
    problems
}

/// What is said, in order, and of whom.
fn scenes() -> [(&'static str, &'static str, Value, String); 3] {
    let named = |index: usize| {
        let actor = &CAST[index];
        (json!([{"user": actor.user, "db": actor.db}]), actor.name())
    };
    let ((mallory, mallory_name), (olga, olga_name), (temp, temp_name)) = (named(0), named(2), named(3));
    [
        (
            "io.severance.account.compromised.v1",
            "/siem/demo",
            json!({"principals": mallory, "confidence": 0.97, "incident": "INC-42"}),
            mallory_name,
        ),
        (
            "io.severance.account.offboarded.v1",
            "/hr/demo",
            json!({"principals": olga, "ticket": "HR-7"}),
            olga_name,
        ),
        (
            "io.severance.access-window.closed.v1",
            "/windows/demo",
            json!({"window": "office-hours", "principals": temp}),
            temp_name,
        ),
    ]
}

/// What an outcome says that is not full success on every node, by the servers' own logs too.
fn complaints(data: &Value, agreeing: usize, members: usize) -> Vec<String> {
    let mut complaints = Vec::new();
    let who = &data["principals"][0];
    let who = format!("{}@{}", who["user"].as_str().unwrap_or("?"), who["db"].as_str().unwrap_or("?"));
    if data["status"] != "terminated" {
        let undone: Vec<String> = data["clusters"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|cluster| cluster["nodes"].as_array().into_iter().flatten())
            .filter(|node| node["status"] != "clean")
            .map(|node| {
                let last = node["errors"].as_array().into_iter().flatten().next_back();
                let why = last.and_then(|error| error["message"].as_str()).unwrap_or("no error");
                format!(
                    "{} is {} ({why})",
                    node["host"].as_str().unwrap_or("?"),
                    node["status"].as_str().unwrap_or("?")
                )
            })
            .collect();
        complaints.push(format!("{who}: {}; {}", data["status"].as_str().unwrap_or("?"), undone.join("; ")));
    }
    if agreeing != members {
        complaints.push(format!("{who}: the kill is in the logs of {agreeing} of {members} nodes"));
    }
    complaints
}

/// What became of somebody's work, as their own client saw it.
enum Fate {
    /// It goes on, and noticed nothing.
    Alive,
    /// The server said that it is gone.
    Ended,
    /// Nobody said anything: a lost connection is no proof of either.
    Unknown,
}

async fn fate(running: &Running) -> Fate {
    let workload = &running.workload;
    if running.piece.is_idle() {
        return match timeout(NOTICE, workload.probe()).await {
            Ok(Ok(())) => Fate::Alive,
            Ok(Err(MongoError { code: Some(_), .. })) => Fate::Ended,
            Ok(Err(MongoError { code: None, .. })) | Err(_) => Fate::Unknown,
        };
    }
    if running.actor.named {
        // An end is worth waiting for. That it was not touched is what is then looked at.
        let _ = workload.wait_touched(NOTICE).await;
    }
    match workload.journal().first_error() {
        None if workload.is_untouched() => Fate::Alive,
        Some((Some(_), _)) => Fate::Ended,
        Some((None, _)) | None => Fate::Unknown,
    }
}

fn tell_how_to_play(stage: &Stage) {
    let folder = stage.folder();
    let folder = folder.display();
    let program =
        std::env::current_exe().map_or_else(|_| "severance".to_owned(), |path| path.display().to_string());
    let sample = event(
        "io.severance.account.compromised.v1",
        "/siem/demo",
        json!({"principals": [{"user": "alice", "db": "admin"}]}),
    );
    let written = std::fs::write(stage.folder().join("event.json"), format!("{sample:#}\n"));
    say(&format!(
        "\nEverything is left running until Ctrl-C. Connection strings stand in files, so that no password is shown:\n\
         \x20 connect    mongosh \"$(cat '{folder}/alice@admin-uri')\"      (or root-uri; one file a user)\n\
         \x20 publish    {program} publish --new-id --config {folder}/severance.yaml --event {folder}/event.json\n\
         \x20 outcomes   kcat -C -b {} -t severance.outcomes\n",
        stage.bootstrap(),
    ));
    if written.is_err() {
        say("  (the sample event could not be written)\n");
    }
}

/// To standard output; a reader that has gone away is no reason to stop half-way.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
