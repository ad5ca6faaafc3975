//! `POST /v1/devices/{serial}/generations`, `POST /v1/devices/{serial}/wraps`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, array, bytes};
use super::problem::Problem;
use super::proof::{LoggedIn, WithToken};
use crate::ControlPlane;
use crate::gate::Refusal;
use crate::limits::GENERATIONS_PER_PAGE;
use crate::mailbox::{GenerationError, GenerationsWanted};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("media.view", "Generations with the wrap for one terminal, past the gate");
    let rule = Rule::OwnerOrGuest("view");
    table.post("/v1/devices/{serial}/generations", rule, about, list).may::<Refusal>();
    let about = ("account", "Wrap a generation for one more terminal");
    table.post("/v1/devices/{serial}/wraps", Rule::Owner, about, add_wrap).may::<GenerationError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerationsAsked {
    channel: u16,
    /// X25519 public key of the terminal, base64url.
    recipient: String,
    #[serde(default)]
    after: u64,
    /// 1 to 64.
    limit: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWrap {
    generation: u64,
    /// Base64url.
    wrap: String,
}

#[derive(Serialize, ToSchema)]
struct GenerationJson {
    generation: u64,
    /// Signed header and the one wrap, base64url.
    blob: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Generations {
    generations: Vec<GenerationJson>,
    /// Whether there are more after the last one.
    more: bool,
}

/// Generations for a viewer that passes the gate.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    caller: WithToken,
    Path(serial): Path<String>,
    Body(body): Body<GenerationsAsked>,
) -> Result<Json<Generations>, Problem> {
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
    let shown = page
        .items
        .into_iter()
        .map(|item| GenerationJson { generation: item.number, blob: B64.encode(item.blob) });
    Ok(Json(Generations { generations: shown.collect(), more: page.more }))
}

/// Adds a wrap.
pub(super) async fn add_wrap(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<NewWrap>,
) -> Result<NoContent, Problem> {
    let wrap = bytes(&body.wrap)?;
    control_plane.add_wrap(&session, &serial, body.generation, &wrap).await?;
    Ok(NoContent)
}
