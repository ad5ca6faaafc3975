//! `POST /v1/roq-publish/{channel}`: a device opens its RTP-over-QUIC publishing session.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use sightline_operation::{Created, Rule, Table};

use crate::asked::{self, Asked};
use crate::plane::{RoqOffer, RoqSessionJson};
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "Open a publishing session, RTP over QUIC");
    table
        .post("/v1/roq-publish/{channel}", Rule::Device, about, post)
        .takes::<RoqOffer>()
        .refuses(&refusals::body())
        .refuses(&refusals::proof())
        .refuses(&refusals::media())
        .refuses(&refusals::list([
            Problem::PublisherUnknown,
            Problem::NotFound,
            Problem::BadOffer(String::new()),
        ]));
}

/// Most tracks of one publishing session.
pub(crate) const MAX_TRACKS: usize = 8;

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path(channel): Path<String>,
    asked: Asked,
    body: Body,
) -> Result<Created<RoqSessionJson>, Problem> {
    let channel = asked::channel(&channel)?;
    let proven = signaling.prove(&asked, None)?;
    let offer: RoqOffer = asked.json(body).await?;
    if offer.tracks.is_empty() || offer.tracks.len() > MAX_TRACKS {
        let text = format!("a session has 1 to {MAX_TRACKS} tracks");
        return Err(Problem::MalformedRequest(text));
    }
    let known = async || signaling.directory.publisher_by_key(proven.terminal).await;
    let publisher = known().await.ok_or(Problem::PublisherUnknown)?;
    signaling.spend(&proven)?;
    let media = &signaling.media;
    let session = media.roq_publish(publisher.clone(), proven.terminal, channel, offer).await?;
    // What ended the device's sessions meanwhile may have missed this one, which nobody can enter
    // who does not learn its name.
    if known().await.ok_or(Problem::PublisherUnknown)?.sealed != publisher.sealed {
        let text = "the device was sealed or opened meanwhile; announce what it sends now";
        return Err(Problem::WrongProtection(text.into()));
    }
    Ok(Created(session))
}
