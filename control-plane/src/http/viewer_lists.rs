//! `PUT|GET /v1/devices/{serial}/viewer-list`: an owner's list of terminals.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::mailbox::{ListError, ListState};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    const PATH: &str = "/v1/devices/{serial}/viewer-list";
    let about = ("account", "The list of terminals that may open the device's media");
    table.get(PATH, Rule::Owner, about, show).may::<ListError>();
    let about = ("account", "Put a newer list in force, signed with the device key");
    table.put(PATH, Rule::Owner, about, store).may::<ListError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewViewerList {
    /// Signed, base64url.
    list: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ViewerList)]
pub(super) struct ListJson {
    binding_epoch: u64,
    version: u64,
    /// Signed, base64url.
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
    Body(body): Body<NewViewerList>,
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
