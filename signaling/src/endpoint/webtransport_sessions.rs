//! `POST /v1/webtransport-sessions/{serial}/{channel}`: a grant for a one-use ticket.
//!
//! A browser proves no key over WebTransport, so the ticket stands for the proof of this request.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Serialize;
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use crate::asked::{Asked, device};
use crate::plane::WebTrackJson;
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "A path that opens a WebTransport session once");
    table
        .post("/v1/webtransport-sessions/{serial}/{channel}", Rule::Grant, about, post)
        .refuses(&refusals::grant())
        .refuses(&refusals::media());
}

/// How long a ticket waits for its use, seconds.
pub(crate) const TICKET_TTL_SECS: u64 = 30;

#[derive(Serialize, ToSchema)]
pub(crate) struct WebTransportSession {
    path: String,
    port: u16,
    /// Seconds.
    expires_in: u64,
    tracks: Vec<WebTrackJson>,
    sealed: bool,
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<Created<WebTransportSession>, Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let login = signaling.media.web_view(&grant, proven.terminal, &serial, channel).await?;
    let session = WebTransportSession {
        path: login.path.into_inner(),
        port: login.port,
        expires_in: TICKET_TTL_SECS,
        tracks: login.tracks,
        sealed: login.sealed,
    };
    Ok(Created(session))
}
