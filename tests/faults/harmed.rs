//! The replica set that tests harm: one test at a time has it, and gets it healthy.

use std::sync::OnceLock;

use severance::lab::{ReplicaSet, Signal};
use tokio::sync::{Mutex, MutexGuard};

static SET: OnceLock<Mutex<ReplicaSet>> = OnceLock::new();

/// Three voting members and a hidden one, with failpoints, for this test alone until it drops them.
pub async fn harmed() -> MutexGuard<'static, ReplicaSet> {
    static STARTING: Mutex<()> = Mutex::const_new(());
    let starting = STARTING.lock().await;
    if SET.get().is_none() {
        let set = ReplicaSet::builder().hidden(true).failpoints(true).start().await.expect("a replica set");
        SET.set(Mutex::new(set)).expect("one at a time starts it");
    }
    drop(starting);
    let set = SET.get().expect("it is started").lock().await;
    heal(&set).await;
    set
}

/// Whatever a test has done, or has left undone because it failed.
async fn heal(set: &ReplicaSet) {
    for member in 0..set.size() {
        if set.is_running(member) {
            set.signal(member, Signal::Continue).expect("a signal");
        } else {
            set.restart(member).await.expect("it starts again");
        }
    }
    set.wait_healthy().await.expect("a healthy set");
    for member in 0..set.size() {
        fail_command(set, member, serde_json::json!({"mode": "off"})).await;
    }
}

/// Makes commands on one member fail or wait, as the server's own failpoint does.
pub async fn fail_command(set: &ReplicaSet, member: usize, fields: serde_json::Value) {
    let admin = set.admin(member);
    let name = serde_json::json!("failCommand");
    admin.run("admin", "configureFailPoint", name, fields).await.expect("a failpoint");
}
