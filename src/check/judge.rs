//! What a cluster's answers mean: facts in, findings out. What holds on several members in the same
//! words is said once, with their names.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{
    facts::{Answers, ClusterFacts, Login, MemberFacts, Silence},
    report::{About, Finding, Section},
};
use crate::{
    config,
    decide::Limits,
    principal::Principal,
    privilege::{Besides, DANGEROUS, NEEDED_FOR_ROLES, Privilege, grants_anywhere},
    terminate::{ErrorClass, NodeError},
};

/// The server's codes for a missing privilege and a refused login.
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;

const FIX_ROLE: &str = "run the script that `severance role` prints: it brings the role up to date";

const FIX_ROLES: &str = "run the script that `severance role --roles` prints: it brings the role up to date";

/// The section of one cluster.
pub(super) fn cluster(facts: ClusterFacts, config: &config::Cluster, limits: &Limits) -> Section {
    let ClusterFacts { name, account, members, incomplete } = facts;
    let mut notes = Notes { account: names(&account), skew: limits.clock_skew, said: Vec::new() };
    for member in &members {
        match &member.answers {
            Ok(answers) => notes.answers(&member.host, answers),
            Err(silence) => notes.silence(&member.host, silence),
        }
    }
    let mut findings = notes.findings(members.len());
    findings.extend(roster(&members, incomplete.as_ref(), config));
    findings.extend(in_order(&members));
    Section::new(About::Cluster(name), members, findings)
}

/// The privileges that a member does not grant.
pub(super) fn missing(answers: &Answers, login: &Login) -> Vec<Privilege> {
    let besides = Besides { sharded: answers.router, roles: answers.wanted_for_roles };
    besides.needed().filter(|privilege| !privilege.is_granted_by(&login.privileges)).collect()
}

/// What was said, and of which members.
struct Notes {
    account: String,
    skew: std::time::Duration,
    said: Vec<(Finding, Vec<String>)>,
}

impl Notes {
    fn note(&mut self, host: &str, finding: Finding) {
        match self.said.iter_mut().find(|(said, _)| *said == finding) {
            Some((_, hosts)) => hosts.push(host.to_owned()),
            None => self.said.push((finding, vec![host.to_owned()])),
        }
    }

    fn fault(&mut self, host: &str, message: String, fix: &str) {
        self.note(host, Finding::fault("", message, fix.to_owned()));
    }

    fn warning(&mut self, host: &str, message: String, fix: &str) {
        self.note(host, Finding::warning("", message, fix.to_owned()));
    }

    /// A question that was not answered although the member is there.
    fn unanswered<T>(&mut self, host: &str, question: &str, answer: &Result<T, NodeError>) {
        if let Err(error) = answer {
            self.fault(host, format!("did not say {question}: {}", error.message), "try again");
        }
    }

    fn silence(&mut self, host: &str, Silence { error, open_to_strangers }: &Silence) {
        if *open_to_strangers == Some(true) {
            self.open(host);
        } else if error.code == Some(AUTHENTICATION_FAILED) {
            let account = &self.account;
            self.fault(
                host,
                format!(
                    "refuses our login as {account}: wrong name, password or authentication database ({})",
                    error.message
                ),
                "compare the cluster's `uri` with the account there: name, password, `authSource`",
            );
        } else {
            match error.class {
                ErrorClass::Transient => self.fault(
                    host,
                    format!("cannot be reached: {}", error.message),
                    "start it, or open the way to it; where its address is another one from here, write that under `members`",
                ),
                ErrorClass::Permanent => {
                    self.fault(host, format!("cannot be asked: {}", error.message), "correct the cluster's `uri`");
                }
                ErrorClass::Unsupported => {
                    self.fault(host, format!("cannot be used: {}", error.message), "use a MongoDB server");
                }
            }
        }
    }

    fn open(&mut self, host: &str) {
        self.fault(
            host,
            "authorization is off: every session has the same owner there, so nobody can be told apart"
                .to_owned(),
            "start mongod with `--auth` or a keyfile",
        );
    }

    fn answers(&mut self, host: &str, answers: &Answers) {
        self.unanswered(host, "which version it is", &answers.version);
        self.unanswered(host, "whether authorization is on", &answers.authorization);
        match &answers.authorization {
            Ok(false) => self.open(host),
            Ok(true) | Err(_) => self.login(host, answers),
        }
        self.unanswered(host, "which commands it knows", &answers.unknown_commands);
        for command in answers.unknown_commands.iter().flatten() {
            self.fault(host, format!("does not know the command `{command}`"), "use a MongoDB server");
        }
        if answers.router {
            self.warning(
                host,
                "is a mongos: members behind it are `unverified`, so every case here ends as `partial` at best"
                    .to_owned(),
                "none yet: direct connections to the shards come with a later version",
            );
        }
        let off = answers.ahead.abs() - answers.ahead_error;
        let skew = SignedDuration::try_from(self.skew).unwrap_or(SignedDuration::MAX);
        if off > skew {
            let way = if answers.ahead.is_negative() { "behind" } else { "ahead of" };
            self.warning(
                host,
                format!(
                    "its clock is {} s {way} ours, more than `limits.clock_skew`: the order of events and kills is doubtful",
                    answers.ahead.abs().as_secs()
                ),
                "set both clocks by NTP",
            );
        }
    }

    fn login(&mut self, host: &str, answers: &Answers) {
        self.unanswered(host, "who we are", &answers.login);
        let Ok(login) = &answers.login else { return };
        if login.accounts.is_empty() {
            self.fault(
                host,
                "we are not logged in: the `uri` names no account".to_owned(),
                "put a name and a password, or a certificate, into it; `severance role` prints how to make the account",
            );
            return;
        }
        let account = names(&login.accounts);
        let missing = missing(answers, login);
        for Privilege { action, resource, purpose, essential } in &missing {
            let message = format!("{account} lacks `{action}` on {resource}, to {purpose}");
            match essential {
                true if *action == NEEDED_FOR_ROLES.action => self.fault(host, message, FIX_ROLES),
                true => self.fault(host, message, FIX_ROLE),
                false => self.warning(host, message, FIX_ROLE),
            }
        }
        if grants_anywhere(&login.privileges, DANGEROUS) {
            self.warning(
                host,
                format!(
                    "{account} has `{DANGEROUS}`: with it the server accepts the users and roles forms of the kill, which end everybody's sessions"
                ),
                "take it away: the role that `severance role` prints does without, and one that may do anything is too much",
            );
        }
        match &answers.names_owners {
            Ok(true) => {}
            Ok(false) => {
                let message = "its `$currentOp` does not say whose an operation is".to_owned();
                self.fault(host, message, "use a MongoDB server");
            }
            // Then `inprog` was named above.
            Err(error) if error.code == Some(UNAUTHORIZED) && !missing.is_empty() => {}
            Err(_) => self.unanswered(host, "what runs there", &answers.names_owners),
        }
    }

    fn findings(self, members: usize) -> Vec<Finding> {
        let named = |(finding, hosts): (Finding, Vec<String>)| {
            let subject = if hosts.len() == members && members > 1 {
                "every member".to_owned()
            } else {
                hosts.join(", ")
            };
            Finding { subject, ..finding }
        };
        self.said.into_iter().map(named).collect()
    }
}

/// Whether these are all members, and whether the configuration names others.
fn roster(members: &[MemberFacts], incomplete: Option<&NodeError>, config: &config::Cluster) -> Vec<Finding> {
    let Some(error) = incomplete else {
        let absent =
            config.members.keys().filter(|named| !members.iter().any(|member| member.host == **named));
        return absent
            .map(|named| {
                let fix = "write it as the replica set's configuration does, or remove it".to_owned();
                Finding::warning(named, "stands under `members`, but is no member", fix)
            })
            .collect();
    };
    let answers = || members.iter().filter_map(|member| member.answers.as_ref().ok());
    let lacks =
        |answers: &Answers| answers.login.as_ref().is_ok_and(|login| !missing(answers, login).is_empty());
    let silent = answers().next().is_none();
    if silent || (error.code == Some(UNAUTHORIZED) && answers().any(lacks)) {
        // Each member, or each missing privilege, has been named with the reason.
        return Vec::new();
    }
    let fix = match error.class {
        ErrorClass::Transient => "try again",
        ErrorClass::Permanent | ErrorClass::Unsupported => "correct the cluster's `uri`",
    };
    let message = format!("there may be more members than these: {}", error.message);
    vec![Finding::fault("", message, fix.to_owned())]
}

/// What is as it should be on every member, said shortly.
fn in_order(members: &[MemberFacts]) -> Vec<Finding> {
    let answers: Vec<&Answers> = members.iter().filter_map(|member| member.answers.as_ref().ok()).collect();
    if answers.len() < members.len() || !answers.iter().all(|one| matches!(one.authorization, Ok(true))) {
        return Vec::new();
    }
    let hidden = members.iter().filter(|member| member.role == "hidden").count();
    let routers = answers.iter().all(|one| one.router);
    let reached = match (members.len(), hidden) {
        (1, _) if routers => "the only live mongos is reached".to_owned(),
        (all, _) if routers => format!("all {all} live mongos are reached"),
        (1, _) => "the only member is reached".to_owned(),
        (all, 0) => format!("all {all} members are reached"),
        (all, hidden) => format!("all {all} members are reached, {hidden} of them hidden"),
    };
    let mut ok = vec![Finding::ok("", format!("{reached}; authorization is on"))];
    let as_it_should_be = |answers: &&Answers| {
        let login = answers.login.as_ref().ok()?;
        let good = !login.accounts.is_empty()
            && missing(answers, login).is_empty()
            && !grants_anywhere(&login.privileges, DANGEROUS);
        good.then(|| names(&login.accounts))
    };
    let accounts: Option<BTreeSet<String>> = answers.iter().map(as_it_should_be).collect();
    for account in accounts.into_iter().flatten() {
        ok.push(Finding::ok("", format!("{account} has every privilege it needs, and not `{DANGEROUS}`")));
    }
    ok
}

fn names(accounts: &[Principal]) -> String {
    match accounts {
        [] => "an account that the certificate names".to_owned(),
        accounts => accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
