//! `GET /v1/devices`

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};

use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;

/// Devices of the account.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Value>, Problem> {
    let devices = control_plane.my_devices(&session).await?;
    let items: Vec<_> = devices
        .into_iter()
        .map(|state| {
            let label = if state.sealed() {
                "sealed: only you and whom you let in can see its video"
            } else if state.can_seal() {
                "open, as its owner ordered: this server could see its video"
            } else {
                "open: this server could see its video"
            };
            json!({
                "sealed": state.sealed(),
                "can_seal": state.can_seal(),
                "opened_at": state.opened_by().map(|order| order.stored_at),
                "mode_label": label,
                "identity": state.identity_key.map(|key| B64.encode(key)),
                "key_ready": state.verifier.is_some(),
                "serial": state.device.serial,
                "name": state.device.name,
                "model": state.device.model,
                "role": "owner",
                "binding_epoch": state.epochs.binding,
                "key_epoch": state.epochs.key,
                "channels": state.device.channels,
            })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}
