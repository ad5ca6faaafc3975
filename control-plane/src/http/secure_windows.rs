//! `POST /v1/secure-windows`

use axum::extract::State;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::ChallengeId;
use crate::password::Password;
use crate::secure::SecureError;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Confirm who one is, for dangerous acts of this login");
    table.post("/v1/secure-windows", Rule::OwnLogin, about, open).may::<SecureError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// With `code`: a challenge of purpose `secure`.
    challenge_id: Option<ChallengeId>,
    /// With `challenge_id`.
    code: Option<String>,
    /// Instead of both.
    password: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Confirmed {
    /// Unix seconds.
    pub(super) expires_at: u64,
}

/// Opens the window by a code or by the password.
pub(super) async fn open(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<Confirmation>,
) -> Result<Created<Confirmed>, Problem> {
    let expires_at = match (body.challenge_id, body.code, body.password) {
        (Some(challenge), Some(code), None) => {
            control_plane.secure_by_code(&session, &challenge, &Redacted::new(code)).await?
        }
        (None, None, Some(password)) => {
            control_plane.secure_by_password(&session, &Password::new(password)).await?
        }
        _ => return Err(Problem::members("challenge_id and code, or password")),
    };
    Ok(Created(Confirmed { expires_at }))
}
