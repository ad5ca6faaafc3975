//! `POST /v1/introductions`, `GET|DELETE /v1/introductions/{code}` and
//! `POST /v1/introductions/{code}/reply|reveal|outcome`

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{Created, NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::AccountId;
use crate::introduction::IntroductionError;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    const ONE: &str = "/v1/introductions/{code}";
    let about = ("account", "Open an introduction, as the terminal that wants in");
    table.post("/v1/introductions", Rule::Login, about, open).may::<IntroductionError>();
    let about = ("account", "What was said so far");
    table.get(ONE, Rule::Login, about, show).may::<IntroductionError>();
    let about = ("account", "Give up an introduction");
    table.delete(ONE, Rule::Login, about, end).may::<IntroductionError>();
    let about = ("account", "The owner's message");
    table
        .post("/v1/introductions/{code}/reply", Rule::Login, about, reply)
        .may::<IntroductionError>();
    let about = ("account", "The second message of who wants in");
    table
        .post("/v1/introductions/{code}/reveal", Rule::Login, about, reveal)
        .may::<IntroductionError>();
    let about = ("account", "The owner's word on whether the terminal was added");
    table
        .post("/v1/introductions/{code}/outcome", Rule::Login, about, outcome)
        .may::<IntroductionError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIntroduction {
    /// Base64url.
    commitment: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IntroductionReply {
    /// Base64url.
    reply: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IntroductionReveal {
    /// Base64url.
    reveal: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IntroductionOutcome {
    added: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct IntroductionOpened {
    /// For the owner to enter.
    code: String,
    /// Unix seconds.
    expires_at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct IntroductionJson {
    guest_account: AccountId,
    /// Base64url.
    commitment: Option<String>,
    /// Base64url.
    reply: Option<String>,
    /// Base64url.
    reveal: Option<String>,
    /// The owner's word, once it is over.
    added: Option<bool>,
    /// Unix seconds.
    expires_at: u64,
}

/// Opens an introduction for a guest.
pub(super) async fn open(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<NewIntroduction>,
) -> Result<Created<IntroductionOpened>, Problem> {
    let commitment = bytes(&body.commitment)?;
    let opened = control_plane.open_introduction(&session, &commitment).await?;
    Ok(Created(IntroductionOpened { code: opened.code, expires_at: opened.expires_at }))
}

/// What was said so far.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
) -> Result<Json<IntroductionJson>, Problem> {
    let found = control_plane.introduction(&session, &code).await?;
    let text = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| B64.encode(bytes));
    let commitment = Some(&found.commitment).filter(|commitment| !commitment.is_empty());
    Ok(Json(IntroductionJson {
        commitment: text(commitment),
        reply: text(found.reply.as_ref()),
        reveal: text(found.reveal.as_ref()),
        guest_account: found.guest.account,
        added: found.added,
        expires_at: found.expires,
    }))
}

/// The owner's message.
pub(super) async fn reply(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
    Body(body): Body<IntroductionReply>,
) -> Result<NoContent, Problem> {
    let reply = bytes(&body.reply)?;
    control_plane.reply_to_introduction(&session, &code, &reply).await?;
    Ok(NoContent)
}

/// The guest's second message.
pub(super) async fn reveal(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
    Body(body): Body<IntroductionReveal>,
) -> Result<NoContent, Problem> {
    let reveal = bytes(&body.reveal)?;
    control_plane.reveal_introduction(&session, &code, &reveal).await?;
    Ok(NoContent)
}

/// The owner's word on whether the guest was added.
pub(super) async fn outcome(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
    Body(body): Body<IntroductionOutcome>,
) -> Result<NoContent, Problem> {
    control_plane.end_introduction(&session, &code, body.added).await?;
    Ok(NoContent)
}

/// Gives up.
pub(super) async fn end(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(code): Path<String>,
) -> Result<NoContent, Problem> {
    control_plane.end_introduction(&session, &code, false).await?;
    Ok(NoContent)
}
