//! What we answer over HTTP: `/livez`, `/readyz` and `/metrics`. Nothing can be changed through it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

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

/// How often a port that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Server(JoinHandle<()>);

impl Server {
    /// Listens on `address`. While that cannot be had the job is done all the same.
    pub fn start(address: SocketAddr, health: Arc<Health>) -> Self {
        let routes = Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(scrape))
            .with_state(health);
        Self(tokio::spawn(async move {
            let listener = listener(address).await;
            tracing::info!(%address, "answering /livez, /readyz and /metrics");
            // It goes on after a connection that cannot be accepted, and ends with the task.
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "no more answers to /livez, /readyz and /metrics");
            }
        }))
    }
}

/// The port, once it can be had.
async fn listener(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !told => {
                told = true;
                tracing::error!(%address, %error, "cannot answer /livez, /readyz and /metrics (`listen`); trying on");
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
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
