//! `severance sessions`: who is connected, where, from where, and doing what.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use futures::future::join_all;
use tokio::time::sleep;

use super::Exit;
use crate::{
    config::Cluster,
    edge::mongo_cluster::MongoCluster,
    sessions::{Line, lines},
    terminate::member::Cluster as _,
};

/// Shows who is connected to which member, from where, and what they have open
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance sessions --config severance.yaml
  severance sessions --config severance.yaml --cluster orders --user jsmith@admin --watch

IDLE is the time since the last use of any of their sessions on that node, by the node's own clock; what
runs now is not idle. A node that does not answer is named on standard error, and the exit code is 6.")]
pub struct SessionsArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only this user: `name@db`, or `name` in any database
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Again and again, every so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

/// How long a cluster may take to say who is in it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The command.
pub async fn run(args: &SessionsArgs) -> Exit {
    let config = match super::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let wanted = |cluster: &&Cluster| args.cluster.as_ref().is_none_or(|name| **name == *cluster.name);
    let chosen: Vec<&Cluster> = config.clusters.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let all: Vec<&str> = config.clusters.iter().map(|cluster| &*cluster.name).collect();
        eprintln!("severance: --cluster: there is no such cluster; write one of: {}", all.join(", "));
        return Exit::Usage;
    }
    let mut clusters = Vec::new();
    for cluster in chosen {
        match MongoCluster::new(cluster).await {
            Ok(cluster) => clusters.push(cluster),
            Err(error) => {
                eprintln!("severance: {error}");
                return Exit::Usage;
            }
        }
    }
    loop {
        let (lines, faults) = look(&clusters, args).await;
        let text = match args.json {
            true => {
                lines.iter().filter_map(|line| serde_json::to_string(line).ok()).map(|l| l + "\n").collect()
            }
            false => table(&lines),
        };
        let mut out = std::io::stdout().lock();
        if args.watch.is_some() && !args.json && out.is_terminal() {
            // Clears the screen and begins at its top.
            drop(out.write_all(b"\x1b[2J\x1b[H"));
        }
        // Whoever reads has gone: then nobody wants the rest.
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return Exit::Done;
        }
        drop(out);
        faults.iter().for_each(|fault| eprintln!("severance: {fault}"));
        match args.watch {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None if faults.is_empty() => return Exit::Done,
            None => return Exit::Failed,
        }
    }
}

async fn look(clusters: &[MongoCluster], args: &SessionsArgs) -> (Vec<Line>, Vec<String>) {
    let looks = join_all(clusters.iter().map(|cluster| cluster.sessions(PATIENCE))).await;
    let mut all = Vec::new();
    let mut faults = Vec::new();
    for (cluster, looks) in clusters.iter().zip(looks) {
        let (seen, errors): (Vec<_>, Vec<_>) = looks.into_iter().partition(|(_, look)| look.is_ok());
        let seen: Vec<_> = seen.into_iter().filter_map(|(node, look)| Some((node, look.ok()?))).collect();
        faults.extend(errors.into_iter().filter_map(|(node, look)| {
            let error = look.err()?;
            Some(format!("cluster {}, {node}: {}", cluster.name(), error.message))
        }));
        all.extend(lines(cluster.name(), &seen));
    }
    if let Some(user) = &args.user {
        let is_wanted = |line: &Line| {
            line.principal == *user || line.principal.rsplit_once('@').is_some_and(|(name, _)| name == user)
        };
        all.retain(is_wanted);
    }
    (all, faults)
}

const HEADINGS: [&str; 11] =
    ["CLUSTER", "NODE", "PRINCIPAL", "APP", "CLIENT", "CONN", "SESS", "OPS", "TXNS", "CURS", "IDLE"];

fn table(lines: &[Line]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(lines.iter().map(|line| {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            line.cluster.to_string(),
            line.node.clone(),
            line.principal.clone(),
            text(&line.app),
            text(&line.client),
            line.connections.to_string(),
            line.sessions.to_string(),
            line.operations.to_string(),
            line.transactions.to_string(),
            line.cursors.to_string(),
            line.idle_seconds.map_or("-".to_owned(), idle),
        ]
    }));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn idle(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
