//! `severance demo`: the main job on real servers, on this machine, with nothing set up.
//!
//! It is done only if the named principals' work died on every node and everybody else's goes on,
//! as the clients themselves and the servers' own logs say.

mod cast;
mod screen;
mod stage;

use std::{io::Write as _, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use cast::CAST;
use screen::plural;
use stage::{Running, Stage, event};

/// How long a client may take to notice that its work is gone.
const NOTICE: Duration = Duration::from_secs(5);

/// How to show it.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave everything running afterwards, and say how to play with it
    #[arg(long)]
    keep: bool,
}

/// Shows it.
pub async fn run(args: &DemoArgs) -> Exit {
    let interrupted = async {
        let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return std::future::pending().await };
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        shown = show(args.keep) => match shown {
            Ok(problems) if problems.is_empty() => Exit::Done,
            Ok(problems) => {
                say(&format!("\nNOT as it should be:\n{}", problems.iter().map(|problem| format!("  - {problem}\n")).collect::<String>()));
                Exit::Failed
            }
            Err(error) => {
                eprintln!("severance demo: {error:#}");
                Exit::OurFault
            }
        },
        () = interrupted => {
            eprintln!("\nseverance demo: interrupted; its servers and its folder are gone");
            Exit::OurFault
        }
    }
}

/// The whole of it; what is not as it should be.
async fn show(keep: bool) -> anyhow::Result<Vec<String>> {
    say("Severance on real servers on this machine, loopback only. Starting them takes a few seconds.\n\n");
    let mut stage = Stage::build(|what, detail| say(&format!("  {what:<10} {detail}\n"))).await?;
    say("\n");
    say(&screen::table("before", &stage.look().await?));
    let mut problems = Vec::new();
    for (kind, source, data, who) in scenes() {
        say(&format!("\n> {kind}   {who}   from {source}\n"));
        stage.publish(&event(kind, source, data))?;
        let outcome = stage.next_outcome().await?;
        let data = &outcome["data"];
        let case = data["case_id"].as_str().unwrap_or_default().to_owned();
        let mut agreeing = 0;
        for member in 0..stage.set.size() {
            agreeing += usize::from(
                stage.set.logged_kills(member)?.iter().any(|line| line.to_string().contains(&case)),
            );
        }
        say(&screen::outcome(data, agreeing));
        problems.extend(complaints(data, agreeing, stage.set.size()));
    }
    say("\n");
    match stage.look().await {
        Ok(looks) => say(&screen::table("after", &looks)),
        Err(error) => problems.push(format!("the last look failed: {error}")),
    }
    let (named, others): (Vec<&Running>, Vec<&Running>) =
        stage.running.iter().partition(|running| running.actor.named);
    let (mut dead, mut untouched) = (0, 0);
    for running in &named {
        match is_dead(running).await {
            true => dead += 1,
            false => {
                problems.push(format!("{} still runs on m{}", running.actor.name(), running.piece.member + 1))
            }
        }
    }
    for running in &others {
        match is_alive(running).await {
            true => untouched += 1,
            false => {
                problems.push(format!("{} was cut on m{}", running.actor.name(), running.piece.member + 1))
            }
        }
    }
    say(&format!(
        "\nnamed:      {dead} of {} ended, as their own clients saw\nbystanders: {untouched} of {} untouched, as their own clients saw\n",
        plural(named.len(), "operation"),
        plural(others.len(), "operation"),
    ));
    if keep {
        leave_running(&stage).await;
    }
    stage.close().await?;
    Ok(problems)
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

/// A named one's work is dead when its client was told so.
async fn is_dead(running: &Running) -> bool {
    if running.piece.is_idle() {
        return running.workload.probe().await.is_err();
    }
    running.workload.wait_touched(NOTICE).await.is_ok()
}

/// A bystander's work is alive when its client noticed nothing and can go on.
async fn is_alive(running: &Running) -> bool {
    if running.piece.is_idle() && running.workload.probe().await.is_err() {
        return false;
    }
    running.workload.is_untouched()
}

async fn leave_running(stage: &Stage) {
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
    std::future::pending::<()>().await;
}

/// To standard output; a reader that has gone away is no reason to stop half-way.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
