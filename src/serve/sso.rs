//! The server as the provider of logins for apps.

use sightline_control_plane::ControlPlane;
use sightline_control_plane::outbound::Egress;
use sightline_control_plane::sso::Provider;

use super::DoorAddresses;
use crate::config::Raw;

/// Port that https addresses leave out.
const HTTPS_PORT: u16 = 443;

/// Tells the control plane where it is, once the doors are open.
pub(super) fn join(raw: &Raw, control: &ControlPlane, at: DoorAddresses) -> Result<(), String> {
    let issuer = match (raw.sso.issuer.as_str(), at.https.port()) {
        ("", HTTPS_PORT) => format!("https://{}", raw.server.name),
        ("", port) => format!("https://{}:{port}", raw.server.name),
        (issuer, _) => issuer.to_owned(),
    };
    // On a development server apps are on the same machine.
    let egress = Egress::new(raw.sms.is_development());
    let egress = egress.map_err(|error| format!("apps could not be told of logouts: {error}"))?;
    control.set_provider(Provider { issuer, egress });
    Ok(())
}
