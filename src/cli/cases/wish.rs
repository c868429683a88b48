//! `severance cases cancel`, `release` and `deny`: a command to whoever has the case.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use jiff::Timestamp;

use super::{
    Exit,
    beginning::Beginning,
    failed,
    outcomes::Said,
    seen::{Stand, cases},
};
use crate::cli::respond::exit_of;
use crate::{
    case::CaseId,
    config::{Config, JobTopics, Kafka, duration},
    edge::{
        kafka_reader::{ReadError, Reader, Start},
        kafka_send::Sender,
    },
    jobs::{Cancel, Command, Job, Ruling},
    report::{Encoded, Status},
    unfinished::{Unfinished, read_all},
};

/// Which case, and what is said of why.
#[derive(Debug, Args)]
pub struct WishArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Why; the outcome says it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who wants it [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How long to wait for the outcome that ends it
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    wait: Duration,
    /// The case: its id, or the first 8 characters of it or more
    case: Beginning,
}

/// What is wanted of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That it ends.
    Cancel,
    /// That what waits for a person is carried out.
    Release,
    /// That it is not.
    Deny,
}

impl Wish {
    fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Release => "release",
            Self::Deny => "deny",
        }
    }

    fn command(self, args: &WishArgs, job: &Job) -> Command {
        let by = args.by.clone().or_else(|| std::env::var("USER").ok()).filter(|by| !by.is_empty());
        let (case_id, n, at, reason) = (job.case_id, job.n, Timestamp::now(), args.reason.clone());
        let ruling = |by| Ruling { case_id, n: Some(n), at, by, reason: reason.clone() };
        match self {
            Self::Cancel => Command::Cancel(Cancel { case_id, n, at, by, reason }),
            Self::Release => Command::Approve(ruling(by)),
            Self::Deny => Command::Deny(ruling(by)),
        }
    }

    /// What the last outcome means to whoever wanted this.
    fn exit(self, said: &Said, case: CaseId) -> Exit {
        let is_done = match self {
            Self::Cancel => said.is_cancelled(),
            Self::Deny => said.is_denied(),
            Self::Release => match said.status() {
                Some(Status::Cancelled | Status::Refused) | None => false,
                Some(status) => return exit_of(status),
            },
        };
        match is_done {
            true => Exit::Done,
            false => {
                eprintln!("severance: {case} had ended already when the {} was read", self.word());
                Exit::NothingFound
            }
        }
    }
}

/// How long the brokers may take to acknowledge.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one poll for an outcome lasts.
const POLL: Duration = Duration::from_millis(100);

/// Writes the command and waits for what comes of it.
pub fn wish(wish: Wish, config: &Config, jobs: &JobTopics, args: &WishArgs) -> Result<Exit, Exit> {
    let kafka = &config.kafka;
    let job = open(config, jobs, args)?;
    if wish != Wish::Cancel && job.parked().is_none() {
        eprintln!("severance: {} does not wait for approval; nothing was written", job.case_id);
        return Err(Exit::NothingFound);
    }
    // From here on, so that no outcome of before is taken for the answer.
    let reader = Reader::open(kafka, &kafka.outcomes, Start::Now).map_err(|error| failed(&error))?;
    let position = write(wish, kafka, jobs, args, &job)?;
    println!("{} of {} written to {position}", wish.word(), job.case_id);
    match answer(kafka, reader, &job, args.wait).map_err(|error| failed(&error))? {
        Some(said) => {
            println!("{}", said.line());
            Ok(wish.exit(&said, job.case_id))
        }
        None => {
            eprintln!(
                "severance: no outcome ends it within {}; the command stays written, and whoever owns the case \
                 applies it (severance cases show {})",
                duration::spell(args.wait),
                job.case_id
            );
            Ok(Exit::Partial)
        }
    }
}

/// The job that is meant.
fn open(config: &Config, jobs: &JobTopics, args: &WishArgs) -> Result<Job, Exit> {
    let unfinished = Unfinished::read(&config.kafka, jobs).map_err(|error| failed(&error))?;
    let seen = cases(&unfinished, config.limits.clock_skew);
    let is_open = |stand: &Stand| match stand {
        Stand::Open(..) | Stand::Unreadable(_) => true,
        Stand::Ended(_) => false,
    };
    let open = seen.iter().filter(|seen| is_open(&seen.stand));
    let case = args.case.choose(open.clone().map(|seen| seen.case)).map_err(|unchosen| {
        unchosen.said(&args.case, "there is no such open case (severance cases list); nothing was written")
    })?;
    let mut of_case = open.filter(|seen| seen.case == case);
    let job = of_case.clone().find_map(|seen| match &seen.stand {
        Stand::Open(job, _) => Some(Job::clone(job)),
        Stand::Unreadable(_) | Stand::Ended(_) => None,
    });
    job.ok_or_else(|| {
        let why = of_case.find_map(|seen| match &seen.stand {
            Stand::Unreadable(why) => Some(why.to_string()),
            Stand::Open(..) | Stand::Ended(_) => None,
        });
        eprintln!("severance: {case} cannot be read, so nobody works on it: {}", why.unwrap_or_default());
        Exit::Failed
    })
}

fn write(wish: Wish, kafka: &Kafka, jobs: &JobTopics, args: &WishArgs, job: &Job) -> Result<String, Exit> {
    let said = |error: String, exit: Exit| {
        eprintln!("severance: {} is not written: {error}", wish.word());
        exit
    };
    let value = wish.command(args, job).encode().map_err(|error| said(error.to_string(), Exit::Usage))?;
    let key = job.case_id.to_string().into_bytes();
    let encoded = Encoded { key: Some(key), value: Some(value), headers: Vec::new(), partition: None };
    let sender = Sender::new(kafka).map_err(|error| said(error.to_string(), Exit::Usage))?;
    let answer = sender.send(&[(jobs.commands.clone(), encoded)], PATIENCE).pop();
    match answer.unwrap_or_else(|| Err("nothing was sent".to_owned())) {
        Ok(position) => Ok(position.to_string()),
        Err(error) => Err(said(error, Exit::Failed)),
    }
}

/// The outcome that ends it, within this time.
fn answer(kafka: &Kafka, mut reader: Reader, job: &Job, wait: Duration) -> Result<Option<Said>, ReadError> {
    let began = Instant::now();
    while let Some(left) = wait.checked_sub(began.elapsed()) {
        let read = reader.next(left.min(POLL))?;
        let said = read.as_ref().and_then(Said::read);
        if let Some(said) = said.filter(|said| said.ends(job.case_id, job.seq)) {
            return Ok(Some(said));
        }
    }
    // It may stand before where we began: written then, and committed only after we had looked.
    let mut end = None;
    read_all(kafka, &kafka.outcomes, |record| {
        end = Said::read(&record).filter(|said| said.ends(job.case_id, job.seq)).or(end.take());
    })?;
    Ok(end)
}
