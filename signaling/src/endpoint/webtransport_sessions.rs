//! `POST /v1/webtransport-sessions/{serial}/{channel}`: a grant for a one-use ticket.
//!
//! A browser proves no key over WebTransport, so the ticket stands for the proof of this request.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;

use crate::asked::{Asked, device};
use crate::plane::WebTrackJson;
use crate::problem::Problem;
use crate::state::Signaling;

/// How long a ticket waits for its use, seconds.
pub(crate) const TICKET_TTL_SECS: u64 = 30;

#[derive(Serialize)]
pub(crate) struct Session {
    path: String,
    port: u16,
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
    let login = signaling.media.web_view(&grant, proven.terminal, &serial, channel).await?;
    let session = Session {
        path: login.path.into_inner(),
        port: login.port,
        expires_in: TICKET_TTL_SECS,
        tracks: login.tracks,
        sealed: login.sealed,
    };
    Ok((StatusCode::CREATED, Json(session)))
}
