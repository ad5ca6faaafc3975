//! `POST /v1/bind-tokens`, `GET|DELETE /v1/bind-tokens/{id}`, `POST /v1/device/bind`

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Created, NoContent, Rule, Table};
use utoipa::ToSchema;

use super::bindings::Bound;
use super::body::Body;
use super::picture::{Picture, picture};
use super::problem::Problem;
use super::proof::{FullLogin, LoggedIn, ProvenDevice};
use crate::ControlPlane;
use crate::bind_token::{BindTokenError, PresentError};
use crate::ids::{BindTokenId, Serial};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Make a user token, with which a device adds itself to the account");
    table.post("/v1/bind-tokens", Rule::Login, about, open).may::<BindTokenError>();
    let about = ("account", "What became of a user token");
    table.get("/v1/bind-tokens/{id}", Rule::Login, about, show).may::<BindTokenError>();
    let about = ("account", "Take a user token back");
    table.delete("/v1/bind-tokens/{id}", Rule::Login, about, end).may::<BindTokenError>();
    let about = ("account", "Present a user token: the device becomes its account's");
    table.post("/v1/device/bind", Rule::Device, about, present).may::<PresentError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// The one device that may present it; without one, any may.
    serial: Option<Serial>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TokenMade {
    id: BindTokenId,
    /// What the device is to present. Shown this once.
    token: String,
    picture: Picture,
    /// Unix seconds.
    expires_at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TokenState {
    /// Whether a device has presented it.
    used: bool,
    /// The device that may, or that has.
    serial: Option<Serial>,
    /// Unix seconds.
    expires_at: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Presented {
    token: String,
}

/// Makes a token.
pub(super) async fn open(
    State(control_plane): State<ControlPlane>,
    FullLogin(session): FullLogin,
    Body(body): Body<NewToken>,
) -> Result<Created<TokenMade>, Problem> {
    let serial = body.serial.as_ref().map(Serial::as_str);
    let opened = control_plane.open_bind_token(&session, serial).await?;
    Ok(Created(TokenMade {
        id: opened.id,
        picture: picture(&opened.token),
        token: opened.token.into_inner(),
        expires_at: opened.expires_at,
    }))
}

/// What became of a token.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<BindTokenId>,
) -> Result<Json<TokenState>, Problem> {
    let state = control_plane.bind_token(&session, &id).await?;
    let (used, expires_at) = (state.used, state.expires_at);
    Ok(Json(TokenState { used, serial: state.serial, expires_at }))
}

/// Takes a token back.
pub(super) async fn end(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<BindTokenId>,
) -> Result<NoContent, Problem> {
    control_plane.end_bind_token(&session, &id).await?;
    Ok(NoContent)
}

/// Binds the device that presents a token.
pub(super) async fn present(
    State(control_plane): State<ControlPlane>,
    ProvenDevice(identity): ProvenDevice,
    Body(body): Body<Presented>,
) -> Result<Created<Bound>, Problem> {
    let token = Redacted::new(body.token);
    let (serial, epochs) = control_plane.present_bind_token(identity.thumbprint(), &token).await?;
    Ok(Created(Bound { serial: serial.0, binding_epoch: epochs.binding }))
}
