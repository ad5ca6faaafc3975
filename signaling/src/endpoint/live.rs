//! `GET /v1/live/{serial}`: whether a camera publishes now, for whoever it is bound to or shared
//! with. Presence tells about habits, so strangers learn nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use sightline_operation::{Rule, Table};
use utoipa::ToSchema;

use crate::asked::{Asked, is_serial};
use crate::plane::Caller;
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "Whether a camera publishes now");
    table
        .get("/v1/live/{serial}", Rule::OwnerOrGuest("view"), about, get)
        .refuses(&refusals::login());
    let about = ("media.view", "Whether a channel of a camera publishes now");
    table
        .get("/v1/live/{serial}/{channel}", Rule::OwnerOrGuest("view"), about, get_channel)
        .refuses(&refusals::login());
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Live {
    live: bool,
}

pub(crate) async fn get(
    State(signaling): State<Arc<Signaling>>,
    Path(serial): Path<String>,
    asked: Asked,
) -> Result<Json<Live>, Problem> {
    answer(&signaling, &serial, 0, &asked).await
}

/// The same of one channel of a hub. A channel that the device does not have, or that is not shared
/// with the caller, is unknown.
pub(crate) async fn get_channel(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<Json<Live>, Problem> {
    let channel = channel.parse().map_err(|_| Problem::DeviceNotBound)?;
    answer(&signaling, &serial, channel, &asked).await
}

async fn answer(
    signaling: &Signaling,
    serial: &str,
    channel: u16,
    asked: &Asked,
) -> Result<Json<Live>, Problem> {
    let access_token = asked.credential("DPoP").ok_or(Problem::LoginRequired)?;
    let proven = signaling.prove(asked, Some(access_token.expose()))?;
    if !is_serial(serial) {
        return Err(Problem::DeviceNotBound);
    }
    let caller = Caller { access_token, terminal: proven.terminal };
    signaling.directory.may_see(&caller, serial, channel).await?;
    signaling.spend(&proven)?;
    Ok(Json(Live { live: signaling.media.live(serial, channel).await }))
}
