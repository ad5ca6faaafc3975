//! A device that is sealed now, or open now: what runs of it in the other mode ends.

use std::time::Duration;

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

/// Ends what runs in the former mode, whenever a device stands differently by an act of this process.
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
        }
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
