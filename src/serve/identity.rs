//! The identity providers that people sign in by, or their stand-in.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sightline_control_plane::clock::SystemClock;
use sightline_control_plane::federation::IdentityProvider;
use sightline_control_plane::federation::development::Development;
use sightline_control_plane::federation::oidc::Oidc;
use sightline_control_plane::random::{self, SystemRandom};
use sightline_control_plane::{ControlPlane, outbound};
use sightline_grant::Redacted;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Raw;

/// This service's id at the stand-in.
const CLIENT: &str = "sightline";

/// A stand-in that is ready to serve.
pub(super) struct StandIn {
    listener: TcpListener,
    app: Router,
    /// Where it is.
    pub(super) port: u16,
}

impl StandIn {
    /// Serves until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let serving = axum::serve(self.listener, self.app);
        let done = serving.with_graceful_shutdown(async move { stop.cancelled().await }).await;
        if let Err(error) = done {
            tracing::warn!(%error, "the development identity provider ended");
        }
    }
}

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
    let text = |error: &dyn std::fmt::Display| {
        format!("cannot start the development identity provider: {error}")
    };
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| text(&error))?;
    let port = listener.local_addr().map_err(|error| text(&error))?.port();
    let issuer = format!("http://127.0.0.1:{port}");
    let secret = Redacted::new(BASE64.encode(random::bytes::<32>(&SystemRandom)));
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let desk = Development::new(&issuer, CLIENT, secret, clock, random);
    let desk = Arc::new(desk.map_err(|error| text(&error))?);
    let http = outbound::address(&issuer).and_then(|at| outbound::client(None, &at));
    let http = http.map_err(|error| text(&error))?;
    let provider = Oidc::new(desk.registration(), http, Arc::new(SystemClock));
    control.set_identity_providers(vec![Arc::new(provider)]);
    Ok(Some(StandIn { listener, app: desk.router(), port }))
}
