//! `GET /v1/apps/{client}/version`

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use sightline_operation::{NO_PURPOSE, Rule, Table, refused};
use utoipa::ToSchema;

use super::problem::Problem;
use crate::ControlPlane;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about =
        (NO_PURPOSE, "The newest version of a client, and the oldest that may still be used");
    table.get("/v1/apps/{client}/version", Rule::Public, about, version).refuses(&[
        refused(404, "not-found", "The operator names no version of this client"),
        refused(503, "unavailable", "The service cannot do this now; try again after Retry-After"),
    ]);
}

#[derive(Serialize, ToSchema)]
pub(super) struct AppNotes {
    en: String,
    zh: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AppVersion {
    newest: String,
    /// Whoever has an older one must update.
    minimum: String,
    notes: AppNotes,
    /// Unix seconds.
    changed_at: u64,
}

/// The versions; the client compares, so it need not say which one it is.
pub(super) async fn version(
    State(control_plane): State<ControlPlane>,
    Path(client): Path<String>,
) -> Result<Json<AppVersion>, Problem> {
    let found = control_plane.app_version(&client).await?;
    let row = found.ok_or_else(|| Problem::not_found("no version of this client is named"))?;
    Ok(Json(AppVersion {
        newest: row.newest,
        minimum: row.minimum,
        notes: AppNotes { en: row.notes_en, zh: row.notes_zh },
        changed_at: row.changed_at,
    }))
}
