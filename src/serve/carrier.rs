//! The carrier whose lines sign in with one click, or its stand-in.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sightline_control_plane::carrier::camara::{Account, Camara, Flow};
use sightline_control_plane::carrier::development::{API, AUTHORIZE, Development, TOKEN};
use sightline_control_plane::clock::SystemClock;
use sightline_control_plane::random::{self, SystemRandom};
use sightline_control_plane::{ControlPlane, outbound};
use sightline_grant::Redacted;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Raw;
use crate::config::carrier::Kind;

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
            tracing::warn!(%error, "the development carrier ended");
        }
    }
}

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
    let text =
        |error: &dyn std::fmt::Display| format!("cannot start the development carrier: {error}");
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| text(&error))?;
    let port = listener.local_addr().map_err(|error| text(&error))?.port();
    let at =
        outbound::address(&format!("http://127.0.0.1:{port}/")).map_err(|error| text(&error))?;
    let secret = Redacted::new(BASE64.encode(random::bytes::<32>(&SystemRandom)));
    let desk =
        Development::new(CLIENT, secret.clone(), Arc::new(SystemClock), Arc::new(SystemRandom));
    let join = |path| at.join(path).map_err(|error| text(&error));
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
    let http = outbound::client(None, &at).map_err(|error| text(&error))?;
    control.set_carrier(Arc::new(Camara::new(account, http)));
    Ok(Some(StandIn { listener, app: Arc::new(desk).router(), port }))
}
