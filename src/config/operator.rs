//! `listen`, `log`, `pause_file` and `canary`: what the operator sees of us, and how we are held.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    Canary, Kafka, Log,
    fault::Told,
    reader::{Field, Keys, Section},
    secret::Secrets,
};
use crate::canary;

pub(super) const CANARY: Keys = Keys { known: &["every", "topic"], later: &[] };

pub(super) const LOG: Keys = Keys { known: &["hash_principals"], later: &[] };

/// Where health and metrics are answered when nothing is configured: on this machine only, at the
/// port that OpenTelemetry's Prometheus exporters use.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

pub(super) fn listen(root: &Section<'_>) -> Result<Option<SocketAddr>, Told> {
    root.or("listen", Some(LISTEN), |field| {
        if field.is_nothing() {
            return Ok(None);
        }
        let text = field.clone().text()?;
        let address = text.parse().ok().filter(|address: &SocketAddr| address.port() > 0);
        address.map(Some).ok_or_else(|| {
            field.wrong(
                format!("`{text}` is no IP address with a port"),
                "write `127.0.0.1:9464`, `0.0.0.0:9464`, `[::1]:9464`, or null to switch it off",
            )
        })
    })
}

pub(super) fn log(root: &Section<'_>) -> Result<Log, Told> {
    let section = root.section("log", &LOG)?;
    Ok(Log { hash_principals: section.or("hash_principals", false, Field::flag)? })
}

/// The file that pauses everything while it exists.
pub(super) fn pause_file(root: &Section<'_>, secrets: &Secrets<'_>) -> Result<Option<PathBuf>, Told> {
    root.maybe("pause_file", |field| field.text().map(|path| secrets.folder.join(path)))
}

/// The canary, off unless it is there. Its topic has to accept it, as far as the topics are known.
pub(super) fn canary(root: &Section<'_>, kafka: Option<&Kafka>) -> Result<Option<Canary>, Told> {
    let Some(field) = root.field("canary") else { return Ok(None) };
    let section = field.section(&CANARY)?;
    let shortest = Duration::from_secs(1);
    let every = section.or("every", Duration::from_secs(60), |field| {
        field.duration(shortest..=Duration::from_secs(60 * 60))
    });
    let topic: Result<Arc<str>, Told> = section.must("topic", |field| {
        let name = field.clone().name()?;
        let Some(kafka) = kafka else { return Ok(name.into()) };
        let Some((name, trust)) = kafka.topics.iter().find(|(known, _)| **known == *name) else {
            let all: Vec<_> = kafka.topics.iter().map(|(name, _)| &**name).collect();
            let fix = format!("write one of `kafka.topics`: {}", all.join(", "));
            return Err(field.wrong(format!("`{name}` is no topic that is read"), fix));
        };
        match trust.judge(canary::TYPE, canary::SOURCE) {
            Ok(()) => Ok(name.clone()),
            Err(distrust) => Err(field.wrong(
                format!("`{name}` does not take canaries: {distrust}"),
                format!(
                    "let the topic accept the type `{}` from the source `{}`; a topic of its own is best",
                    canary::TYPE,
                    canary::SOURCE
                ),
            )),
        }
    });
    Ok(Some(Canary { every: every?, topic: topic? }))
}
