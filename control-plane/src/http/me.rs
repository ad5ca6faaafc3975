//! `GET /v1/me`, `GET /v1/me/terminals`, `DELETE /v1/me/terminals/{id}`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::TerminalId;

/// The account.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Value>, Problem> {
    let me = control_plane.me(&session).await?.ok_or_else(Problem::login_required)?;
    Ok(Json(json!({
        "id": me.id,
        "phone_masked": me.phone_masked,
        "created_at": me.created_at,
    })))
}

/// Terminals on which the account is signed in.
pub(super) async fn terminals(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<Value>, Problem> {
    let terminals = control_plane.my_terminals(&session).await?;
    let items: Vec<_> = terminals
        .into_iter()
        .map(|terminal| {
            json!({
                "id": terminal.id,
                "name": terminal.name,
                "client_type": terminal.client_type,
                "first_seen": terminal.first_seen,
                "last_seen": terminal.last_seen,
                "current": terminal.current,
            })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}

/// Signs another terminal out.
pub(super) async fn sign_out_terminal(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<TerminalId>,
) -> Result<StatusCode, Problem> {
    if control_plane.sign_out_terminal(&session, &id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found("no such terminal on this account"))
}
