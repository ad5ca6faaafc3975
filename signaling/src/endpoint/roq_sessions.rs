//! `POST /v1/roq-sessions/{serial}/{channel}`: a grant for an RTP-over-QUIC viewing session.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use crate::asked::{Asked, device};
use crate::plane::RoqSessionJson;
use crate::problem::Problem;
use crate::state::Signaling;

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<(StatusCode, Json<RoqSessionJson>), Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let session = signaling.media.roq_view(&grant, proven.terminal, &serial, channel).await?;
    Ok((StatusCode::CREATED, Json(session)))
}
