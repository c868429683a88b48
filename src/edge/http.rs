//! What we answer over HTTP: `/livez`, `/readyz` and `/metrics`. Nothing can be changed through it.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{health::Health, telemetry::metrics};

/// What Prometheus calls its text.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    /// Listens on `address`.
    pub async fn start(address: SocketAddr, health: Arc<Health>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(scrape))
            .with_state(health);
        let serving = tokio::spawn(async move {
            // It ends with the task, and goes on after a connection that cannot be accepted.
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "no more health and metrics over HTTP");
            }
        });
        Ok(Self { address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let readiness = health.look();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&readiness) {
        Ok(json) => (status, [(CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn scrape() -> Response {
    match metrics::scrape() {
        Some(Ok(text)) => ([(CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
        None => (StatusCode::NOT_FOUND, "metrics are off (OTEL_SDK_DISABLED)\n").into_response(),
    }
}
