//! Who plays: users of the demo's replica set, what each runs where, and what will be said of them.

use crate::edge::mongo_lab::{Kind, Sessions, Work};

/// A user of the demo.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// The user name.
    pub user: &'static str,
    /// The authentication database.
    pub db: &'static str,
    /// What the table says of them.
    pub note: &'static str,
    /// What they run.
    pub works: &'static [Piece],
    /// Whether an event names them.
    pub named: bool,
}

impl Actor {
    /// `user@db`.
    pub fn name(&self) -> String {
        format!("{}@{}", self.user, self.db)
    }
}

/// One piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// On which member; members are numbered from 0, the primary first, the hidden one last.
    pub member: usize,
    kind: Kind,
    app: &'static str,
    sessions: Sessions,
}

impl Piece {
    const fn query(member: usize, app: &'static str) -> Self {
        Self { member, kind: Kind::Query, app, sessions: Sessions::Implicit }
    }

    const fn cursor(member: usize, app: &'static str) -> Self {
        Self { member, kind: Kind::Cursor, app, sessions: Sessions::Explicit }
    }

    const fn transaction(app: &'static str) -> Self {
        Self { member: 0, kind: Kind::Transaction, app, sessions: Sessions::Explicit }
    }

    const fn sessionless(member: usize, app: &'static str) -> Self {
        Self { member, kind: Kind::Query, app, sessions: Sessions::None }
    }

    /// As the lab takes it.
    pub fn work(&self) -> Work {
        Work::new(self.kind, self.app).sessions(self.sessions)
    }

    /// Whether it does nothing by itself, and has to be asked whether it still can.
    pub fn is_idle(&self) -> bool {
        matches!(self.kind, Kind::Cursor | Kind::Transaction)
    }
}

const HIDDEN: usize = 3;

/// Everybody.
pub const CAST: [Actor; 6] = [
    Actor {
        user: "mallory",
        db: "admin",
        note: "compromised",
        works: &[
            Piece::query(0, "notebook"),
            Piece::query(0, "shell"),
            Piece::transaction("shell"),
            Piece::query(1, "notebook"),
            Piece::cursor(2, "export"),
            Piece::sessionless(HIDDEN, "old driver"),
        ],
        named: true,
    },
    Actor {
        user: "mallory",
        db: "app",
        note: "same name, another database",
        works: &[
            Piece::query(0, "shop"),
            Piece::query(1, "shop"),
            Piece::cursor(2, "shop"),
            Piece::query(HIDDEN, "shop"),
        ],
        named: false,
    },
    Actor {
        user: "olga",
        db: "admin",
        note: "leaves the company",
        works: &[Piece::transaction("crm"), Piece::query(1, "crm"), Piece::query(2, "crm")],
        named: true,
    },
    Actor {
        user: "temp",
        db: "app",
        note: "contractor, office hours only",
        works: &[Piece::query(0, "shell"), Piece::query(2, "shell"), Piece::query(HIDDEN, "analytics")],
        named: true,
    },
    Actor {
        user: "alice",
        db: "admin",
        note: "bystander",
        works: &[
            Piece::query(0, "shop"),
            Piece::transaction("shop"),
            Piece::query(1, "shop"),
            Piece::cursor(2, "shop"),
            Piece::query(HIDDEN, "analytics"),
        ],
        named: false,
    },
    Actor {
        user: "reports",
        db: "admin",
        note: "batch job",
        works: &[
            Piece::cursor(1, "nightly"),
            Piece::query(2, "nightly"),
            Piece::sessionless(HIDDEN, "nightly"),
        ],
        named: false,
    },
];
