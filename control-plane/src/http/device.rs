//! `POST /v1/device/poll`, `PUT /v1/device/key-verifier`, `GET /v1/device/viewer-list`,
//! `PUT /v1/device/generations`: asked by a device with its identity key.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::ProvenDevice;
use super::viewer_lists::ListJson;
use crate::ControlPlane;
use crate::device::{DeviceError, DeviceKnown, EncMode};
use crate::limits::BLOB_BODY_BYTES;
use crate::mailbox::{GenerationError, ListError};
use crate::storage::model::DeviceEpochs;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Wait for news: owner, key, viewer list, mode");
    table.post("/v1/device/poll", Rule::Device, about, poll).may::<DeviceError>();
    let about = ("account", "Store the verifier of the owner's device key");
    table.put("/v1/device/key-verifier", Rule::Device, about, store_verifier).may::<DeviceError>();
    let about = ("account", "The viewer list of the present binding");
    table.get("/v1/device/viewer-list", Rule::Device, about, viewer_list).may::<ListError>();
    let about = ("account", "Store a generation: keys wrapped for the viewers");
    table
        .put("/v1/device/generations", Rule::Device, about, store_generation)
        .may::<GenerationError>()
        .routed(|route| route.layer(DefaultBodyLimit::max(BLOB_BODY_BYTES)));
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DevicePoll {
    binding_epoch: u64,
    key_epoch: u64,
    #[serde(default)]
    list_version: u64,
    enc_sequence: Option<u64>,
    /// The device tells what it is made of, when that is wanted.
    #[serde(default)]
    tells_inventory: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Standing {
    bound: bool,
    binding_epoch: u64,
    key_epoch: u64,
    /// Whether the device is to store its key verifier.
    key_wanted: bool,
    list_version: u64,
    enc_mode: EncMode,
    enc_sequence: u64,
    /// The owner's signed order, base64url.
    enc_order: Option<String>,
    /// Whether the device is to tell what it is made of.
    inventory_wanted: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVerifier {
    binding_epoch: u64,
    /// Ed25519 public key, base64url.
    verifier: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct VerifierStored {
    key_epoch: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGeneration {
    /// Signed header and wraps, base64url.
    blob: String,
}

/// Waits for news.
pub(super) async fn poll(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
    Body(body): Body<DevicePoll>,
) -> Result<Json<Standing>, Problem> {
    let epochs = DeviceEpochs { binding: body.binding_epoch, key: body.key_epoch };
    let (list_version, enc_sequence) = (body.list_version, body.enc_sequence);
    let tells_inventory = body.tells_inventory;
    let known = DeviceKnown { epochs, list_version, enc_sequence, tells_inventory };
    let standing = control_plane.poll_device(identity.thumbprint(), known).await?;
    Ok(Json(Standing {
        bound: standing.bound,
        binding_epoch: standing.epochs.binding,
        key_epoch: standing.epochs.key,
        key_wanted: standing.key_wanted,
        list_version: standing.list_version,
        enc_mode: standing.enc_mode,
        enc_sequence: standing.enc_sequence(),
        inventory_wanted: standing.inventory_wanted,
        enc_order: standing.enc_order.map(|order| B64.encode(order.signed)),
    }))
}

/// Stores the key verifier.
pub(super) async fn store_verifier(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
    Body(body): Body<NewVerifier>,
) -> Result<Json<VerifierStored>, Problem> {
    let verifier = bytes(&body.verifier)?;
    let identity = identity.thumbprint();
    let key_epoch = control_plane.store_verifier(identity, body.binding_epoch, &verifier).await?;
    Ok(Json(VerifierStored { key_epoch }))
}

/// The viewer list of the device's present binding.
pub(super) async fn viewer_list(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
) -> Result<Json<ListJson>, Problem> {
    Ok(Json(control_plane.device_viewer_list(identity.thumbprint()).await?.into()))
}

/// Stores a generation.
pub(super) async fn store_generation(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
    Body(body): Body<NewGeneration>,
) -> Result<NoContent, Problem> {
    control_plane.store_generation(&identity, &bytes(&body.blob)?).await?;
    Ok(NoContent)
}
