//! `GET|PUT|DELETE /v1/devices/{serial}/location`: the one operation that takes a place.

use axum::Json;
use axum::extract::{Path, State};
use sightline_operation::{NoContent, Rule, Table};

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::consent::DEVICE_LOCATION;
use crate::device_facts::FactError;
use crate::place::Place;

const PATH: &str = "/v1/devices/{serial}/location";

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let purpose = DEVICE_LOCATION.id;
    table.get(PATH, Rule::Owner, (purpose, "Where a device stands"), show).may::<FactError>();
    table.put(PATH, Rule::Owner, (purpose, "Keep where a device stands"), store).may::<FactError>();
    table
        .delete(PATH, Rule::Owner, (purpose, "Forget where a device stands"), forget)
        .may::<FactError>();
}

/// Where a device stands.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<Json<Place>, Problem> {
    Ok(Json(control_plane.place(&session, &serial).await?))
}

/// Keeps where a device stands.
pub(super) async fn store(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
    Body(place): Body<Place>,
) -> Result<NoContent, Problem> {
    control_plane.put_place(&session, &serial, &place).await?;
    Ok(NoContent)
}

/// Forgets where a device stands.
pub(super) async fn forget(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(serial): Path<String>,
) -> Result<NoContent, Problem> {
    control_plane.forget_place(&session, &serial).await?;
    Ok(NoContent)
}
