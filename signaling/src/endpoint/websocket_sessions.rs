//! `POST /v1/websocket-sessions/{serial}/{channel}`: a grant for a path that opens a WebSocket once,
//! for viewers without WebTransport.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Serialize;
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use super::webtransport_sessions::TICKET_TTL_SECS;
use crate::asked::{Asked, device};
use crate::plane::WebTrackJson;
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "A path that opens a WebSocket once");
    table
        .post("/v1/websocket-sessions/{serial}/{channel}", Rule::Grant, about, post)
        .refuses(&refusals::grant())
        .refuses(&refusals::media());
}

#[derive(Serialize, ToSchema)]
pub(crate) struct WebSocketSession {
    path: String,
    /// Seconds.
    expires_in: u64,
    tracks: Vec<WebTrackJson>,
    sealed: bool,
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<Created<WebSocketSession>, Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let login = signaling.media.socket_view(&grant, proven.terminal, &serial, channel).await?;
    let path = format!("/v1/websockets/{}", login.ticket.expose());
    let (expires_in, tracks, sealed) = (TICKET_TTL_SECS, login.tracks, login.sealed);
    Ok(Created(WebSocketSession { path, expires_in, tracks, sealed }))
}
