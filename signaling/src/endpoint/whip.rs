//! `/v1/whip/{serial}/{channel}`: open cameras that speak WHIP publish here.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;

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
    let token = asked.credential("Bearer").ok_or(Problem::PublisherUnknown)?;
    let publisher = signaling.directory.publisher_by_token(&token).await;
    let publisher = publisher.ok_or(Problem::PublisherUnknown)?;
    if publisher.serial != serial {
        return Err(Problem::PublisherOtherDevice);
    }
    let offer = asked.text(SDP, body).await?;
    let answer = signaling.media.whip(publisher, channel, offer).await?;
    created("whip-sessions", answer)
}

pub(crate) async fn options() -> Response {
    offer::options("POST, OPTIONS")
}
