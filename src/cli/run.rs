//! `severance run`: the service.

use std::path::PathBuf;

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::Exit;
use crate::{
    config::{Config, Process},
    edge::kafka_client,
    service::{self, Reload},
    telemetry,
};

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
    let path = args.config.clone();
    super::block_on(async move {
        let stop = match stop_on_signal() {
            Ok(stop) => stop,
            Err(error) => {
                eprintln!("severance: cannot listen for signals: {error}");
                return Exit::OurFault;
            }
        };
        let exporting = telemetry::otlp::start(&Process);
        let reload = match reload_on_signal(path) {
            Ok(reload) => reload,
            Err(error) => {
                eprintln!("severance: cannot listen for signals: {error}");
                return Exit::OurFault;
            }
        };
        let ended = service::run(config, reload, stop).await;
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

/// Reads the file again at each SIGHUP.
fn reload_on_signal(path: PathBuf) -> std::io::Result<mpsc::Receiver<Reload>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let (read, reloads) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!(file = %path.display(), "SIGHUP: reading the configuration again");
            let reload = Config::load(&path, &Process).map(|(config, warnings)| {
                warnings.into_iter().for_each(|warning| tracing::warn!("{warning}"));
                Box::new(config)
            });
            if read.send(reload).await.is_err() {
                return;
            }
        }
    });
    Ok(reloads)
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
