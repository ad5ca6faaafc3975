//! A device that stands differently: what runs of it in a mode that it has no more ends, and its
//! camera is told over its publishing connection, so that it need not keep a question open.

use std::time::{Duration, Instant};

use sightline_control_plane::ControlPlane;
use sightline_control_plane::error::Inner;
use sightline_relay::RelayHandle;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::DeviceId;
use tokio::sync::broadcast::error::RecvError;

/// Pause before a database that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Pause before a busy relay is told again.
const TELL_AGAIN: Duration = Duration::from_millis(10);
/// All cameras are told at most once in this time, since all of them ask then.
const TELL_ALL_PAUSE: Duration = Duration::from_secs(25);

/// Carries over what acts of this process change of devices.
pub(super) async fn follow(control: &ControlPlane, relay: &RelayHandle) {
    let mut changes = control.device_changes();
    loop {
        let changed = match changes.recv().await {
            Ok(serial) => Some(serial),
            // Whose change was missed is unknown.
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => return,
        };
        let modes = loop {
            match modes(control, changed.as_deref()).await {
                Ok(modes) => break modes,
                Err(error) => tracing::warn!(%error, "modes of devices cannot be read"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        };
        for (device, mode) in modes {
            end_other(relay, &device, mode).await;
            while !relay.tell_publishers(Some(&device)) {
                tokio::time::sleep(TELL_AGAIN).await;
            }
        }
    }
}

/// Tells every camera that its device may stand differently, for acts of other processes: once for
/// all acts of [`TELL_ALL_PAUSE`].
#[derive(Default)]
pub(super) struct TellAll {
    waits: bool,
    told: Option<Instant>,
}

impl TellAll {
    /// Something happened.
    pub(super) fn note(&mut self) {
        self.waits = true;
    }

    /// Tells them if that waits and is due, as far as the relay has room for the wish.
    pub(super) fn run(&mut self, now: Instant, relay: &RelayHandle) {
        if self.is_due(now) && relay.tell_publishers(None) {
            (self.waits, self.told) = (false, Some(now));
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.waits && self.told.is_none_or(|told| now >= told + TELL_ALL_PAUSE)
    }
}

/// Ends what runs of a device in the other mode, as soon as the relay has room for the wish.
pub(super) async fn end_other(relay: &RelayHandle, device: &DeviceId, mode: Mode) {
    while !relay.end_other_mode(device, mode) {
        tokio::time::sleep(TELL_AGAIN).await;
    }
}

/// The mode of one device, or of all.
async fn modes(
    control: &ControlPlane,
    serial: Option<&str>,
) -> Result<Vec<(DeviceId, Mode)>, Inner> {
    let found: Vec<_> = match serial {
        Some(serial) => {
            let sealed = control.is_sealed(serial).await?;
            sealed.map(|sealed| (serial.to_owned(), sealed)).into_iter().collect()
        }
        None => {
            let all = control.publishing_terms().await?;
            all.into_iter().map(|(serial, terms)| (serial, terms.sealed)).collect()
        }
    };
    let named =
        |(serial, sealed): (String, bool)| Some((DeviceId::new(&serial).ok()?, sealed.into()));
    Ok(found.into_iter().filter_map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cameras_are_told_once_for_many_acts_of_others_and_of_the_last_one_for_certain() {
        let start = Instant::now();
        let mut all = TellAll::default();
        assert!(!all.is_due(start), "nothing happened");
        all.note();
        assert!(all.is_due(start));
        (all.waits, all.told) = (false, Some(start));
        all.note();
        assert!(!all.is_due(start + TELL_ALL_PAUSE - Duration::from_millis(1)));
        assert!(all.is_due(start + TELL_ALL_PAUSE));
    }
}
