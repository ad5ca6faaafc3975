//! The identity providers that people sign in by, or their stand-in.

use std::sync::Arc;

use sightline_control_plane::clock::SystemClock;
use sightline_control_plane::federation::IdentityProvider;
use sightline_control_plane::federation::development::Development;
use sightline_control_plane::federation::oidc::Oidc;
use sightline_control_plane::random::SystemRandom;
use sightline_control_plane::{ControlPlane, outbound};

use super::stand_in::{CLIENT, Place, StandIn, secret};
use crate::config::Raw;

/// Joins the configured providers to the control plane. A development server that only this machine
/// reaches gets a stand-in, if none is configured.
pub(super) async fn join(
    raw: &Raw,
    control: &ControlPlane,
    lan: bool,
) -> Result<Option<StandIn>, String> {
    let providers = raw.identity_providers.iter().map(|provider| provider.open());
    let providers: Vec<Arc<dyn IdentityProvider>> = providers.collect::<Result<_, _>>()?;
    let development = providers.is_empty() && raw.federation.development;
    if !development || lan || !raw.sms.is_development() {
        control.set_identity_providers(providers);
        return Ok(None);
    }
    let place = Place::take("identity provider").await?;
    let issuer = place.origin();
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let desk = Development::new(&issuer, CLIENT, secret(), clock, random);
    let desk = Arc::new(desk.map_err(|error| place.text(&error))?);
    let http = outbound::address(&issuer).and_then(|at| outbound::client(None, &at));
    let http = http.map_err(|error| place.text(&error))?;
    let provider = Oidc::new(desk.registration(), http, Arc::new(SystemClock));
    control.set_identity_providers(vec![Arc::new(provider)]);
    Ok(Some(place.serves(desk.router())))
}
