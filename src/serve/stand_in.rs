//! A stand-in for a service outside, on an address of this machine that nobody else reaches.

use std::net::Ipv4Addr;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sightline_control_plane::random::{self, SystemRandom};
use sightline_grant::Redacted;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// This service's id at stand-ins.
pub(super) const CLIENT: &str = "sightline";

/// Where a stand-in is going to be.
pub(super) struct Place {
    listener: TcpListener,
    what: &'static str,
    port: u16,
}

/// A stand-in that is ready to serve.
pub(super) struct StandIn {
    place: Place,
    app: Router,
    /// Where it is.
    pub(super) port: u16,
}

impl Place {
    /// Takes a free port. `what`: the service it stands for.
    pub(super) async fn take(what: &'static str) -> Result<Self, String> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.map_err(|error| failed(what, &error))?;
        let port = listener.local_addr().map_err(|error| failed(what, &error))?.port();
        Ok(Self { listener, what, port })
    }

    /// Its address.
    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Why it cannot start, for people.
    pub(super) fn text(&self, error: &dyn std::fmt::Display) -> String {
        failed(self.what, error)
    }

    /// What stands there.
    pub(super) fn serves(self, app: Router) -> StandIn {
        StandIn { port: self.port, place: self, app }
    }
}

impl StandIn {
    /// Serves until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let serving = axum::serve(self.place.listener, self.app);
        let done = serving.with_graceful_shutdown(async move { stop.cancelled().await }).await;
        if let Err(error) = done {
            tracing::warn!(%error, what = self.place.what, "a stand-in ended");
        }
    }
}

/// A secret that lasts as long as the process.
pub(super) fn secret() -> Redacted<String> {
    Redacted::new(BASE64.encode(random::bytes::<32>(&SystemRandom)))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> String {
    format!("cannot start the development {what}: {error}")
}
