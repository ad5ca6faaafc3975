//! `GET /v1/messages`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sightline_operation::{Rule, Table};
use utoipa::ToSchema;

use super::page::{Page, Text};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    table.get("/v1/messages", Rule::Login, ("account", "Newest in-app messages"), list);
}

#[derive(Serialize, ToSchema)]
pub(super) struct MessageJson {
    id: u64,
    kind: String,
    /// What it is about, e.g. a serial.
    about: String,
    /// Unix seconds.
    at: u64,
    text: Text,
}

/// Newest in-app messages.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Page<MessageJson>>, Problem> {
    let messages = control_plane.messages(&session).await?;
    let shown = messages.into_iter().map(|shown| MessageJson {
        id: shown.message.id,
        kind: shown.message.kind,
        about: shown.message.reference,
        at: shown.message.at,
        text: Text { en: shown.en, zh: shown.zh },
    });
    Ok(Json(shown.collect()))
}
