//! The control plane over HTTP: one endpoint per file, problems after RFC 9457, nothing cacheable.
//!
//! An operation comes into being in its file's `operations` and nowhere else:
//!
//! 1. a handler of typed parts: extractors, [`body::Body`] of a `ToSchema` request, an answer out of
//!    `Json`, `Created`, `Accepted` (of a `ToSchema` answer) or `NoContent`, and [`problem::Problem`];
//! 2. `table.post("/v1/things", Rule::Owner, ("purpose.id", "What it does"), handler).may::<Error>()`,
//!    where `Error` lists its problems ([`sightline_operation::Refusals`], beside its `From`);
//! 3. `cargo run -- openapi > openapi.new && mv openapi.new signaling/web/openapi.json`, committed too.
//!
//! Tests of this crate fail on an answer that its operation does not declare.

mod account_problems;
mod acting;
mod alerts;
mod apps;
mod attestations;
mod basic;
mod bind_tokens;
mod bindings;
mod body;
mod carrier;
mod consents;
mod credential_problems;
mod device;
mod device_details;
mod device_facts;
mod devices;
mod enc_modes;
mod generations;
mod idempotent;
mod identifiers;
mod identities;
mod identity_providers;
mod introductions;
mod keys;
mod me;
mod messages;
mod oauth;
mod oplog;
mod otp;
pub mod page;
mod passkeys;
mod passwords;
mod picture;
mod places;
mod policies;
pub mod problem;
mod profile;
pub mod proof;
mod provisionings;
mod query;
mod refusals;
mod secure_windows;
mod sessions;
mod shares;
mod sso;
mod step_ups;
mod terminals;
mod transfers;
mod viewer_lists;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use sightline_operation::Table;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::ControlPlane;
use crate::limits::BODY_BYTES;

/// Serves the control plane. The client's address is taken from `ConnectInfo<SocketAddr>`, so serve
/// it with `into_make_service_with_connect_info` or put that extension in.
pub fn router(control_plane: ControlPlane) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    let table = idempotent::layer(operations(), &control_plane)
        .guarded(|refused| problem::Problem::from(refused).into_response());
    let table = if cfg!(test) { table.checked() } else { table };
    table
        .router()
        .layer(from_fn_with_state(control_plane.clone(), acting::scope))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, no_store))
        .with_state(control_plane)
}

/// Every operation of the control plane.
pub fn operations() -> Table<ControlPlane> {
    let mut table = Table::default();
    for operations in [
        otp::operations,
        sessions::operations,
        carrier::operations,
        identity_providers::operations,
        alerts::operations,
        me::operations,
        identifiers::operations,
        identities::operations,
        passwords::operations,
        passkeys::operations,
        secure_windows::operations,
        consents::operations,
        policies::operations,
        bindings::operations,
        devices::operations,
        keys::operations,
        viewer_lists::operations,
        generations::operations,
        enc_modes::operations,
        introductions::operations,
        shares::operations,
        step_ups::operations,
        messages::operations,
        device::operations,
        basic::operations,
        profile::operations,
        terminals::operations,
        oplog::operations,
        attestations::operations,
        apps::operations,
        sso::operations,
        oauth::operations,
        bind_tokens::operations,
        transfers::operations,
        device_details::operations,
        places::operations,
        provisionings::operations,
    ] {
        operations(&mut table);
    }
    idempotent::declare(&mut table);
    table.guard();
    table
}

#[cfg(test)]
mod tests;
