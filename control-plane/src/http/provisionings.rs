//! `GET|POST /v1/provisionings`, `POST /v1/device/provisioning`

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::{LoggedIn, ProvenDevice};
use crate::ControlPlane;
use crate::consent::DEVICE_PROVISION;
use crate::device::DeviceError;
use crate::device_facts::FactError;
use crate::ids::{ProvisioningId, Serial};
use crate::provision::{Network, Provisioning};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let purpose = DEVICE_PROVISION.id;
    let about = (purpose, "Report that a device is brought into a network");
    table.post("/v1/provisionings", Rule::Login, about, report).may::<FactError>();
    let about = (purpose, "Provisionings that the account reported");
    table.get("/v1/provisionings", Rule::Login, about, list);
    let about = (purpose, "Fetch what the owner sealed to the device, once");
    table.post("/v1/device/provisioning", Rule::Device, about, take).may::<DeviceError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProvisioning {
    serial: Serial,
    network: Network,
    /// Base64url of what only the device's key opens, 1 to 1024 bytes; the account must own the
    /// device. The server cannot look into it.
    sealed: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProvisioningMade {
    id: ProvisioningId,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProvisioningJson {
    id: ProvisioningId,
    serial: Serial,
    network: Network,
    /// Whether something sealed waits for the device.
    sealed_waits: bool,
    /// When this is forgotten, Unix seconds.
    expires_at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SealedForDevice {
    /// Base64url of what only the device's key opens, once.
    sealed: Option<String>,
}

impl From<Provisioning> for ProvisioningJson {
    fn from(one: Provisioning) -> Self {
        Self {
            id: one.id,
            serial: one.serial,
            network: one.network,
            sealed_waits: one.sealed_waits,
            expires_at: one.expires_at,
        }
    }
}

/// Reports a provisioning.
pub(super) async fn report(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<NewProvisioning>,
) -> Result<Created<ProvisioningMade>, Problem> {
    let sealed = body.sealed.as_deref().map(bytes).transpose()?;
    let serial = body.serial.as_str();
    let id = control_plane.provision(&session, serial, &body.network, sealed).await?;
    Ok(Created(ProvisioningMade { id }))
}

/// Provisionings of the account.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    paging: Paging,
) -> Result<Json<Page<ProvisioningJson>>, Problem> {
    let kept = control_plane.provisionings(&session).await?.into_iter().map(|one| {
        // Newest first; ids make the order whole.
        let key = format!("{:020} {}", u64::MAX - one.expires_at, one.id);
        (key, ProvisioningJson::from(one))
    });
    Ok(Json(Page::of(kept, &paging)))
}

/// What was sealed to the device.
pub(super) async fn take(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
) -> Result<Json<SealedForDevice>, Problem> {
    let sealed = control_plane.take_sealed(identity.thumbprint()).await?;
    Ok(Json(SealedForDevice { sealed: sealed.map(|sealed| B64.encode(sealed)) }))
}
