//! `listen` and `log`: what the operator sees of us.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    Log,
    fault::Told,
    reader::{Field, Keys, Section},
};

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
