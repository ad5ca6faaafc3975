//! The control plane over HTTP: one endpoint per file, problems after RFC 9457, nothing cacheable.

mod bindings;
mod body;
mod consents;
mod credential_problems;
mod device;
mod devices;
mod enc_modes;
mod generations;
mod introductions;
mod keys;
mod me;
mod messages;
mod otp;
pub mod problem;
pub mod proof;
mod sessions;
mod step_ups;
mod viewer_lists;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::routing::{delete, get, post, put};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::ControlPlane;
use crate::limits::{BLOB_BODY_BYTES, BODY_BYTES};

/// Serves the control plane. The client's address is taken from `ConnectInfo<SocketAddr>`, so serve
/// it with `into_make_service_with_connect_info` or put that extension in.
pub fn router(control_plane: ControlPlane) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    Router::new()
        .route("/v1/otp", post(otp::request))
        .route("/v1/sessions", post(sessions::create))
        .route("/v1/sessions/refresh", post(sessions::refresh))
        .route("/v1/sessions/current", delete(sessions::end))
        .route("/v1/me", get(me::show))
        .route("/v1/me/terminals", get(me::terminals))
        .route("/v1/me/terminals/{id}", delete(me::sign_out_terminal))
        .route("/v1/purposes", get(consents::purposes))
        .route("/v1/consents", get(consents::list).post(consents::grant))
        .route("/v1/consents/{purpose}", delete(consents::withdraw))
        .route("/v1/bindings", post(bindings::bind))
        .route("/v1/bindings/{serial}", delete(bindings::unbind))
        .route("/v1/devices", get(devices::list))
        .route("/v1/devices/{serial}/key-challenge", post(keys::challenge))
        .route("/v1/devices/{serial}/key-proof", post(keys::prove))
        .route("/v1/devices/{serial}/viewer-list", get(viewer_lists::show).put(viewer_lists::store))
        .route("/v1/devices/{serial}/generations", post(generations::list))
        .route("/v1/devices/{serial}/wraps", post(generations::add_wrap))
        .route("/v1/devices/{serial}/enc-mode", get(enc_modes::show).put(enc_modes::order))
        .route("/v1/introductions", post(introductions::open))
        .route("/v1/introductions/{code}", get(introductions::show).delete(introductions::end))
        .route("/v1/introductions/{code}/reply", post(introductions::reply))
        .route("/v1/introductions/{code}/reveal", post(introductions::reveal))
        .route("/v1/introductions/{code}/outcome", post(introductions::outcome))
        .route("/v1/step-ups", post(step_ups::open))
        .route("/v1/messages", get(messages::list))
        .route("/v1/device/poll", post(device::poll))
        .route("/v1/device/key-verifier", put(device::store_verifier))
        .route("/v1/device/viewer-list", get(device::viewer_list))
        .route(
            "/v1/device/generations",
            put(device::store_generation).layer(DefaultBodyLimit::max(BLOB_BODY_BYTES)),
        )
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, no_store))
        .with_state(control_plane)
}

#[cfg(test)]
mod tests;
