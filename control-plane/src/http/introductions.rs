//! `POST /v1/introductions`, `GET|DELETE /v1/introductions/{code}` and
//! `POST /v1/introductions/{code}/reply|reveal|outcome`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    commitment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    reply: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reveal {
    reveal: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    added: bool,
}

/// Opens an introduction for a guest.
pub(super) async fn open(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<Open>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let commitment = bytes(&body.commitment)?;
    let opened = control_plane.open_introduction(&session, &commitment).await?;
    let answer = json!({ "code": opened.code, "expires_at": opened.expires_at });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// What was said so far.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = control_plane.introduction(&session, &code).await?;
    let text = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| B64.encode(bytes));
    let commitment = Some(&found.commitment).filter(|commitment| !commitment.is_empty());
    Ok(Json(json!({
        "guest_account": found.guest.account,
        "commitment": text(commitment),
        "reply": text(found.reply.as_ref()),
        "reveal": text(found.reveal.as_ref()),
        "added": found.added,
        "expires_at": found.expires,
    })))
}

/// The owner's message.
pub(super) async fn reply(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
    Body(body): Body<Reply>,
) -> Result<StatusCode, Problem> {
    let reply = bytes(&body.reply)?;
    control_plane.reply_to_introduction(&session, &code, &reply).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The guest's second message.
pub(super) async fn reveal(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
    Body(body): Body<Reveal>,
) -> Result<StatusCode, Problem> {
    let reveal = bytes(&body.reveal)?;
    control_plane.reveal_introduction(&session, &code, &reveal).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The owner's word on whether the guest was added.
pub(super) async fn outcome(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
    Body(body): Body<Outcome>,
) -> Result<StatusCode, Problem> {
    control_plane.end_introduction(&session, &code, body.added).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives up.
pub(super) async fn end(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
) -> Result<StatusCode, Problem> {
    control_plane.end_introduction(&session, &code, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
