//! `POST /v1/devices/{serial}/key-challenge`, `POST /v1/devices/{serial}/key-proof`

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, array, bytes};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::ChallengeId;
use crate::key::{KeyError, SignedChallenge};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("media.view", "Ask for a challenge to sign with the device key");
    table
        .post("/v1/devices/{serial}/key-challenge", Rule::Login, about, challenge)
        .may::<KeyError>();
    let about = ("media.view", "Prove the device key by the signed challenge");
    table
        .post("/v1/devices/{serial}/key-proof", Rule::OwnerOrGuest("view"), about, prove)
        .may::<KeyError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyChallenge {
    channel: u16,
}

#[derive(Serialize, ToSchema)]
pub(super) struct KeyChallengeIssued {
    challenge_id: ChallengeId,
    /// What is to be signed, base64url.
    message: String,
    /// Unix seconds.
    expires_at: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyProof {
    challenge_id: ChallengeId,
    /// Ed25519, base64url.
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
    Body(body): Body<KeyChallenge>,
) -> Result<Created<KeyChallengeIssued>, Problem> {
    let issued = control_plane.key_challenge(&session, &serial, body.channel).await?;
    Ok(Created(KeyChallengeIssued {
        challenge_id: issued.challenge,
        message: B64.encode(issued.message),
        expires_at: issued.expires_at,
    }))
}

/// Takes a signed challenge.
pub(super) async fn prove(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<KeyProof>,
) -> Result<NoContent, Problem> {
    let answer = SignedChallenge {
        challenge: body.challenge_id,
        signature: bytes(&body.signature)?,
        terminal: body.terminal.as_deref().map(array).transpose()?,
    };
    control_plane.prove_key(&session, &serial, &answer).await?;
    Ok(NoContent)
}
