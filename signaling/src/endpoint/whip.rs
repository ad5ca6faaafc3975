//! `/v1/whip/{serial}/{channel}`: open cameras that speak WHIP publish here.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use sightline_operation::{NO_PURPOSE, Rule, Table};

use super::offer::{self, SDP, created};
use crate::asked::{Asked, device};
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

const PATH: &str = "/v1/whip/{serial}/{channel}";

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "Publish by WebRTC (WHIP)");
    table
        .post(PATH, Rule::Publisher, about, post)
        .takes_text(SDP)
        .answers(201, Some(SDP))
        .refuses(&refusals::offer())
        .refuses(&refusals::list([
            Problem::PublisherUnknown,
            Problem::PublisherOtherDevice,
            Problem::NotFound,
        ]));
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
