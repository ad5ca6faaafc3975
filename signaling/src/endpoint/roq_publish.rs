//! `POST /v1/roq-publish/{channel}`: a device opens its RTP-over-QUIC publishing session.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use http::StatusCode;

use crate::asked::{self, Asked};
use crate::plane::{RoqOffer, RoqSessionJson};
use crate::problem::Problem;
use crate::state::Signaling;

/// Most tracks of one publishing session.
pub(crate) const MAX_TRACKS: usize = 8;

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path(channel): Path<String>,
    asked: Asked,
    body: Body,
) -> Result<(StatusCode, Json<RoqSessionJson>), Problem> {
    let channel = asked::channel(&channel)?;
    let proven = signaling.prove(&asked, None)?;
    let offer: RoqOffer = asked.json(body).await?;
    if offer.tracks.is_empty() || offer.tracks.len() > MAX_TRACKS {
        let text = format!("a session has 1 to {MAX_TRACKS} tracks");
        return Err(Problem::MalformedRequest(text));
    }
    let publisher = signaling.directory.publisher_by_key(proven.terminal).await;
    let publisher = publisher.ok_or(Problem::PublisherUnknown)?;
    signaling.spend(&proven)?;
    let session = signaling.media.roq_publish(publisher, proven.terminal, channel, offer).await?;
    Ok((StatusCode::CREATED, Json(session)))
}
