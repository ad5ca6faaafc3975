//! The guest's side of an introduction (`relay/client/KEYS.md`, *Adding a guest*).

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sightline_client::api::{Api, HeldIntroduction};
use sightline_client::keys::{GuestOffer, OwnerReply, TerminalPublic};
use sightline_grant::Redacted;

use super::gate::ask;
use super::opening::Asker;
use super::pinned::trust;

/// Stands for the identity of a camera that cannot seal.
pub(crate) const NO_IDENTITY: [u8; 32] = [0; 32];
/// Time between two looks at what the other side said.
const PAUSE: Duration = Duration::from_millis(500);

/// Gets to know the owner of a camera, and trusts the owner's camera if both read the same digits.
pub(super) async fn run(
    asker: &Asker<'_>,
    terminal: &TerminalPublic,
    folder: &Path,
) -> Result<(), String> {
    let Asker { api, access, serial, .. } = *asker;
    let offer = GuestOffer::new(*terminal).map_err(|error| error.to_string())?;
    let opened = api.open_introduction(access, &offer.commitment().0).await;
    let opened = opened.map_err(|error| error.to_string())?;
    eprintln!("Tell the owner of {serial} this code, within ten minutes: {}", opened.code);
    let reply = heard(api, access, &opened.code, |held| held.reply.clone()).await?;
    let reply = OwnerReply::parse(&reply).map_err(|error| error.to_string())?;
    if reply.binding.serial.as_str() != serial {
        let _ = api.end_introduction(access, &opened.code).await;
        return Err(format!("the owner speaks of {}, not of {serial}", reply.binding.serial));
    }
    let (reveal, confirmation) = offer.answer(&reply);
    let revealed = api.reveal_introduction(access, &opened.code, &reveal.to_bytes()).await;
    revealed.map_err(|error| error.to_string())?;
    eprintln!("Read these eight digits to the owner: {}", confirmation.code);
    if !agrees("Does the owner read the same eight digits?")? {
        let _ = api.end_introduction(access, &opened.code).await;
        return Err("the digits differ: somebody sits between; nothing was kept".into());
    }
    // A camera that cannot seal has no identity to trust.
    if reply.camera != NO_IDENTITY {
        trust(folder, &reply.binding, &reply.camera)?;
    }
    let added = heard(api, access, &opened.code, |held| held.added).await?;
    let _ = api.end_introduction(access, &opened.code).await;
    if !added {
        return Err("the owner has not let this terminal in".into());
    }
    eprintln!("The owner has let this terminal in.");
    Ok(())
}

/// Waits for what the other side says.
pub(crate) async fn heard<T>(
    api: &Api,
    access: &Redacted<String>,
    code: &str,
    what: impl Fn(&HeldIntroduction) -> Option<T>,
) -> Result<T, String> {
    loop {
        let held = api.introduction(access, code).await.map_err(|error| error.to_string())?;
        if let Some(said) = what(&held) {
            return Ok(said);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if held.added.is_some() || now >= held.expires_at {
            return Err("the introduction is over; start another one".into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A question with yes or no.
pub(crate) fn agrees(question: &str) -> Result<bool, String> {
    Ok(matches!(ask(&format!("{question} (yes/no)"))?.as_str(), "yes" | "y"))
}
