//! `/v1/whep/{serial}/{channel}`: live pictures for any WHEP player with a grant.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use sightline_operation::{NO_PURPOSE, Rule, Table};

use super::offer::{self, SDP, created};
use crate::asked::{Asked, device};
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

const PATH: &str = "/v1/whep/{serial}/{channel}";

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "Watch by WebRTC (WHEP)");
    table
        .post(PATH, Rule::Grant, about, post)
        .takes_text(SDP)
        .answers(201, Some(SDP))
        .refuses(&refusals::grant())
        .refuses(&refusals::offer());
    let about = (NO_PURPOSE, "What the endpoint speaks");
    table.head(PATH, Rule::Public, about, head).answers(200, None);
    let about = (NO_PURPOSE, "Preflight and discovery");
    table.options(PATH, Rule::Public, about, options).answers(200, None);
}

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
