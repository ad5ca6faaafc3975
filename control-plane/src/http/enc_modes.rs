//! `PUT|GET /v1/devices/{serial}/enc-mode`: whether a camera is to seal.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{Rule, Table};
use utoipa::ToSchema;

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::{LoggedIn, WithToken};
use crate::ControlPlane;
use crate::device::EncMode;
use crate::mailbox::{EncModeState, ListError, OrderError};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    const PATH: &str = "/v1/devices/{serial}/enc-mode";
    let about = ("account", "Order a camera to seal, or to send clear media");
    table.put(PATH, Rule::Owner, about, order).may::<OrderError>();
    let about = ("account", "The mode, the signed order that says so, and the history");
    table.get(PATH, Rule::Owner, about, show).may::<ListError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    mode: EncMode,
    /// Signed with the device secret's key, base64url.
    order: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderedBy {
    Owner,
    NewKey,
}

#[derive(Serialize, ToSchema)]
struct EncModeEvent {
    mode: EncMode,
    by: OrderedBy,
    /// Unix seconds.
    at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EncModeJson {
    mode: EncMode,
    binding_epoch: u64,
    sequence: u64,
    /// The signed order in force, base64url.
    order: Option<String>,
    /// Newest first.
    history: Vec<EncModeEvent>,
}

/// Takes an owner's order.
pub(super) async fn order(
    State(control_plane): State<ControlPlane>,
    caller: WithToken,
    Path(serial): Path<String>,
    Body(body): Body<NewOrder>,
) -> Result<Json<EncModeJson>, Problem> {
    let (session, token) = (&caller.session, &caller.token);
    let signed = bytes(&body.order)?;
    let state = control_plane.order_enc_mode(session, token, &serial, body.mode, &signed).await?;
    Ok(Json(state.into()))
}

/// The mode, the signed order that says so, and the history.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<Json<EncModeJson>, Problem> {
    Ok(Json(control_plane.enc_mode(&session, &serial).await?.into()))
}

impl From<EncModeState> for EncModeJson {
    fn from(state: EncModeState) -> Self {
        let events = state.history.into_iter().map(|event| {
            let by = if event.ordered { OrderedBy::Owner } else { OrderedBy::NewKey };
            EncModeEvent { mode: event.mode, by, at: event.at }
        });
        Self {
            mode: state.mode,
            binding_epoch: state.binding_epoch,
            sequence: state.order.as_ref().map_or(0, |order| order.sequence),
            order: state.order.map(|order| B64.encode(order.signed)),
            history: events.collect(),
        }
    }
}
