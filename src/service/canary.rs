//! Sends the canary on its way, now and then.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::{canary, config::Canary, edge::kafka_send::Sender, ingest::Header, report::Encoded};

/// How long a broker may take; what is not taken by then is as good as dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends one each time until it is dropped. `paused`: not now.
pub(super) async fn sing(sender: Sender, canary: Canary, paused: watch::Receiver<bool>) {
    let sender = Arc::new(sender);
    let mut ticks = interval(canary.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_lost = false;
    loop {
        ticks.tick().await;
        if *paused.borrow() {
            continue;
        }
        let (sender, topic) = (sender.clone(), canary.topic.clone());
        let send = move || sender.send(&[(topic, event())], PATIENCE).pop();
        let lost = match tokio::task::spawn_blocking(send).await {
            Ok(Some(Err(reason))) => Some(reason),
            Ok(Some(Ok(_)) | None) => None,
            Err(crashed) => Some(crashed.to_string()),
        };
        match &lost {
            Some(reason) if !was_lost => {
                tracing::warn!(topic = %canary.topic, reason, "the canary was not taken")
            }
            None if was_lost => tracing::info!(topic = %canary.topic, "the canary is taken again"),
            Some(_) | None => {}
        }
        was_lost = lost.is_some();
    }
}

fn event() -> Encoded {
    let id = Uuid::now_v7().to_string();
    let event = json!({
        "specversion": "1.0", "id": id, "source": canary::SOURCE, "type": canary::TYPE, "time": jiff::Timestamp::now(),
    });
    Encoded {
        key: Some(id.into_bytes()),
        value: Some(event.to_string().into_bytes()),
        headers: vec![Header {
            name: "content-type".to_owned(),
            value: Some(b"application/cloudevents+json".to_vec()),
        }],
        partition: None,
    }
}
