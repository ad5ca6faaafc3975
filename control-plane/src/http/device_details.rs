//! `GET|PATCH /v1/devices/{serial}`, `PUT /v1/device/hardware`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sightline_operation::{NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::devices::DeviceJson;
use super::problem::Problem;
use super::proof::{LoggedIn, ProvenDevice};
use crate::ControlPlane;
use crate::bind_client::KeptClient;
use crate::consent::DEVICE_HARDWARE;
use crate::device_facts::FactError;
use crate::inventory::{Hardware, InventoryError};
use crate::names::{ChannelName, DeviceDetail, Renaming};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "One device in detail");
    table.get("/v1/devices/{serial}", Rule::Owner, about, show).may::<FactError>();
    let about = ("account", "Give a device or its channels new names");
    table.patch("/v1/devices/{serial}", Rule::Owner, about, rename).may::<FactError>();
    let about = (DEVICE_HARDWARE.id, "Tell what the device is made of");
    table.put("/v1/device/hardware", Rule::Device, about, tell).may::<InventoryError>();
}

#[derive(Serialize, ToSchema)]
pub(super) struct DeviceDetailJson {
    #[serde(flatten)]
    device: DeviceJson,
    /// Its channels, by number.
    channel_names: Vec<ChannelName>,
    /// What it told of itself, if its owner agrees to that.
    hardware: Option<Hardware>,
    /// When it told, Unix seconds.
    hardware_at: Option<u64>,
    /// The terminal with which it was added, if its owner agreed to keep that.
    added_with: Option<KeptClient>,
    /// Whether a place is kept for it.
    has_place: bool,
    /// When its open transfer code expires, Unix seconds.
    transfer_until: Option<u64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    /// Name of the device, 1 to 64 characters.
    name: Option<String>,
    /// Names of channels by number.
    #[serde(default)]
    channel_names: BTreeMap<u16, String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Inventory {
    binding_epoch: u64,
    hardware: Hardware,
}

impl From<DeviceDetail> for DeviceDetailJson {
    fn from(mut detail: DeviceDetail) -> Self {
        let hardware = detail.hardware.clone();
        let channel_names = std::mem::take(&mut detail.channels);
        let added_with = detail.added_with.take();
        let (has_place, transfer_until) = (detail.has_place, detail.transfer_until);
        let (hardware, hardware_at) = hardware.unzip();
        let device = DeviceJson::from(detail);
        Self { device, channel_names, hardware, hardware_at, added_with, has_place, transfer_until }
    }
}

/// One device.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<Json<DeviceDetailJson>, Problem> {
    Ok(Json(control_plane.device_detail(&session, &serial).await?.into()))
}

/// New names.
pub(super) async fn rename(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<Rename>,
) -> Result<Json<DeviceDetailJson>, Problem> {
    let channels = body.channel_names.into_iter().collect();
    let names = Renaming { name: body.name, channels };
    control_plane.rename_device(&session, &serial, &names).await?;
    Ok(Json(control_plane.device_detail(&session, &serial).await?.into()))
}

/// What a device is made of.
pub(super) async fn tell(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
    Body(body): Body<Inventory>,
) -> Result<NoContent, Problem> {
    let identity = identity.thumbprint();
    control_plane.store_inventory(identity, body.binding_epoch, &body.hardware).await?;
    Ok(NoContent)
}
