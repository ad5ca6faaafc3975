//! `PUT|GET /v1/devices/{serial}/viewer-list`: an owner's list of terminals.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::mailbox::ListState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    list: String,
}

#[derive(Serialize)]
pub(super) struct ListJson {
    binding_epoch: u64,
    version: u64,
    list: Option<String>,
}

impl From<ListState> for ListJson {
    fn from(state: ListState) -> Self {
        Self {
            binding_epoch: state.binding_epoch,
            version: state.version,
            list: state.signed.map(|signed| B64.encode(signed)),
        }
    }
}

/// Puts a list in force.
pub(super) async fn store(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(body): Body<Store>,
) -> Result<Json<ListJson>, Problem> {
    let list = bytes(&body.list)?;
    Ok(Json(control_plane.store_viewer_list(&session, &serial, &list).await?.into()))
}

/// The list in force.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<Json<ListJson>, Problem> {
    Ok(Json(control_plane.viewer_list(&session, &serial).await?.into()))
}
