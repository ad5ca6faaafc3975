//! RTSP cameras that the server pulls, as `[[pull]]` of the configuration says.

use sightline_client::pull::{PullTarget, Pulled, Puller};
use sightline_client::retry::Backoff;
use sightline_client::target::TargetPolicy;
use sightline_control_plane::ControlPlane;
use sightline_grant::Redacted;
use sightline_relay::{Feed, Publisher, RelayHandle};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey};
use tokio_util::sync::CancellationToken;

use crate::config::Pull;

/// A camera to pull, checked.
pub(crate) struct PullTask {
    target: PullTarget,
    publisher: Publisher,
}

/// Checks an entry of the configuration against the devices.
pub(crate) async fn prepare(camera: &Pull, control: &ControlPlane) -> Result<PullTask, String> {
    let wrong = |reason: String| format!("the configuration key pull ({}): {reason}", camera.serial);
    let device = DeviceId::new(&camera.serial).map_err(|error| wrong(error.to_string()))?;
    let devices = control.list_devices().await.map_err(|error| error.to_string())?;
    let known = devices.iter().find(|state| state.device.serial.as_str() == camera.serial);
    let known = known.ok_or_else(|| wrong("no such device; add it with admin device add".into()))?;
    if camera.channel >= known.device.channels {
        return Err(wrong(format!("the device has {} channels", known.device.channels)));
    }
    let url = url::Url::parse(&camera.url).map_err(|error| wrong(error.to_string()))?;
    let password = match &camera.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            Redacted::new(text.trim_end().to_owned())
        }
        None => Redacted::new(String::new()),
    };
    let login = (!camera.user.is_empty()).then(|| (camera.user.clone(), password));
    let policy = TargetPolicy { loopback: camera.allow_loopback, private: true };
    let key = StreamKey::up(device, Channel(camera.channel));
    Ok(PullTask {
        target: PullTarget { url, login, policy },
        publisher: Publisher { key, sealed: false },
    })
}

impl PullTask {
    /// Pulls until `stop`, reconnecting with back-off.
    pub(crate) async fn run(self, relay: RelayHandle, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = self.once(&relay, &mut backoff) => {
                    tracing::warn!(serial = %self.publisher.key.device, reason = ended, "pull ended");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
    }

    async fn once(&self, relay: &RelayHandle, backoff: &mut Backoff) -> String {
        let mut puller = match Puller::connect(&self.target).await {
            Ok(puller) => puller,
            Err(error) => return error.to_string(),
        };
        let tracks = puller.tracks().to_vec();
        let feed = match relay.feed(self.publisher.clone(), tracks, false).await {
            Ok(feed) => feed,
            Err(error) => return error.to_string(),
        };
        backoff.reset();
        loop {
            match puller.next().await {
                Ok(items) => items.into_iter().for_each(|item| hand_in(&feed, item)),
                Err(error) => return error.to_string(),
            }
        }
    }
}

fn hand_in(feed: &Feed, item: Pulled) {
    match item {
        // A relay too busy to take a packet loses it, as a network would.
        Pulled::Rtp { track, packet } => drop(feed.rtp(track, packet)),
        Pulled::Report { track, info } => feed.sender_report(track, info),
    }
}
