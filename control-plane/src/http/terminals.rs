//! `PUT /v1/terminals/{id}`, `PUT /v1/terminals/{id}/permissions`

use axum::extract::{Path, State};
use sightline_operation::{NoContent, Rule, Table};

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::TerminalId;
use crate::terminal::{Permissions, TerminalError, TerminalFacts};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("terminal.security", "What a terminal says about itself, kept for 90 days");
    table.put("/v1/terminals/{id}", Rule::Login, about, describe).may::<TerminalError>();
    let about = ("account", "What the system lets the client do; decides nothing");
    table
        .put("/v1/terminals/{id}/permissions", Rule::Login, about, permissions)
        .may::<TerminalError>();
}

/// Stores facts about a terminal of the account.
pub(super) async fn describe(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<TerminalId>,
    Body(facts): Body<TerminalFacts>,
) -> Result<NoContent, Problem> {
    control_plane.describe_terminal(&session, &id, &facts).await?;
    Ok(NoContent)
}

/// Stores permissions of a terminal of the account.
pub(super) async fn permissions(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<TerminalId>,
    Body(permissions): Body<Permissions>,
) -> Result<NoContent, Problem> {
    control_plane.report_permissions(&session, &id, &permissions).await?;
    Ok(NoContent)
}
