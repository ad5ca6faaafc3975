//! `POST /v1/roq-sessions/{serial}/{channel}`: a grant for an RTP-over-QUIC viewing session.

use std::sync::Arc;

use axum::extract::{Path, State};
use sightline_operation::{Created, Rule, Table};

use crate::asked::{Asked, device};
use crate::plane::RoqSessionJson;
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "Open a viewing session, RTP over QUIC");
    table
        .post("/v1/roq-sessions/{serial}/{channel}", Rule::Grant, about, post)
        .refuses(&refusals::grant())
        .refuses(&refusals::media());
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<Created<RoqSessionJson>, Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let session = signaling.media.roq_view(&grant, proven.terminal, &serial, channel).await?;
    Ok(Created(session))
}
