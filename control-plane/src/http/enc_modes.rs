//! `PUT|GET /v1/devices/{serial}/enc-mode`: whether a camera is to seal.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Body, bytes};
use super::problem::Problem;
use super::proof::{LoggedIn, WithToken};
use crate::ControlPlane;
use crate::device::EncMode;
use crate::mailbox::EncModeState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    mode: EncMode,
    order: String,
}

/// Takes an owner's order.
pub(super) async fn order(
    State(control_plane): State<ControlPlane>,
    caller: WithToken,
    Path(serial): Path<String>,
    Body(body): Body<Order>,
) -> Result<Json<Value>, Problem> {
    let (session, token) = (&caller.session, &caller.token);
    let signed = bytes(&body.order)?;
    let state = control_plane.order_enc_mode(session, token, &serial, body.mode, &signed).await?;
    Ok(answer(state))
}

/// The mode, the signed order that says so, and the history.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(answer(control_plane.enc_mode(&session, &serial).await?))
}

fn answer(state: EncModeState) -> Json<Value> {
    let history: Vec<_> = state
        .history
        .into_iter()
        .map(|event| {
            let by = if event.ordered { "owner" } else { "new_key" };
            json!({ "mode": event.mode, "by": by, "at": event.at })
        })
        .collect();
    Json(json!({
        "mode": state.mode,
        "binding_epoch": state.binding_epoch,
        "sequence": state.order.as_ref().map_or(0, |order| order.sequence),
        "order": state.order.map(|order| B64.encode(order.signed)),
        "history": history,
    }))
}
