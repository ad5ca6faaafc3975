//! `POST /v1/devices/{serial}/key-challenge`, `POST /v1/devices/{serial}/key-proof`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, array, bytes};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::ChallengeId;
use crate::key::SignedChallenge;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Challenge {
    channel: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    challenge_id: ChallengeId,
    signature: String,
    /// Of the terminal that signed, if the device secret did not.
    #[serde(default)]
    terminal: Option<String>,
}

/// Issues a challenge.
pub(super) async fn challenge(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<Challenge>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let issued = control_plane.key_challenge(&session, &serial, body.channel).await?;
    let answer = json!({
        "challenge_id": issued.challenge,
        "message": B64.encode(issued.message),
        "expires_at": issued.expires_at,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Takes a signed challenge.
pub(super) async fn prove(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<Proof>,
) -> Result<StatusCode, Problem> {
    let answer = SignedChallenge {
        challenge: body.challenge_id,
        signature: bytes(&body.signature)?,
        terminal: body.terminal.as_deref().map(array).transpose()?,
    };
    control_plane.prove_key(&session, &serial, &answer).await?;
    Ok(StatusCode::NO_CONTENT)
}
