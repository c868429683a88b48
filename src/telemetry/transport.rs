//! How telemetry reaches its receiver: one HTTP request at a time, on our runtime, each with a
//! deadline, and one log line when that begins to fail and one when it works again.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{runtime::Handle, time::timeout};

use super::otlp::Signal;
use crate::config::Surroundings;

/// How long a receiver may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise (10 s is the
/// specification's).
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read; what a receiver answers is a few bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The way to the receiver of one signal.
#[derive(Debug)]
pub(super) struct Transport {
    signal: Signal,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    /// The threads that send are not the runtime's own.
    runtime: Handle,
    failing: Mutex<bool>,
}

impl Transport {
    /// Connects when it is first used. Must be called inside a tokio runtime.
    pub(super) fn new(signal: Signal, surroundings: &dyn Surroundings) -> Result<Self, String> {
        let tls = match signal.setting(surroundings, "CERTIFICATE") {
            None => HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
                .map_err(|error| error.to_string())?,
            Some(path) => HttpsConnectorBuilder::new().with_tls_config(trusting(&path)?),
        };
        let timeout = signal.setting(surroundings, "TIMEOUT").and_then(|millis| millis.parse().ok());
        Ok(Self {
            signal,
            client: Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build()),
            timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
            runtime: Handle::try_current().map_err(|error| error.to_string())?,
            failing: Mutex::new(false),
        })
    }

    /// Says what has changed.
    fn note(&self, fault: Option<&str>) {
        // One flag is whole whatever panicked while it was held.
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let signal = self.signal.name();
        match (fault, *failing) {
            (Some(fault), false) => {
                tracing::warn!(signal, reason = fault, "telemetry cannot be sent; going on without");
            }
            (None, true) => tracing::info!(signal, "telemetry is sent again"),
            (Some(_), true) | (None, false) => {}
        }
        *failing = fault.is_some();
    }
}

/// Trusts the certificates of a PEM file and no others.
fn trusting(path: &str) -> Result<ClientConfig, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("OTEL_EXPORTER_OTLP_CERTIFICATE: {path}: {error}"))?;
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(format!("OTEL_EXPORTER_OTLP_CERTIFICATE: {path} has no certificate that can be used"));
    }
    let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, patience) = (self.client.clone(), self.timeout);
        let exchange = async move {
            let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(parts, body))
        };
        // Even a timer needs the runtime: nothing of it is made on the thread that asks.
        let sent = self.runtime.spawn(async move { timeout(patience, exchange).await });
        let answer = match sent.await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(error))) => Err(chain(&*error)),
            Ok(Err(_)) => Err(format!("no answer within {patience:?}")),
            // The runtime is going down, and we with it.
            Err(error) => return Err(error.into()),
        };
        match &answer {
            Ok(response) if response.status().is_success() => self.note(None),
            Ok(response) => self.note(Some(&format!("the receiver says {}", response.status()))),
            Err(fault) => self.note(Some(fault)),
        }
        answer.map_err(Into::into)
    }
}

/// An error and what it came from. None of them quotes the address.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
