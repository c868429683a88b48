//! What happened on one member.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{
    ErrorClass, NodeError,
    member::{Hello, Member, ProcessId},
    order::Order,
    survey::Identity,
    watch::{Next, Watch},
};

/// Most errors that are kept of one member.
const MAX_ERRORS: usize = 10;

/// What happened on one member.
#[derive(Debug)]
pub struct NodeRun {
    /// As the replica set's configuration names it.
    pub host: String,
    /// Its role, in the outcome's words.
    pub role: String,
    /// What the looks showed.
    pub watch: Watch,
    /// Only looked at, by intention.
    pub simulated: bool,
    /// The last look is later than everything that was done.
    pub verified: bool,
    /// It does not show everything that has to be seen.
    pub sees_all: bool,
    /// Another process answered than at first.
    pub restarted: bool,
    /// It cannot do this.
    pub unsupported: bool,
    /// By index of the order's parts why the kill failed for them.
    pub blamed: HashMap<usize, NodeError>,
    /// How often it was asked to kill.
    pub attempts: u32,
    /// What went wrong, in order.
    pub errors: Vec<NodeError>,
    /// When the look before the kill was back.
    pub before_at: Option<Timestamp>,
    /// When the first kill was acknowledged.
    pub killed_at: Option<Timestamp>,
    /// When the last look was back.
    pub verified_at: Option<Timestamp>,
    /// The clock and the process of the last answer.
    pub hello: Option<Hello>,
    /// The process of the first answer.
    pub first_process: Option<ProcessId>,
    /// Operations that we may not end; asking again would end the same.
    pub beyond_us: HashSet<Identity>,
}

impl NodeRun {
    pub(super) fn new<M: Member>(member: &M, simulated: bool) -> Self {
        Self {
            host: member.host().to_owned(),
            role: member.role(),
            watch: Watch::default(),
            simulated,
            verified: false,
            sees_all: member.sees_all(),
            restarted: false,
            unsupported: false,
            blamed: HashMap::new(),
            attempts: 0,
            errors: Vec::new(),
            before_at: None,
            killed_at: None,
            verified_at: None,
            hello: None,
            first_process: None,
            beyond_us: HashSet::new(),
        }
    }

    /// Neither a kill nor a check came back from it.
    pub fn was_not_reached(&self) -> bool {
        !self.verified && self.killed_at.is_none() && self.blamed.is_empty() && !self.unsupported
    }

    pub(super) fn note(&mut self, error: NodeError) {
        self.unsupported |= error.class == ErrorClass::Unsupported;
        if self.errors.len() < MAX_ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    pub(super) fn blame(&mut self, index: usize, error: NodeError) {
        self.unsupported |= error.class == ErrorClass::Unsupported;
        self.blamed.insert(index, error);
    }

    /// What the last look asks for, beside what failed for good.
    pub(super) fn next(&self, order: &Order) -> Next {
        self.watch.next(|seen| {
            !self.beyond_us.contains(&seen.identity)
                && (self.blamed.is_empty()
                    || order.owners(seen).iter().any(|index| !self.blamed.contains_key(index)))
        })
    }

    /// The first kill's acknowledgement on the node's own clock, at the latest.
    pub(super) fn killed_at_there(&self) -> Option<Timestamp> {
        let local = self.killed_at?;
        match self.restarted {
            false => self.watch.acknowledged_at().or_else(|| Some(self.hello.as_ref()?.at_latest(local))),
            true => Some(self.hello.as_ref()?.at_latest(local)),
        }
    }

    /// In which process things are left. Where nothing is known to be left after a restart, the one
    /// before: the next attempt need only see that it is gone.
    pub(super) fn process_of_remains(&self) -> Option<&ProcessId> {
        match self.restarted && self.watch.remaining().next().is_none() {
            true => self.first_process.as_ref(),
            false => self.hello.as_ref().map(|hello| &hello.process),
        }
    }

    pub(super) fn note_transient(&mut self, message: &str) {
        let (node, message) = (self.host.clone(), message.to_owned());
        self.note(NodeError { class: ErrorClass::Transient, code: None, node, message });
    }

    pub(super) fn note_not_asked(&mut self) {
        self.note_transient("not asked: it used up an earlier budget and has not answered since");
    }

    /// Another process than before: what ran there is gone.
    pub(super) fn meet(&mut self, hello: &Hello) {
        match &self.hello {
            Some(known) if known.process != hello.process => {
                tracing::warn!(node = self.host, "node restarted in the middle of a kill");
                self.restarted = true;
                self.watch.restarted();
            }
            Some(_) | None => {}
        }
        self.first_process.get_or_insert_with(|| hello.process.clone());
        self.hello = Some(hello.clone());
    }
}

/// Without authorization nobody can be told apart.
pub(super) async fn check_authorization<M: Member>(member: &M, hello: &Hello) -> Result<(), NodeError> {
    if member.enforces_authorization(&hello.process).await? {
        return Ok(());
    }
    Err(NodeError {
        class: ErrorClass::Unsupported,
        code: None,
        node: member.host().to_owned(),
        message:
            "authorization is off: every session there has the same owner, so nobody can be told apart; \
                  start mongod with --auth or a keyfile"
                .to_owned(),
    })
}
