//! The carrier whose lines sign in with one click, or its stand-in.

use std::sync::Arc;

use sightline_control_plane::carrier::camara::{Account, Camara, Flow};
use sightline_control_plane::carrier::development::{API, AUTHORIZE, Development, TOKEN};
use sightline_control_plane::clock::SystemClock;
use sightline_control_plane::random::SystemRandom;
use sightline_control_plane::{ControlPlane, outbound};

use super::stand_in::{CLIENT, Place, StandIn, secret};
use crate::config::Raw;
use crate::config::carrier::Kind;

/// Joins the configured carrier to the control plane. A development server that only this machine
/// reaches gets a stand-in.
pub(super) async fn join(
    raw: &Raw,
    control: &ControlPlane,
    lan: bool,
) -> Result<Option<StandIn>, String> {
    if let Some(line) = raw.carrier.line()? {
        control.set_carrier(line);
        return Ok(None);
    }
    if raw.carrier.kind == Kind::None || lan || !raw.sms.is_development() {
        return Ok(None);
    }
    let place = Place::take("carrier").await?;
    let at = outbound::address(&format!("{}/", place.origin()));
    let at = at.map_err(|error| place.text(&error))?;
    let secret = secret();
    let desk =
        Development::new(CLIENT, secret.clone(), Arc::new(SystemClock), Arc::new(SystemRandom));
    let join = |path| at.join(path).map_err(|error| place.text(&error));
    let account = Account {
        name: "DEVELOPMENT CARRIER".into(),
        client_id: CLIENT.into(),
        secret,
        flow: Flow::Code,
        authorize: Some(join(AUTHORIZE)?),
        token: join(TOKEN)?,
        api: join(API)?,
        development: true,
    };
    let http = outbound::client(None, &at).map_err(|error| place.text(&error))?;
    control.set_carrier(Arc::new(Camara::new(account, http)));
    Ok(Some(place.serves(Arc::new(desk).router())))
}
