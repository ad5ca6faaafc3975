//! `POST /v1/bindings`, `DELETE /v1/bindings/{serial}`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::{ClientIp, LoggedIn};
use crate::ControlPlane;
use crate::binding::BindRequest;
use crate::ids::ChallengeId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bind {
    serial: String,
    code: String,
    challenge_id: Option<ChallengeId>,
    signature: Option<String>,
}

/// Binds a device.
pub(super) async fn bind(
    State(control_plane): State<ControlPlane>,
    ClientIp(ip): ClientIp,
    LoggedIn(session): LoggedIn,
    Body(body): Body<Bind>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let proof = match (body.challenge_id, body.signature) {
        (Some(challenge), Some(signature)) => Some((challenge, bytes(&signature)?)),
        _ => None,
    };
    let serial = body.serial.trim().to_owned();
    let request = BindRequest { serial: serial.clone(), code: body.code, proof };
    let epochs = control_plane.bind(&session, &request, ip).await?;
    let answer = json!({ "serial": serial, "binding_epoch": epochs.binding });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Unbinds a device.
pub(super) async fn unbind(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<StatusCode, Problem> {
    if control_plane.unbind(&session, &serial).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = "no such device on this account";
    Err(Problem::new(StatusCode::NOT_FOUND, "device-not-bound", detail))
}
