//! `/v1/whep/{serial}/{channel}`: live pictures for any WHEP player with a grant.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::offer::{self, SDP, created};
use crate::asked::{Asked, device};
use crate::problem::Problem;
use crate::state::Signaling;

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
    body: Body,
) -> Result<Response, Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    // The body comes before the grant: a bad offer does not use up the proof.
    let offer = asked.text(SDP, body).await?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let answer = signaling.media.whep(&grant, proven.terminal, &serial, channel, offer).await?;
    created("whep-sessions", answer)
}

/// Discovery: players ask with HEAD what an endpoint speaks.
pub(crate) async fn head() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(SDP))], "").into_response()
}

pub(crate) async fn options() -> Response {
    offer::options("POST, HEAD, OPTIONS")
}
