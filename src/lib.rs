//! Severance listens to security events and ends the MongoDB sessions of whoever an event names,
//! on every node, proves it, and publishes the outcome.
//!
//! # The sentence
//!
//! > ingest -> decode -> decide -> terminate -> report
//!
//! Each stage takes the previous stage's value by move and returns its own; [`pipeline`] joins them
//! and fits on one screen.
//!
//! | value | made by | holds |
//! | --- | --- | --- |
//! | [`ingest::Record`] | [`ingest`] | bytes, headers and where they came from |
//! | [`decode::Trigger`] | [`decode`] | a valid CloudEvent, or [`decode::Poison`] that says why not |
//! | [`decide::Decision`] | [`decide`] | what is to be done, with a [`decide::Plan`] where something is |
//! | [`terminate::Termination`] | [`terminate`] | per cluster and node: found, killed, left, returned |
//! | [`report::Outcome`] | [`report`] | the CloudEvent that says all of it |
//! | [`report::Commit`] | [`report`] | outcomes, dead letters, jobs to be and offsets of a batch, as one value |
//!
//! An accepted trigger opens one *case* ([`case`]); its identifiers are derived from the event, so
//! that a re-run says the same again. A [`principal::Principal`] is a user in an authentication
//! database; a [`pattern::Pattern`] is what may go into the kill.
//!
//! What is not finished when its budget is used up goes on as a job: [`jobs`] is the protocol by
//! which exactly one process carries each on, and it is pure.
//!
//! # The other rooms
//!
//! [`config`] reads the configuration and tells all its faults at once; [`check`] asks beforehand
//! whether the job could be done, [`explain`] says what would be decided and why, and
//! [`expect`] whether that is what somebody wanted. [`runbook`] finds commands that end everybody's
//! sessions. [`unfinished`] is what stands on the topics of [`jobs`], for those who only look. [`privilege`] is the one
//! list of what the account may do. [`responder`] puts a pipeline together, [`service`] runs it
//! between a consumer and a publisher, a few batches side by side ([`lanes`]), [`cli`] has one file a
//! command. [`edge`] is the only place that names rdkafka, mongodb and axum. [`telemetry`] is the log, the
//! metrics and the traces, [`health`] whether the job can be done now, [`sessions`] who is connected now. [`lab`] starts real servers on
//! loopback, for the demo and the tests; [`fault_point`] is where those may end the process.
//!
//! # Invariants
//!
//! 1. Nothing but a `uid` or an `lsid {id, uid}` ever goes into `killAllSessionsByPattern`; no type,
//!    configuration or event can express `[]`, `{}`, `users` or `roles` on the wire, all of which
//!    end everybody's sessions ([`pattern`]).
//! 2. Protected principals always win, our own account and `__system@local` first of all. Named
//!    together with others they are spared and the others are cut ([`decide`]).
//! 3. Guards fail closed: one that cannot be evaluated refuses, with the reason in the outcome.
//! 4. `decide` and the transitions of [`jobs`] are pure: no clock, no randomness, no I/O.
//! 5. A record's offset is committed only with, or after, its outcome ([`service`]).
//! 6. A case is `terminated` only when every member that holds data was asked and its check came
//!    back without leftovers: hidden, delayed and recovering members too, found again at each
//!    attempt ([`terminate`]).
//! 7. Foreign errors stop at [`edge`], where they become transient, permanent or unsupported.
//! 8. A slow or dead cluster costs the others at most one inline budget per outage
//!    ([`terminate::circuit`]).
//! 9. Secrets and event payloads never reach a log line.
//! 10. Memory is bounded whatever arrives.

pub mod canary;
pub mod case;
pub mod check;
pub mod cli;
pub mod config;
pub mod decide;
pub mod decode;
pub mod desk;
pub mod directory;
pub mod edge;
pub mod expect;
pub mod explain;
pub mod fault_point;
pub mod health;
pub mod ingest;
pub mod jobs;
pub mod lab;
pub mod lanes;
mod last_resort;
pub mod pattern;
pub mod pause;
pub mod pipeline;
pub mod principal;
pub mod privilege;
pub mod report;
pub mod responder;
pub mod runbook;
pub mod service;
pub mod sessions;
pub mod telemetry;
pub mod terminate;
pub mod unfinished;
