//! `POST /v1/step-ups`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sightline_grant::Redacted;

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::ChallengeId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepUp {
    challenge_id: ChallengeId,
    code: String,
}

/// Opens the viewing window.
pub(super) async fn open(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<StepUp>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let code = Redacted::new(body.code);
    let window = control_plane.step_up(&session, &body.challenge_id, &code).await?;
    let answer = json!({
        "serial": window.serial,
        "idle_expires_at": window.idle_expires,
        "expires_at": window.max_expires,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}
