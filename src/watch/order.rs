//! A sealing order from the command line: an owner switches a camera's sealing off or on. It is signed
//! here with the device secret; the camera obeys that signature, and not the server.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sightline_client::DeviceSecret;
use sightline_client::api::EncMode;
use sightline_client::keys::{Binding, OwnersWord, SealingOrder};
use sightline_relay_proto::ids::DeviceId;

use super::opening::Asker;
use super::pinned::Pinned;

/// Signs an order and hands it in; the gate must have been passed.
///
/// # Errors
/// The server does not take it; the text says why.
pub(super) async fn give(
    asker: &Asker<'_>,
    secret: &DeviceSecret,
    folder: &Path,
    sealed: bool,
) -> Result<(), String> {
    let held = asker.api.enc_mode(asker.access, asker.serial).await;
    let held = held.map_err(|error| error.to_string())?;
    let serial = DeviceId::new(asker.serial).map_err(|error| error.to_string())?;
    let file = Pinned::file(folder, &serial);
    let pinned = Pinned::read(&file)?;
    let pinned = pinned.filter(|pinned| pinned.binding_epoch == held.binding_epoch);
    let known = pinned.as_ref().map_or(OwnersWord::default(), Pinned::word);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let sequence = known.next_sequence(held.sequence, now);
    let binding = Binding { serial, epoch: held.binding_epoch };
    let auth = secret.auth_key().map_err(|error| error.to_string())?;
    let order = SealingOrder { binding, sequence, sealed }.sign(&auth);
    let mode = if sealed { EncMode::Sealed } else { EncMode::Open };
    let taken = asker.api.put_enc_mode(asker.access, asker.serial, mode, &order).await;
    taken.map_err(|error| error.to_string())?;
    if let Some(pinned) = pinned {
        let word = OwnersWord { sequence, open: !sealed };
        pinned.heard(held.binding_epoch, word).store(&file)?;
    }
    let said = if sealed {
        "the camera is ordered to seal: only its owner and whom he lets in can see its video"
    } else {
        "the camera is ordered to be open: this server can see its video from now on"
    };
    eprintln!("{said} (order {sequence})");
    Ok(())
}
