//! Clear media of a camera that this viewer has watched sealed: only on its owner's signed order,
//! since anybody could send it, and a server could have switched sealing off by itself.

use std::path::Path;

use sightline_client::DeviceSecret;
use sightline_client::keys::{Binding, OwnersWord};
use sightline_relay_proto::ids::DeviceId;

use super::opening::Asker;
use super::pinned::Pinned;

/// Whether the camera's clear media may be watched; `secret` is asked for if that depends on it.
///
/// # Errors
/// What a viewer is told who was promised a sealed camera and is offered an open one.
pub(super) async fn check(
    asker: &Asker<'_>,
    secret: impl FnOnce() -> Result<DeviceSecret, String>,
    folder: &Path,
) -> Result<(), String> {
    let serial = DeviceId::new(asker.serial).map_err(|error| error.to_string())?;
    let file = Pinned::file(folder, &serial);
    let Some(pinned) = Pinned::read(&file)? else { return Ok(()) };
    let epoch = asker.device().await?.binding_epoch;
    // A binding that only the server tells of has no order but one that the secret at hand signed.
    let word = if epoch == pinned.binding_epoch { pinned.word() } else { OwnersWord::default() };
    let order = match asker.api.enc_mode(asker.access, asker.serial).await {
        Ok(held) => held.order,
        Err(error) if matches!(error.problem(), Some("device-open" | "device-not-bound")) => None,
        Err(error) => return Err(error.to_string()),
    };
    let binding = Binding { serial, epoch };
    let word = heard(word, order.as_deref(), &binding, secret)
        .map_err(|why| format!("{why}; remove {} if it is another camera now", file.display()))?;
    pinned.heard(epoch, word).store(&file)?;
    eprintln!(
        "the camera's owner has switched sealing off (order {}): this server can see its video",
        word.sequence
    );
    Ok(())
}

/// What is known after the server's answer, if that is the owner's order to be open.
fn heard(
    word: OwnersWord,
    order: Option<&[u8]>,
    binding: &Binding,
    secret: impl FnOnce() -> Result<DeviceSecret, String>,
) -> Result<OwnersWord, String> {
    let refuse = |why: &str| {
        format!(
            "this camera was sealed when it was watched here before, and the server offers clear \
             media of it: {why}. Nothing is watched; ask the camera's owner"
        )
    };
    let Some(order) = order else {
        return Err(refuse("it shows no order of the owner that switches sealing off"));
    };
    let auth = secret()?.auth_key().map_err(|error| error.to_string())?;
    let word = word.after(order, binding, &auth.verifier());
    let word = word.map_err(|error| refuse(&error.to_string()))?;
    if word.open { Ok(word) } else { Err(refuse("the owner's newest order says sealed")) }
}

#[cfg(test)]
mod tests {
    use sightline_client::keys::SealingOrder;

    use super::*;

    #[test]
    fn clear_media_of_a_camera_that_was_sealed_needs_its_owners_newest_order() {
        let owner = DeviceSecret::from_bytes([1; 20]);
        let binding = Binding { serial: DeviceId::new("CAM-1").unwrap(), epoch: 3 };
        let signed = |secret: &DeviceSecret, sequence: u64, sealed: bool| {
            let order = SealingOrder { binding: binding.clone(), sequence, sealed };
            Some(order.sign(&secret.auth_key().unwrap()))
        };
        let known = OwnersWord { sequence: 4, open: false };
        let judge = |order: Option<Vec<u8>>| {
            let secret = || Ok(DeviceSecret::from_bytes([1; 20]));
            heard(known, order.as_deref(), &binding, secret)
        };
        let server = DeviceSecret::from_bytes([2; 20]);
        for (order, why) in [
            (None, "no order"),
            (Some(vec![1, 2, 3]), "malformed"),
            (signed(&server, 9, false), "not signed"),
            (signed(&owner, 4, false), "not newer"),
            (signed(&owner, 3, false), "not newer"),
            (signed(&owner, 9, true), "says sealed"),
        ] {
            let refused = judge(order).unwrap_err();
            assert!(refused.contains(why), "{why}: {refused}");
        }
        let locked = heard(known, Some(&[]), &binding, || Err("no secret".into()));
        assert_eq!(locked, Err("no secret".into()));
        let open = OwnersWord { sequence: 5, open: true };
        assert_eq!(judge(signed(&owner, 5, false)), Ok(open));
    }
}
