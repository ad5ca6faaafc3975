//! `POST /v1/device/poll`, `PUT /v1/device/key-verifier`: asked by a device with its identity key.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::Proven;
use crate::ControlPlane;
use crate::storage::model::DeviceEpochs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Poll {
    binding_epoch: u64,
    key_epoch: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verifier {
    binding_epoch: u64,
    verifier: String,
}

/// Waits for news.
pub(super) async fn poll(
    State(control_plane): State<ControlPlane>,
    Proven(identity): Proven,
    Body(body): Body<Poll>,
) -> Result<Json<Value>, Problem> {
    let known = DeviceEpochs { binding: body.binding_epoch, key: body.key_epoch };
    let standing = control_plane.poll_device(identity, known).await?;
    Ok(Json(json!({
        "bound": standing.bound,
        "binding_epoch": standing.epochs.binding,
        "key_epoch": standing.epochs.key,
        "key_wanted": standing.key_wanted,
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
