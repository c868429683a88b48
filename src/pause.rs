//! A pause by hand: while a file exists, nothing is consumed and no job is run. What is under way is
//! finished; how old an event is, is judged when it goes on.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use crate::{
    health::{self, Health},
    telemetry::events::PauseChanged,
};

/// How often the file is looked for.
const LOOK: Duration = Duration::from_millis(250);

/// Whether the file exists, looked at again and again until the watch is dropped. Without a file
/// there is no pause.
pub async fn watch_file(file: Option<PathBuf>, health: Arc<Health>) -> watch::Receiver<bool> {
    let Some(file) = file else { return watch::Sender::new(false).subscribe() };
    let (told, paused) = watch::channel(false);
    look(&file, &told, &health).await;
    tokio::spawn(async move {
        while !told.is_closed() {
            sleep(LOOK).await;
            look(&file, &told, &health).await;
        }
    });
    paused
}

/// A folder that cannot be read hides whether there is a file: then it goes on as it was.
async fn look(file: &Path, told: &watch::Sender<bool>, health: &Health) {
    let Ok(exists) = tokio::fs::try_exists(file).await else { return };
    let changed = told.send_if_modified(|paused| std::mem::replace(paused, exists) != exists);
    if changed {
        PauseChanged { paused: exists, file }.emit();
        health.look();
    }
    let fault = exists.then(|| format!("{} exists: nothing is consumed and no job is run", file.display()));
    health.report(health::PAUSED, fault);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_pauses_and_its_removal_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pause");
        std::fs::write(&file, "").unwrap();
        let health = Arc::new(Health::default());
        let mut paused = watch_file(Some(file.clone()), health.clone()).await;
        assert!(*paused.borrow());
        assert!(!health.look().ready);
        std::fs::remove_file(&file).unwrap();
        let over = paused.wait_for(|paused| !*paused);
        tokio::time::timeout(Duration::from_secs(20), over).await.unwrap().unwrap();
        assert!(health.look().ready);
    }

    #[tokio::test]
    async fn without_a_file_nothing_pauses() {
        assert!(!*watch_file(None, Arc::default()).await.borrow());
    }
}
