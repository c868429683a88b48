//! `severance run`: the service.

use std::path::PathBuf;

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::Exit;
use crate::{config::Process, edge::kafka_client, service, telemetry};

/// What to run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  severance run --config severance.yaml
  severance run --config severance.yaml --log json

SIGTERM and SIGINT drain: the batch in hand is finished, published and committed.")]
pub struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs until SIGTERM or SIGINT.
pub fn run(args: &RunArgs) -> Exit {
    let config = match super::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let faults = kafka_client::validate(&config.kafka);
    if !faults.is_empty() {
        faults.iter().for_each(|fault| eprintln!("{}: kafka.properties: {fault}", args.config.display()));
        return Exit::Usage;
    }
    super::block_on(async move {
        let stop = match stop_on_signal() {
            Ok(stop) => stop,
            Err(error) => {
                eprintln!("severance: cannot listen for signals: {error}");
                return Exit::OurFault;
            }
        };
        let exporting = telemetry::otlp::start(&Process);
        let ended = service::run(config, stop).await;
        exporting.finish().await;
        match ended {
            Ok(()) => Exit::Done,
            Err(error @ service::ServiceError::Cluster(_)) => {
                eprintln!("severance: {error}");
                Exit::Usage
            }
            Err(error) => {
                tracing::error!("{error}");
                Exit::OurFault
            }
        }
    })
}

/// Becomes true at the first SIGTERM or SIGINT; a second one ends the process as usual.
fn stop_on_signal() -> std::io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Nobody to tell is nobody to stop.
        let _ = stop.send(true);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::error!("told to stop a second time: leaving without draining");
        std::process::exit(Exit::OurFault as i32);
    });
    Ok(stopped)
}
