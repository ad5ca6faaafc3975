//! `POST /v1/device/poll`, `PUT /v1/device/key-verifier`, `GET /v1/device/viewer-list`,
//! `PUT /v1/device/generations`: asked by a device with its identity key.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::{Proven, ProvenKey};
use super::viewer_lists::ListJson;
use crate::ControlPlane;
use crate::device::DeviceKnown;
use crate::storage::model::DeviceEpochs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Poll {
    binding_epoch: u64,
    key_epoch: u64,
    #[serde(default)]
    list_version: u64,
    enc_sequence: Option<u64>,
    #[serde(default)]
    tells_inventory: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verifier {
    binding_epoch: u64,
    verifier: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generation {
    blob: String,
}

/// Waits for news.
pub(super) async fn poll(
    State(control_plane): State<ControlPlane>,
    Proven(identity): Proven,
    Body(body): Body<Poll>,
) -> Result<Json<Value>, Problem> {
    let epochs = DeviceEpochs { binding: body.binding_epoch, key: body.key_epoch };
    let (list_version, enc_sequence) = (body.list_version, body.enc_sequence);
    let tells_inventory = body.tells_inventory;
    let known = DeviceKnown { epochs, list_version, enc_sequence, tells_inventory };
    let standing = control_plane.poll_device(identity, known).await?;
    Ok(Json(json!({
        "bound": standing.bound,
        "binding_epoch": standing.epochs.binding,
        "key_epoch": standing.epochs.key,
        "key_wanted": standing.key_wanted,
        "list_version": standing.list_version,
        "enc_mode": standing.enc_mode,
        "enc_sequence": standing.enc_sequence(),
        "inventory_wanted": standing.inventory_wanted,
        "enc_order": standing.enc_order.map(|order| B64.encode(order.signed)),
    })))
}

/// Stores the key verifier.
pub(super) async fn store_verifier(
    State(control_plane): State<ControlPlane>,
    Proven(identity): Proven,
    Body(body): Body<Verifier>,
) -> Result<Json<Value>, Problem> {
    let verifier = bytes(&body.verifier)?;
    let epoch = control_plane.store_verifier(identity, body.binding_epoch, &verifier).await?;
    Ok(Json(json!({ "key_epoch": epoch })))
}

/// The viewer list of the device's present binding.
pub(super) async fn viewer_list(
    State(control_plane): State<ControlPlane>,
    Proven(identity): Proven,
) -> Result<Json<ListJson>, Problem> {
    Ok(Json(control_plane.device_viewer_list(identity).await?.into()))
}

/// Stores a generation.
pub(super) async fn store_generation(
    State(control_plane): State<ControlPlane>,
    ProvenKey(identity): ProvenKey,
    Body(body): Body<Generation>,
) -> Result<StatusCode, Problem> {
    control_plane.store_generation(&identity, &bytes(&body.blob)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
