//! Accepting an invitation to somebody's camera.

use sightline_client::api::Api;
use sightline_grant::Redacted;

use super::gate::CLIENT_TYPE;
use super::introduction::agrees;

/// Purpose that a guest consents to.
const PURPOSE: &str = "device.shared";

/// Shows what is offered and asks for what it needs; `agreed`: it was agreed to on the command line.
pub(super) async fn accept(
    api: &Api,
    access: &Redacted<String>,
    code: &Redacted<String>,
    agreed: bool,
) -> Result<(), String> {
    let text = |error: sightline_client::api::ApiError| error.to_string();
    let offer = api.invitation(access, code).await.map_err(text)?;
    let purposes = api.in_force(CLIENT_TYPE).await.map_err(text)?;
    let purpose = purposes.iter().find(|purpose| purpose.id == PURPOSE);
    let purpose = purpose.ok_or("the server names no purpose of sharing")?;
    eprintln!(
        "{} ({}) is shared with you: {}",
        offer.serial,
        offer.name,
        offer.terms.scopes.join(", ")
    );
    if !agreed {
        eprintln!("{}\n{}", purpose.text_en(), offer.attestation.text.en);
        if !agrees("Do you agree to both?")? {
            return Err("without that the camera is not shared with you".into());
        }
    }
    let version = offer.attestation.version;
    api.accept_share(access, code, purpose.version, version).await.map_err(text)?;
    eprintln!("accepted");
    Ok(())
}
