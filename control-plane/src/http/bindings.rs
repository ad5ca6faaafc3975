//! `POST /v1/bindings`, `DELETE /v1/bindings/{serial}`

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NoContent, Rule, Table, refused};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::{ClientIp, LoggedIn};
use crate::ControlPlane;
use crate::binding::{BindError, BindRequest};
use crate::ids::ChallengeId;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    table
        .post("/v1/bindings", Rule::Login, ("account", "Bind a device to the account"), bind)
        .may::<BindError>();
    let about = ("account", "Unbind a device; all that hangs on the binding ends");
    table.delete("/v1/bindings/{serial}", Rule::Owner, about, unbind).refuses(&[refused(
        404,
        "device-not-bound",
        "No such device on this account",
    )]);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bind {
    /// Serial as printed.
    serial: String,
    /// Verification code as printed.
    code: String,
    /// Of an open device: the key challenge that was signed.
    challenge_id: Option<ChallengeId>,
    /// Of an open device: the challenge signed with the publish password's key, base64url.
    signature: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Bound {
    serial: String,
    binding_epoch: u64,
}

/// Binds a device.
pub(super) async fn bind(
    State(control_plane): State<ControlPlane>,
    ClientIp(ip): ClientIp,
    LoggedIn(session): LoggedIn,
    Body(body): Body<Bind>,
) -> Result<Created<Bound>, Problem> {
    let proof = match (body.challenge_id, body.signature) {
        (Some(challenge), Some(signature)) => Some((challenge, bytes(&signature)?)),
        _ => None,
    };
    let serial = body.serial.trim().to_owned();
    let request = BindRequest { serial: serial.clone(), code: body.code, proof };
    let epochs = control_plane.bind(&session, &request, ip).await?;
    Ok(Created(Bound { serial, binding_epoch: epochs.binding }))
}

/// Unbinds a device.
pub(super) async fn unbind(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<NoContent, Problem> {
    if control_plane.unbind(&session, &serial).await? {
        return Ok(NoContent);
    }
    let detail = "no such device on this account";
    Err(Problem::new(StatusCode::NOT_FOUND, "device-not-bound", detail))
}
