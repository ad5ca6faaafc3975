//! `POST /v1/rtsp-handles/{serial}/{channel}`: a grant for a one-use RTSP login.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;

use crate::asked::{Asked, device};
use crate::problem::Problem;
use crate::state::Signaling;

/// How long a handle waits for its first use, seconds.
const HANDLE_TTL_SECS: u64 = 30;

#[derive(Serialize)]
pub(crate) struct Handle {
    user: String,
    password: String,
    path: String,
    rtsp_port: u16,
    rtsps_port: u16,
    expires_in: u64,
}

pub(crate) async fn post(
    State(signaling): State<Arc<Signaling>>,
    Path((serial, channel)): Path<(String, String)>,
    asked: Asked,
) -> Result<(StatusCode, Json<Handle>), Problem> {
    let (serial, channel) = device(&serial, &channel)?;
    let (grant, proven) = signaling.granted(&asked, &serial, channel)?;
    let login = signaling.media.rtsp_login(&grant, proven.terminal, &serial, channel).await?;
    let handle = Handle {
        user: login.user,
        password: login.password.into_inner(),
        path: login.path,
        rtsp_port: login.rtsp_port,
        rtsps_port: login.rtsps_port,
        expires_in: HANDLE_TTL_SECS,
    };
    Ok((StatusCode::CREATED, Json(handle)))
}
