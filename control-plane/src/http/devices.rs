//! `GET /v1/devices`

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;
use sightline_operation::{Rule, Table};
use utoipa::ToSchema;

use super::page::Page;
use super::problem::Problem;
use super::proof::LoggedIn;
use super::shares::GuestsShareJson;
use crate::ControlPlane;
use crate::ids::Serial;
use crate::inventory::AccessMode;
use crate::names::{DeviceDetail, Sharing, ValueAdded};
use crate::storage::model::DeviceState;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Devices of the account, and those that are shared with it");
    table.get("/v1/devices", Rule::Login, about, list);
}

#[derive(Serialize, ToSchema)]
pub(super) struct DeviceJson {
    /// Whether its media is sealed now.
    sealed: bool,
    /// Whether it can seal at all.
    can_seal: bool,
    /// Unix seconds since which its owner lets this server see it.
    opened_at: Option<u64>,
    mode_label: &'static str,
    /// Ed25519 public key of the camera, base64url; viewers pin it.
    identity: Option<String>,
    /// Whether the device key can be proven.
    key_ready: bool,
    serial: Serial,
    name: String,
    model: String,
    /// `owner` or `guest`.
    role: &'static str,
    /// For a guest: what is shared.
    share: Option<GuestsShareJson>,
    binding_epoch: u64,
    key_epoch: u64,
    channels: u16,
    /// How it reaches the network, as it told.
    network_access_mode: Option<AccessMode>,
    /// Value-added services that it uses.
    value_added: Vec<ValueAdded>,
    sharing: Sharing,
}

impl From<DeviceDetail> for DeviceJson {
    fn from(detail: DeviceDetail) -> Self {
        let network_access_mode = detail.access_mode();
        let DeviceDetail { state, value_added, sharing, .. } = detail;
        Self { network_access_mode, value_added, sharing, ..Self::from(state) }
    }
}

impl From<DeviceState> for DeviceJson {
    /// What a guest may know, too.
    fn from(state: DeviceState) -> Self {
        let mode_label = if state.sealed() {
            "sealed: only you and whom you let in can see its video"
        } else if state.can_seal() {
            "open, as its owner ordered: this server could see its video"
        } else {
            "open: this server could see its video"
        };
        Self {
            sealed: state.sealed(),
            can_seal: state.can_seal(),
            opened_at: state.opened_by().map(|order| order.stored_at),
            mode_label,
            identity: state.identity_key.map(|key| B64.encode(key)),
            key_ready: state.verifier.is_some(),
            serial: state.device.serial,
            name: state.device.name,
            model: state.device.model,
            role: "owner",
            share: None,
            binding_epoch: state.epochs.binding,
            key_epoch: state.epochs.key,
            channels: state.device.channels,
            network_access_mode: None,
            value_added: Vec::new(),
            sharing: Sharing::default(),
        }
    }
}

/// Devices of the account, then those that are shared with it.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Page<DeviceJson>>, Problem> {
    let own = control_plane.device_details(&session).await?.into_iter().map(DeviceJson::from);
    let shared = control_plane.shares_as_guest(&session).await?;
    let as_guest = shared.into_iter().map(|shared| DeviceJson {
        role: "guest",
        ..DeviceJson { share: Some(shared.clone().into()), ..DeviceJson::from(shared.device) }
    });
    Ok(Json(own.chain(as_guest).collect()))
}
