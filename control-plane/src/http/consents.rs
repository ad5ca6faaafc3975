//! `GET /v1/purposes`, `GET|POST /v1/consents`, `DELETE /v1/consents/{purpose}`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::consent::PURPOSES;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Granted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    purpose: String,
    version: u32,
    #[serde(rename = "decision")]
    _decision: Decision,
}

/// The catalogue; public.
pub(super) async fn purposes() -> Json<Value> {
    let items: Vec<_> = PURPOSES
        .iter()
        .map(|purpose| {
            json!({
                "id": purpose.id,
                "version": purpose.version,
                "optional": purpose.optional,
                "fields": purpose.fields,
                "retention": purpose.retention,
                "text": { "en": purpose.en, "zh": purpose.zh },
            })
        })
        .collect();
    Json(json!({ "items": items }))
}

/// What the account decided.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Value>, Problem> {
    let states = control_plane.consents(&session).await?;
    let items: Vec<_> = states
        .into_iter()
        .map(|state| {
            json!({
                "purpose": state.purpose,
                "version": state.version,
                "decision": if state.granted { "granted" } else { "withdrawn" },
                "seq": state.seq,
                "at": state.at,
            })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}

/// Consents to a purpose.
pub(super) async fn grant(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<Grant>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let seq = control_plane.grant_consent(&session, &body.purpose, body.version).await?;
    Ok((StatusCode::CREATED, Json(json!({ "seq": seq }))))
}

/// Withdraws a consent.
pub(super) async fn withdraw(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(purpose): Path<String>,
) -> Result<StatusCode, Problem> {
    control_plane.withdraw_consent(&session, &purpose).await?;
    Ok(StatusCode::NO_CONTENT)
}
