//! `POST /v1/devices/{serial}/generations`, `POST /v1/devices/{serial}/wraps`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, array, bytes};
use super::problem::Problem;
use super::proof::{LoggedIn, WithToken};
use crate::ControlPlane;
use crate::limits::GENERATIONS_PER_PAGE;
use crate::mailbox::GenerationsWanted;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    channel: u16,
    recipient: String,
    #[serde(default)]
    after: u64,
    limit: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWrap {
    generation: u64,
    wrap: String,
}

/// Generations for a viewer that passes the gate.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    caller: WithToken,
    Path(serial): Path<String>,
    Body(body): Body<Wanted>,
) -> Result<Json<Value>, Problem> {
    if !(1..=GENERATIONS_PER_PAGE).contains(&body.limit) {
        let detail = "limit is from 1 to 64";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail));
    }
    let wanted = GenerationsWanted {
        channel: body.channel,
        recipient: array(&body.recipient)?,
        after: body.after,
        limit: body.limit,
    };
    let page = control_plane.generations(&caller.session, &caller.token, &serial, &wanted).await?;
    let items: Vec<_> = page
        .items
        .into_iter()
        .map(|item| json!({ "generation": item.number, "blob": B64.encode(item.blob) }))
        .collect();
    Ok(Json(json!({ "generations": items, "more": page.more })))
}

/// Adds a wrap.
pub(super) async fn add_wrap(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<NewWrap>,
) -> Result<StatusCode, Problem> {
    let wrap = bytes(&body.wrap)?;
    control_plane.add_wrap(&session, &serial, body.generation, &wrap).await?;
    Ok(StatusCode::NO_CONTENT)
}
