//! What is said to the operator: a log, metrics and traces.
//!
//! Each thing that an operator may want to know of is one value in [`events`]; its `emit` writes
//! the log line and moves the metrics, so that the two cannot come to differ. Where the time of a
//! batch went is told by its [`trace`], whose spans of single members are made by [`step`].
//!
//! The log is on standard error ([`log`]). The metrics are in [`metrics`], their names and
//! meanings in [`names`]; they are served to whoever scrapes and, like the traces, sent over OTLP
//! where the standard `OTEL_*` variables say so ([`otlp`]).
//!
//! # Invariants
//!
//! 1. No principal is ever in a metric or a span, no payload and no secret is anywhere.
//! 2. What can label a metric is bounded ([`label`]).
//! 3. Nothing here waits: queues are bounded, and what does not fit is dropped. A receiver that is
//!    down, slow or gone costs one log line when that begins and one when it ends.
//! 4. Only this folder names OpenTelemetry.

pub mod events;
pub mod label;
pub mod lag;
pub mod log;
pub mod metrics;
pub mod names;
pub mod otlp;
mod publication;
pub mod step;
pub mod trace;
mod transport;

pub use log::{LogFormat, hash_principals, start};
pub use publication::Publication;
pub use trace::Trace;
