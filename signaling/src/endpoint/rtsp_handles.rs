//! `POST /v1/rtsp-handles/{serial}/{channel}`: a grant for a one-use RTSP login.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Serialize;
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use crate::asked::{Asked, device};
use crate::problem::Problem;
use crate::refusals;
use crate::state::Signaling;

pub(crate) fn operations(table: &mut Table<Arc<Signaling>>) {
    let about = ("media.view", "A login for one RTSP connection");
    table
        .post("/v1/rtsp-handles/{serial}/{channel}", Rule::Grant, about, post)
        .refuses(&refusals::grant())
        .refuses(&refusals::media());
}

/// How long a handle waits for its first use, seconds.
const HANDLE_TTL_SECS: u64 = 30;

#[derive(Serialize, ToSchema)]
pub(crate) struct RtspHandle {
    user: String,
    password: String,
    path: String,
    rtsp_port: u16,
    rtsps_port: u16,
    /// Seconds.
    expires_in: u64,
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<Created<RtspHandle>, Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let login = signaling.media.rtsp_login(&grant, proven.terminal, &serial, channel).await?;
    let handle = RtspHandle {
        user: login.user,
        password: login.password.into_inner(),
        path: login.path,
        rtsp_port: login.rtsp_port,
        rtsps_port: login.rtsps_port,
        expires_in: HANDLE_TTL_SECS,
    };
    Ok(Created(handle))
}
