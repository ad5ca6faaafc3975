//! `POST /v1/step-ups`

use axum::extract::State;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Created, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::{ChallengeId, Serial};
use crate::otp::OtpError;

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("media.view", "Open the viewing window of a device by a code");
    table.post("/v1/step-ups", Rule::Login, about, open).may::<OtpError>();
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepUp {
    challenge_id: ChallengeId,
    code: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct WindowOpened {
    serial: Serial,
    /// Unix seconds; viewing moves it.
    idle_expires_at: u64,
    /// Unix seconds.
    expires_at: u64,
}

/// Opens the viewing window.
pub(super) async fn open(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<StepUp>,
) -> Result<Created<WindowOpened>, Problem> {
    let code = Redacted::new(body.code);
    let window = control_plane.step_up(&session, &body.challenge_id, &code).await?;
    Ok(Created(WindowOpened {
        serial: window.serial,
        idle_expires_at: window.idle_expires,
        expires_at: window.max_expires,
    }))
}
