//! The feed of revocations from the control plane to the relay.
//!
//! Acts of this process are announced and carried over at once. Acts of another process on the same
//! database, such as `sightline admin`, are announced to nobody here: they are noticed by its
//! commits, and then every lease is asked about and every publisher's terms are compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sightline_control_plane::ControlPlane;
use sightline_control_plane::error::Inner;
use sightline_control_plane::publisher::PublishingTerms;
use sightline_control_plane::storage::model::CommitMark;
use sightline_relay::RelayHandle;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::DeviceId;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::changes::{self, TellAll};

/// Beat of the feed: how often other processes' commits are looked for.
const BEAT: Duration = Duration::from_millis(500);
/// Time that the database has for one look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause before a busy relay is told again.
const RETRY: Duration = Duration::from_millis(10);

/// Carries revocations until `stop`, and beats while it can read them.
pub(super) async fn run(control: ControlPlane, relay: RelayHandle, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = forward(&control, &relay) => {}
        () = changes::follow(&control, &relay) => {}
        () = watch(&control, &relay) => {}
    }
}

/// Hands on what this process revokes.
async fn forward(control: &ControlPlane, relay: &RelayHandle) {
    let mut revocations = control.revocations();
    loop {
        match revocations.recv().await {
            Ok(revocation) => relay.revoke(revocation),
            // What was missed is unknown, so every lease is asked about.
            Err(RecvError::Lagged(_)) => relay.renew_all(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Looks for what others have committed. While the database does not answer the feed does not
/// beat, and the relay draws its conclusions.
async fn watch(control: &ControlPlane, relay: &RelayHandle) {
    let mut others = Others::default();
    let mut cameras = TellAll::default();
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let look = async {
            // Terminals leave viewer lists by the clock, too; nobody announces that.
            control.end_expired_proofs().await?;
            others.look(control).await
        };
        let acts = match tokio::time::timeout(LOOK_TIMEOUT, look).await {
            Ok(Ok(acts)) => acts,
            Ok(Err(error)) => {
                tracing::warn!(%error, "revocations cannot be read");
                continue;
            }
            Err(_) => {
                tracing::warn!("revocations cannot be read: the database does not answer");
                continue;
            }
        };
        if let Some(ended) = acts {
            relay.renew_all();
            cameras.note();
            for ended in ended {
                match ended {
                    Ended::Credential(device) => {
                        while !relay.end_publishers(&device) {
                            tokio::time::sleep(RETRY).await;
                        }
                    }
                    Ended::OtherMode(device, mode) => {
                        changes::end_other(relay, &device, mode).await;
                    }
                }
            }
        }
        cameras.run(Instant::now(), relay);
        relay.feed_beat();
    }
}

/// What others' acts end.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Whatever a device publishes: its credential was taken back.
    Credential(DeviceId),
    /// What it publishes in another mode than this.
    OtherMode(DeviceId, Mode),
}

/// What is known of others' acts. This process itself adds no device once the feed runs; modes that
/// it has changed itself are found here later, when they end nothing any more.
#[derive(Default)]
struct Others {
    commits: Option<CommitMark>,
    terms: BTreeMap<String, PublishingTerms>,
}

impl Others {
    /// Whether others have acted since the last look; then what ends by it.
    async fn look(&mut self, control: &ControlPlane) -> Result<Option<Vec<Ended>>, Inner> {
        let commits = control.outside_commits().await?;
        if self.commits == Some(commits) {
            return Ok(None);
        }
        let terms = control.publishing_terms().await?;
        let before = std::mem::replace(&mut self.terms, terms);
        self.commits = Some(commits);
        let ended = |(serial, before): (String, PublishingTerms)| {
            let device = DeviceId::new(&serial).ok()?;
            match self.terms.get(&serial) {
                Some(now) if now.credential != before.credential => Some(Ended::Credential(device)),
                Some(now) if now.sealed != before.sealed => {
                    Some(Ended::OtherMode(device, now.sealed.into()))
                }
                Some(_) => None,
                None => Some(Ended::Credential(device)),
            }
        };
        Ok(Some(before.into_iter().filter_map(ended).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sightline_control_plane::admin::NewDevice;

    use super::*;
    use crate::config::Raw;
    use crate::data_dir::make_private_dir;
    use crate::serve::facts::open_control_plane;

    fn device(serial: &str) -> NewDevice {
        NewDevice {
            serial: serial.into(),
            name: "Camera".into(),
            model: String::new(),
            identity: None,
            seals: false,
            channels: 1,
        }
    }

    /// A server on a data folder of its own, and its operator's command line.
    async fn pair(folder: &Path) -> (ControlPlane, ControlPlane) {
        make_private_dir(&folder.join("keys")).unwrap();
        let open = async || open_control_plane(folder, &Raw::default()).await.unwrap();
        (open().await, open().await)
    }

    #[tokio::test]
    async fn acts_of_another_process_are_noticed_and_our_own_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (server, admin) = pair(folder.path()).await;
        server.add_device(&device("CAM-1")).await.unwrap();
        let mut others = Others::default();
        let camera = DeviceId::new("CAM-1").unwrap();
        assert_eq!(others.look(&server).await.unwrap(), Some(vec![]), "nothing is known at first");
        server.rotate_publish_password("CAM-2").await.unwrap_err();
        assert_eq!(others.look(&server).await.unwrap(), None);
        admin.add_device(&device("CAM-2")).await.unwrap();
        assert_eq!(others.look(&server).await.unwrap(), Some(vec![]), "a device more ends nothing");
        admin.rotate_publish_password("CAM-1").await.unwrap();
        let ended = Some(vec![Ended::Credential(camera)]);
        assert_eq!(others.look(&server).await.unwrap(), ended);
        admin.remove_device("CAM-1").await.unwrap();
        assert_eq!(others.look(&server).await.unwrap(), ended);
        assert_eq!(others.look(&server).await.unwrap(), None);
    }
}
