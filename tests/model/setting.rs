//! What may happen in a model, how often, and which rule is broken in it.

/// A rule of the protocol that is broken on purpose: each has to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// None: this is the protocol.
    Nothing,
    /// The step's transaction carries the group metadata of the moment of its commit.
    FreshMetadata,
    /// It carries metadata asked for when the step began, not where the assignment was heard.
    MetadataOfTheStepsBeginning,
    /// It is not fenced at all.
    NotFenced,
    /// It is fenced before its records are written.
    FencedBeforeWriting,
    /// Loading ends at the end of what can be seen, whatever transaction is open.
    EofWithoutLastStable,
    /// A creation and the owner's state stand under one key.
    OneKey,
    /// A done mark is forgotten at once.
    ForgottenAtOnce,
    /// A done mark is forgotten as soon as no trigger is accepted any more, without waiting for
    /// the transactions in which one was.
    ForgottenBeforeTransactionsEnd,
    /// The end writes no done mark.
    NoDoneMark,
    /// Attempts do not hear the commands first.
    CommandsUnheard,
    /// Attempts hear the commands only as far as they can be seen.
    CommandsWithoutLastStable,
    /// Commands are forgotten once they were read.
    CommandsNotKept,
    /// Kills go on when the broker has not been heard of.
    NoLease,
    /// Whether the partition is held is asked before a kill, and not whether it is the same holding.
    HeldAgainTakenForHeldStill,
    /// The final outcome is published before the transaction that marks the case as done.
    EndInTwoTransactions,
    /// Kills go on after the partition was revoked, until the owner of the book hears of it.
    KillsAfterRevoke,
    /// A rejected step is published again although the partition was away in between.
    PublishedAgainAfterABreak,
    /// An answer nobody can give is taken for a no.
    UnknownTakenForAborted,
}

/// How often each fault may happen.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct Budget {
    /// Deliveries of the trigger, the first included.
    pub deliveries: u8,
    /// Redrives.
    pub redrives: u8,
    /// Cancellations.
    pub cancels: u8,
    /// Whether the job waits for a person, until triggers are accepted no more.
    pub parked: bool,
    /// Approvals.
    pub approvals: u8,
    /// Denials.
    pub denials: u8,
    /// Rebalances that nothing makes necessary.
    pub rebalances: u8,
    /// Losses of contact with the broker.
    pub silences: u8,
    /// Crashes.
    pub crashes: u8,
    /// Attempts that leave something.
    pub failures: u8,
    /// Transactions that time out under a living producer.
    pub timeouts: u8,
    /// Commits whose answer is lost.
    pub unknowns: u8,
    /// Other transactions that stand open on the commands topic.
    pub pins: u8,
    /// Compactions.
    pub compactions: u8,
    /// How far time goes: 0 triggers are accepted, 1 no more, 2 their transactions have ended too.
    pub clock: u8,
}

/// A model.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub replicas: usize,
    pub budget: Budget,
    pub broken: Broken,
}

impl Budget {
    /// Nothing happens but one job.
    pub const QUIET: Self = Self {
        deliveries: 1,
        redrives: 0,
        cancels: 0,
        parked: false,
        approvals: 0,
        denials: 0,
        rebalances: 0,
        silences: 0,
        crashes: 0,
        failures: 0,
        timeouts: 0,
        unknowns: 0,
        pins: 0,
        compactions: 0,
        clock: 0,
    };
}
