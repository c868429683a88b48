//! The lab keeps its promises: workloads run and feel a kill, and nothing outlives the process that
//! started it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bson::spec::BinarySubtype;
use bson::{Binary, Bson};
use serde_json::{Value, json};
use severance::edge::mongo_lab::{Admin, Kind, Sessions, Work};
use severance::lab::guard::is_alive;
use severance::lab::{Credentials, ReplicaSet, Signal, Standalone};
use sha2::{Digest, Sha256};
use support::{Kafka, block_on, eventually, kafka, replica_set};

const SOON: Duration = Duration::from_secs(5);
/// Set in a second run of this very program, which starts servers and waits to be killed.
const VICTIM: &str = "SEVERANCE_LAB_VICTIM";

fn digest(text: &str) -> Value {
    let bytes = Sha256::digest(text).to_vec();
    let subtype = BinarySubtype::Generic;
    Bson::Binary(Binary { subtype, bytes }).into_relaxed_extjson()
}

async fn kill(admin: &Admin, who: &Credentials) {
    let patterns = json!([{"uid": digest(&format!("{}@{}", who.user, who.db))}]);
    let killed = admin.run("admin", "killAllSessionsByPattern", patterns, json!({})).await;
    killed.unwrap();
}

#[test]
fn a_kill_by_user_ends_work_with_a_session_on_one_member_and_nothing_else() {
    let set = replica_set();
    block_on(async {
        let roles = || json!([{"role": "readWrite", "db": "lab"}]);
        let mallory = set.create_user("mallory", "admin", roles()).await.unwrap();
        let alice = set.create_user("alice", "admin", roles()).await.unwrap();
        let hidden = set.hidden().unwrap();
        let primary = set.primary().await.unwrap();
        let start = async |member, who, kind, sessions| {
            set.work(member, who, Work::new(kind, "web").sessions(sessions)).await.unwrap()
        };

        let query = start(hidden, &mallory, Kind::Query, Sessions::Implicit).await;
        let explicit = start(hidden, &mallory, Kind::Query, Sessions::Explicit).await;
        let cursor = start(hidden, &mallory, Kind::Cursor, Sessions::Implicit).await;
        let own_cursor = start(hidden, &mallory, Kind::Cursor, Sessions::Explicit).await;
        let wait = Duration::from_millis(500);
        let stream = start(hidden, &mallory, Kind::ChangeStream { wait }, Sessions::Implicit).await;
        let each = Duration::from_millis(50);
        let returns = start(hidden, &mallory, Kind::ComesBack { each }, Sessions::Implicit).await;
        let transaction = start(primary, &mallory, Kind::Transaction, Sessions::Implicit).await;
        let sessionless = start(hidden, &mallory, Kind::Query, Sessions::None).await;
        let elsewhere = start(primary, &mallory, Kind::Query, Sessions::Implicit).await;
        let bystander = start(hidden, &alice, Kind::Query, Sessions::Implicit).await;
        for idle in [&cursor, &own_cursor, &transaction] {
            idle.probe().await.unwrap();
        }

        let before = Instant::now();
        kill(set.admin(hidden), &mallory).await;
        // One that was between two queries did not feel it.
        while returns.is_untouched() {
            kill(set.admin(hidden), &mallory).await;
        }
        for running in [&query, &explicit, &stream, &returns] {
            let journal = running.wait_touched(SOON).await.unwrap();
            assert_eq!(journal.first_error().unwrap().0, Some(11601));
        }
        for idle in [&cursor, &own_cursor] {
            assert_eq!(idle.probe().await.unwrap_err().code, Some(43));
        }
        transaction.probe().await.unwrap();
        let back = async || returns.journal().answers_since(before) > 0;
        while !back().await {
            assert!(before.elapsed() < SOON, "the client never came back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for untouched in [&sessionless, &elsewhere, &bystander] {
            assert!(untouched.is_untouched());
        }
        let witness = set.logged_kills(hidden).unwrap();
        assert!(witness.iter().any(|line| line.to_string().contains("killAllSessionsByPattern")));

        kill(set.admin(primary), &mallory).await;
        assert_eq!(transaction.probe().await.unwrap_err().code, Some(251));
        assert_eq!(elsewhere.wait_touched(SOON).await.unwrap().first_error().unwrap().0, Some(11601));
    });
}

#[test]
fn the_driver_sends_a_session_to_a_hidden_member_and_none_through_the_proxy() {
    let set = replica_set();
    block_on(async {
        let bob = set.create_user("bob", "admin", json!(["readAnyDatabase"])).await.unwrap();
        for member in [set.hidden().unwrap(), set.primary().await.unwrap()] {
            for sessions in [Sessions::Implicit, Sessions::Explicit, Sessions::None] {
                let work = Work::new(Kind::Query, "who").sessions(sessions);
                let work = set.work(member, &bob, work).await.unwrap();
                let ops = set.admin(member).current_ops().await.unwrap();
                let op = ops.iter().find(|op| op["command"]["comment"] == work.comment()).unwrap();
                assert_eq!(op["lsid"].is_null(), sessions == Sessions::None, "{op}");
                assert!(work.lsid().is_none_or(|own| *own == op["lsid"]["id"]));
                assert_eq!(op["effectiveUsers"], json!([{"user": "bob", "db": "admin"}]));
                assert_eq!(op["appName"], "who");
            }
        }
    });
}

#[test]
fn members_stop_go_on_die_and_come_back() {
    block_on(async {
        let set = ReplicaSet::builder().start().await.unwrap();
        let first = set.primary().await.unwrap();
        let second = set.step_down().await.unwrap();
        assert_ne!(first, second);

        set.signal(second, Signal::Stop).unwrap();
        let third = set.primary().await.unwrap();
        assert_ne!(second, third);
        set.signal(second, Signal::Continue).unwrap();
        set.wait_healthy().await.unwrap();

        for end in [Signal::Kill, Signal::Terminate] {
            match end {
                Signal::Kill => set.kill(second).await.unwrap(),
                _ => set.terminate(second).await.unwrap(),
            }
            assert!(!set.is_running(second));
            set.restart(second).await.unwrap();
            set.wait_healthy().await.unwrap();
        }
    });
}

#[test]
fn a_certificate_is_a_user_where_there_is_tls() {
    block_on(async {
        let set = ReplicaSet::builder().voting(1).tls(true).start().await.unwrap();
        let client = set.authority().unwrap().client("carol").unwrap();
        set.create_account(&client, json!([{"role": "read", "db": "lab"}])).await.unwrap();
        let query = set.work(0, &client, Work::new(Kind::Query, "tls")).await.unwrap();
        kill(set.admin(0), &client).await;
        let journal = query.wait_touched(SOON).await.unwrap();
        assert_eq!(journal.first_error().unwrap().0, Some(11601));
    });
}

#[test]
fn members_can_have_names_that_nobody_else_can_resolve() {
    use std::net::ToSocketAddrs;
    let (builder, _names) = support::names::unresolvable(ReplicaSet::builder().hidden(true));
    block_on(async {
        let set = builder.start().await.unwrap();
        assert!(set.host(3).starts_with("member-3.invalid:"));
        assert!(set.host(3).to_socket_addrs().is_err());
        let hello = set.admin(3).run("admin", "hello", json!(1), json!({})).await.unwrap();
        assert_eq!(hello["me"], set.host(3));
        assert_eq!(hello["hidden"], true);
    });
}

#[test]
fn a_standalone_asks_nobody_who_they_are() {
    block_on(async {
        let standalone = Standalone::start().await.unwrap();
        let admin = standalone.admin().await.unwrap();
        let ops = admin.current_ops().await.unwrap();
        let own = ops.iter().find(|op| op["command"]["aggregate"] == 1);
        assert_eq!(own.unwrap()["lsid"]["uid"], digest(""));
    });
}

#[test]
fn a_broker_keeps_its_topics_through_a_kill() {
    let broker = Kafka::start();
    broker.create_topic("kept", 3, &[("cleanup.policy", "compact")]);
    broker.restart();
    broker.delete_topic("kept");
    broker.terminate();
}

#[test]
fn nothing_outlives_a_killed_process() {
    if std::env::var_os(VICTIM).is_some() {
        start_servers_and_wait();
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_outlives_a_killed_process", "--nocapture"])
        .env(VICTIM, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (pids, folders) = read_report(victim.stdout.take().unwrap());
    assert_eq!(pids.len(), 5);
    assert!(pids.iter().all(|pid| is_alive(*pid)) && folders.iter().all(|folder| Path::new(folder).is_dir()));
    victim.kill().unwrap();
    let killed = Instant::now();
    victim.wait().unwrap();
    eventually("servers and folders to go", SOON, || {
        let gone = !pids.iter().any(|pid| is_alive(*pid))
            && !folders.iter().any(|folder| Path::new(folder).exists());
        gone.then_some(())
    });
    println!("gone {} ms after the kill", killed.elapsed().as_millis());
}

fn read_report(stdout: impl std::io::Read) -> (Vec<u32>, Vec<String>) {
    use std::io::{BufRead, BufReader};
    let (mut pids, mut folders) = (Vec::new(), Vec::new());
    for line in BufReader::new(stdout).lines() {
        let line = line.unwrap();
        if let Some(pid) = line.strip_prefix("pid ") {
            pids.push(pid.parse().unwrap());
        } else if let Some(folder) = line.strip_prefix("folder ") {
            folders.push(folder.to_owned());
        } else if line == "ready" {
            return (pids, folders);
        }
    }
    panic!("the victim ended before it was ready");
}

/// The victim's part: the same test in a process of its own.
fn start_servers_and_wait() -> ! {
    let (set, broker) = (replica_set(), kafka());
    for member in 0..set.size() {
        println!("\npid {}\nfolder {}", set.pid(member), set.log_path(member).parent().unwrap().display());
    }
    // A stopped server must go as well.
    set.signal(0, Signal::Stop).unwrap();
    println!("pid {}\nfolder {}\nready", broker.pid(), broker.log_path().parent().unwrap().display());
    loop {
        std::thread::park();
    }
}
