//! A member, and a cluster of such, that does what a test tells it to.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{SignedDuration, ToSpan as _};

use super::*;
use crate::{
    directory::{Live, RoleName, Roles},
    pattern::{Pattern, Patterns, SessionId},
    terminate::{
        member::{Comment, Discovery, Hello, Member, ProcessId},
        survey::{Identity, IdleConnection, Seen, Survey},
    },
};

/// How something reacts to being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// It is gone at once.
    Mortal,
    /// The kill says ok and does nothing.
    Immortal,
    /// It is marked, and stays.
    Lingering,
    /// Its client starts another one at once, so many times more.
    Returning(u32),
}

#[derive(Clone, Debug)]
struct Thing {
    seen: Seen,
    temper: Temper,
}

/// What is done to the member just before it is looked at again.
type Change = Box<dyn FnOnce(&mut Vec<Seen>) + Send>;

/// The member.
pub struct Fake {
    host: String,
    things: Mutex<Vec<Thing>>,
    idle: Mutex<Vec<IdleConnection>>,
    process: Mutex<String>,
    /// Its clock less ours.
    pub ahead: Mutex<SignedDuration>,
    pub authorized: AtomicBool,
    pub sees_all: AtomicBool,
    /// Nothing is answered, ever.
    pub dead: AtomicBool,
    /// Answers to the next kills; `Ok` once they are used up.
    pub kills: Mutex<VecDeque<Result<(), NodeError>>>,
    /// Answers to every killOp, and to every look.
    pub kill_op_error: Mutex<Option<NodeError>>,
    pub survey_error: Mutex<Option<NodeError>>,
    /// How long the first look takes.
    pub first_look: Mutex<Duration>,
    changes: Mutex<VecDeque<Option<Change>>>,
    /// What it was asked, in order.
    asked: Mutex<Vec<String>>,
}

impl Fake {
    pub fn new(host: &str) -> Arc<Self> {
        Arc::new(Self {
            host: host.to_owned(),
            things: Mutex::default(),
            idle: Mutex::default(),
            process: Mutex::new("first".to_owned()),
            ahead: Mutex::default(),
            authorized: AtomicBool::new(true),
            sees_all: AtomicBool::new(true),
            dead: AtomicBool::new(false),
            kills: Mutex::default(),
            kill_op_error: Mutex::default(),
            survey_error: Mutex::default(),
            first_look: Mutex::default(),
            changes: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// Somebody's operation; without a session where it is not said.
    pub fn runs(&self, users: &[&str], in_session: bool, temper: Temper) {
        let mut things = self.things.lock().unwrap();
        let opid = things.len() + 1;
        let users: Vec<Principal> = users.iter().map(|user| who(user)).collect();
        let seen = Seen {
            identity: Identity::Operation { connection: 1, opid: opid.to_string() },
            part_of: None,
            session: in_session
                .then(|| SessionId { id: Uuid::from_u128(opid as u128), uid: users[0].digest() }),
            users,
            strangers: false,
            began: Some(Timestamp::now() - 60.seconds()),
            pending: false,
            evidence: Evidence { opid: Some(opid.to_string()), ..Evidence::of(Kind::Operation) },
        };
        things.push(Thing { seen, temper });
    }

    /// Whatever it is.
    pub fn has(&self, seen: Seen, temper: Temper) {
        self.things.lock().unwrap().push(Thing { seen, temper });
    }

    /// What runs on it, by identity.
    pub fn still_has(&self) -> Vec<Identity> {
        self.things.lock().unwrap().iter().map(|thing| thing.seen.identity.clone()).collect()
    }

    /// Somebody's cursor and open transaction.
    pub fn holds(&self, user: &str) {
        let session = SessionId { id: Uuid::nil(), uid: who(user).digest() };
        let seen = |identity, kind| Seen {
            identity,
            part_of: None,
            session: Some(session),
            users: Vec::new(),
            strangers: false,
            began: Some(Timestamp::now() - 60.seconds()),
            pending: false,
            evidence: Evidence::of(kind),
        };
        let cursor = seen(Identity::Cursor(1), Kind::Cursor);
        let transaction = seen(Identity::Transaction { session, number: 1 }, Kind::Transaction);
        let mut things = self.things.lock().unwrap();
        things.extend([cursor, transaction].map(|seen| Thing { seen, temper: Temper::Mortal }));
    }

    pub fn idles(&self, users: &[&str], address: &str) {
        let users = users.iter().map(|user| who(user)).collect();
        self.idle.lock().unwrap().push(IdleConnection { address: address.to_owned(), users });
    }

    /// Before the look of this number, counted from 0, things become others.
    pub fn before_look(&self, number: usize, change: impl FnOnce(&mut Vec<Seen>) + Send + 'static) {
        let mut changes = self.changes.lock().unwrap();
        changes.resize_with(number, || None);
        changes.push_back(Some(Box::new(change)));
    }

    /// Its process ends, and with it whatever ran; another one answers.
    pub fn restarts(&self) {
        *self.process.lock().unwrap() = "second".to_owned();
        self.things.lock().unwrap().clear();
    }

    /// What it was asked: `kill <cases>`, `end session <numbers>` and `killOp <opid>`, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn die(&self, is_killed: impl Fn(&Seen) -> bool) {
        let mut things = self.things.lock().unwrap();
        let mut next = Vec::new();
        for mut thing in things.drain(..) {
            if !is_killed(&thing.seen) {
                next.push(thing);
                continue;
            }
            match thing.temper {
                Temper::Mortal | Temper::Returning(0) => {}
                Temper::Immortal => next.push(thing),
                Temper::Lingering => {
                    thing.seen.pending = true;
                    next.push(thing);
                }
                Temper::Returning(more) => {
                    let Identity::Operation { connection, opid } = &thing.seen.identity else { continue };
                    let identity = Identity::Operation { connection: *connection, opid: format!("{opid}'") };
                    // By a clock that nobody doubts.
                    let began = Some(Timestamp::now() + 60.seconds());
                    let seen = Seen { identity, began, ..thing.seen };
                    next.push(Thing { seen, temper: Temper::Returning(more - 1) });
                }
            }
        }
        *things = next;
    }

    async fn answers(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending().await
        }
    }
}

impl Member for Fake {
    fn host(&self) -> &str {
        &self.host
    }

    fn role(&self) -> String {
        "secondary".to_owned()
    }

    fn sees_all(&self) -> bool {
        self.sees_all.load(Ordering::SeqCst)
    }

    async fn hello(&self) -> Result<Hello, NodeError> {
        self.answers().await;
        let process = ProcessId(self.process.lock().unwrap().clone());
        Ok(Hello { process, ahead: *self.ahead.lock().unwrap(), error: SignedDuration::from_millis(1) })
    }

    async fn enforces_authorization(&self, _: &ProcessId) -> Result<bool, NodeError> {
        Ok(self.authorized.load(Ordering::SeqCst))
    }

    async fn survey(&self, _: &Principals, idle_connections: bool) -> Result<Survey, NodeError> {
        self.answers().await;
        let wait = std::mem::take(&mut *self.first_look.lock().unwrap());
        tokio::time::sleep(wait).await;
        if let Some(error) = self.survey_error.lock().unwrap().clone() {
            return Err(error);
        }
        let mut seen: Vec<Seen> =
            self.things.lock().unwrap().iter().map(|thing| thing.seen.clone()).collect();
        if let Some(Some(change)) = self.changes.lock().unwrap().pop_front() {
            change(&mut seen);
        }
        let idle = if idle_connections { self.idle.lock().unwrap().clone() } else { Vec::new() };
        Ok(Survey { seen, idle, unattributable_cursors: 0 })
    }

    async fn kill(&self, patterns: &Patterns, comment: &Comment) -> Result<(), NodeError> {
        self.answers().await;
        let cases = comment.cases.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let sessions = patterns.iter().filter_map(|pattern| match pattern {
            Pattern::Uid(_) => None,
            Pattern::Lsid(session) => Some(session.id.as_u128().to_string()),
        });
        let sessions = sessions.collect::<Vec<_>>().join(" ");
        self.asked.lock().unwrap().push(match sessions.as_str() {
            "" => format!("kill {cases}"),
            sessions => format!("end session {sessions}"),
        });
        self.kills.lock().unwrap().pop_front().unwrap_or(Ok(()))?;
        self.die(|seen| {
            patterns.iter().any(|pattern| match pattern {
                Pattern::Uid(uid) => seen.uid() == Some(*uid),
                Pattern::Lsid(session) => seen.session == Some(*session),
            })
        });
        Ok(())
    }

    async fn kill_operation(&self, opid: &str, _: &Comment) -> Result<(), NodeError> {
        self.asked.lock().unwrap().push(format!("killOp {opid}"));
        if let Some(error) = self.kill_op_error.lock().unwrap().clone() {
            return Err(error);
        }
        self.die(|seen| matches!(&seen.identity, Identity::Operation { opid: its, .. } if its == opid));
        Ok(())
    }
}

/// The cluster.
pub struct FakeCluster {
    pub name: Arc<str>,
    pub known: Vec<Arc<Fake>>,
    /// Who is in it now, or why that is not known.
    pub now: Result<Vec<Arc<Fake>>, NodeError>,
    pub incomplete: Option<NodeError>,
    /// By name what it knows of somebody.
    pub users: Vec<(&'static str, Known, Vec<Near>)>,
}

impl FakeCluster {
    pub fn of(members: &[&Arc<Fake>]) -> Self {
        let members: Vec<_> = members.iter().map(|member| (*member).clone()).collect();
        Self {
            name: "orders".into(),
            known: members.clone(),
            now: Ok(members),
            incomplete: None,
            users: Vec::new(),
        }
    }
}

impl Cluster for FakeCluster {
    type Member = Fake;

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn known(&self) -> Vec<Arc<Fake>> {
        self.known.clone()
    }

    async fn discover(&self) -> Result<Discovery<Fake>, NodeError> {
        Ok(Discovery { members: self.now.clone()?, incomplete: self.incomplete.clone() })
    }

    async fn look_up(&self, principals: &[Principal]) -> Result<Vec<(Known, Vec<Near>)>, NodeError> {
        let of = |principal: &Principal| {
            let found = self.users.iter().find(|(name, ..)| who(name) == *principal);
            found.map_or((Known::No, Vec::new()), |(_, known, near)| (*known, near.clone()))
        };
        Ok(principals.iter().map(of).collect())
    }

    async fn holders(&self, _: &[RoleName]) -> Result<Roles, NodeError> {
        Ok(Roles::default())
    }

    async fn live(&self) -> Result<Live, NodeError> {
        Ok(Live::default())
    }

    async fn own_accounts(&self) -> Result<Vec<Principal>, NodeError> {
        Ok(vec![who("me@admin")])
    }
}
