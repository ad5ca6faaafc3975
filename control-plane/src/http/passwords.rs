//! `PUT /v1/me/password`, `POST /v1/password-resets`

use axum::extract::State;
use serde::Deserialize;
use sightline_grant::Redacted;
use sightline_operation::{NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::problem::Problem;
use super::proof::{LoggedIn, Proven};
use crate::ControlPlane;
use crate::credential::NewPasswordError;
use crate::ids::ChallengeId;
use crate::password::Password;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Set or change the password; all other logins end");
    table.put("/v1/me/password", Rule::OwnLogin, about, set).may::<NewPasswordError>();
    let about = ("account", "Set a new password by a code; all logins end");
    table.post("/v1/password-resets", Rule::Key, about, reset).may::<NewPasswordError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordWanted {
    /// The new one: 8 to 128 characters; with 15 it signs in on new terminals, too.
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    challenge_id: ChallengeId,
    /// Of purpose `reset`.
    code: String,
    /// The new one.
    password: String,
}

/// Sets the password of a login that has confirmed who it is.
pub(super) async fn set(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<PasswordWanted>,
) -> Result<NoContent, Problem> {
    control_plane.set_password(&session, &Password::new(body.password)).await?;
    Ok(NoContent)
}

/// Sets a new password by a code.
pub(super) async fn reset(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    Body(body): Body<Reset>,
) -> Result<NoContent, Problem> {
    let (code, password) = (Redacted::new(body.code), Password::new(body.password));
    control_plane.reset_password(&body.challenge_id, &code, &password, terminal).await?;
    Ok(NoContent)
}
