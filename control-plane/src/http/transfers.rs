//! `POST|DELETE /v1/devices/{serial}/codes`, `POST /v1/transfers`, `POST /v1/device/reset`

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NoContent, Rule, Table};
use utoipa::ToSchema;

use super::bindings::{Bind, BindBodyError, Bound};
use super::body::Body;
use super::picture::{Picture, picture};
use super::problem::Problem;
use super::proof::{ClientIp, FullLogin, LoggedIn, ProvenDevice, WithToken};
use crate::ControlPlane;
use crate::binding::BindError;
use crate::device_facts::FactError;
use crate::storage::model::CodeKind;
use crate::transfer::{CodeError, ResetError};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Issue a code by which another account takes the device over, once");
    table.post("/v1/devices/{serial}/codes", Rule::Owner, about, issue).may::<CodeError>();
    let about = ("account", "Take the transfer code of a device back");
    table.delete("/v1/devices/{serial}/codes", Rule::Owner, about, end).may::<FactError>();
    let about = ("account", "Take a device over by its owner's transfer code");
    table
        .post("/v1/transfers", Rule::Login, about, accept)
        .may::<BindError>()
        .may::<BindBodyError>();
    let about = ("account", "End the binding of a device that was reset on the spot");
    table.post("/v1/device/reset", Rule::Device, about, reset).may::<ResetError>();
}

#[derive(Serialize, ToSchema)]
pub(super) struct CodeMade {
    /// For people, in groups of four. Shown this once.
    code: String,
    /// Text of the picture code.
    text: String,
    picture: Picture,
    /// Unix seconds.
    expires_at: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceReset {
    /// The binding that ends; another one is left alone.
    binding_epoch: u64,
}

/// Issues a transfer code.
pub(super) async fn issue(
    State(control_plane): State<ControlPlane>,
    caller: WithToken,
    Path(serial): Path<String>,
) -> Result<Created<CodeMade>, Problem> {
    let (session, token) = (&caller.session, &caller.token);
    let issued = control_plane.issue_transfer_code(session, token, &serial).await?;
    Ok(Created(CodeMade {
        picture: picture(&issued.picture),
        code: issued.code.into_inner(),
        text: issued.picture.into_inner(),
        expires_at: issued.expires_at,
    }))
}

/// Takes a transfer code back.
pub(super) async fn end(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<NoContent, Problem> {
    control_plane.end_transfer_code(&session, &serial).await?;
    Ok(NoContent)
}

/// Takes a device over.
pub(super) async fn accept(
    State(control_plane): State<ControlPlane>,
    ClientIp(ip): ClientIp,
    FullLogin(session): FullLogin,
    Body(body): Body<Bind>,
) -> Result<Created<Bound>, Problem> {
    let (request, client) = body.read(CodeKind::Transfer)?;
    let client = match client {
        Some(client) => Some(control_plane.bind_client(&session, client).await?),
        None => None,
    };
    let epochs = control_plane.accept_transfer(&session, &request, ip).await?;
    if let Some(client) = client {
        control_plane.keep_bind_client(&session, &request.serial, &client).await?;
    }
    Ok(Created(Bound { serial: request.serial, binding_epoch: epochs.binding }))
}

/// Ends the binding of a device that was reset.
pub(super) async fn reset(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
    Body(body): Body<DeviceReset>,
) -> Result<NoContent, Problem> {
    control_plane.reset_device(identity.thumbprint(), body.binding_epoch).await?;
    Ok(NoContent)
}
