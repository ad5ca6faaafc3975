//! `POST /v1/websocket-sessions/{serial}/{channel}`: a grant for a path that opens a WebSocket once,
//! for viewers without WebTransport.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;

use super::webtransport_sessions::TICKET_TTL_SECS;
use crate::asked::{Asked, device};
use crate::plane::WebTrackJson;
use crate::problem::Problem;
use crate::state::Signaling;

#[derive(Serialize)]
pub(crate) struct Session {
    path: String,
    expires_in: u64,
    tracks: Vec<WebTrackJson>,
    sealed: bool,
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let login = signaling.media.socket_view(&grant, proven.terminal, &serial, channel).await?;
    let path = format!("/v1/websockets/{}", login.ticket.expose());
    let (expires_in, tracks, sealed) = (TICKET_TTL_SECS, login.tracks, login.sealed);
    Ok((StatusCode::CREATED, Json(Session { path, expires_in, tracks, sealed })))
}
