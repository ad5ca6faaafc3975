//! `GET /v1/messages`

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;

/// Newest in-app messages.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Value>, Problem> {
    let messages = control_plane.messages(&session).await?;
    let items: Vec<_> = messages
        .into_iter()
        .map(|shown| {
            json!({
                "id": shown.message.id,
                "kind": shown.message.kind,
                "about": shown.message.reference,
                "at": shown.message.at,
                "text": { "en": shown.en, "zh": shown.zh },
            })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}
