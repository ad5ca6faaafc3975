//! `POST|GET /v1/sessions/basic`: looking around without an account.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sightline_operation::{Created, NO_PURPOSE, Rule, Table};
use utoipa::ToSchema;

use super::problem::Problem;
use super::proof::{MayBrowse, Proven};
use crate::ControlPlane;
use crate::consent::ACCOUNT;

/// What everybody may look at, by the paths that show it.
const SHOWN: &[&str] = &["/v1/purposes", "/v1/attestation-texts", "/v1/server", "/docs"];

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = (NO_PURPOSE, "Look around without an account; nothing is stored");
    table.post("/v1/sessions/basic", Rule::Key, about, open);
    let about = (NO_PURPOSE, "What this session may look at, and what it takes to have the rest");
    table.get("/v1/sessions/basic", Rule::BasicLogin, about, show);
}

#[derive(Serialize, ToSchema)]
pub(super) struct BasicSessionMade {
    access_token: String,
    /// Seconds.
    expires_in: u64,
    mode: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct BasicMode {
    /// `basic`, or `full` for a login whose holder agreed to the policy.
    mode: &'static str,
    /// Paths that it may ask for.
    shows: &'static [&'static str],
    /// Purpose to agree to for the rest; none in full mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<&'static str>,
}

/// Opens a session that stands on the terminal's key alone.
pub(super) async fn open(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
) -> Result<Created<BasicSessionMade>, Problem> {
    let session = control_plane.open_basic(terminal);
    let (access_token, expires_in) = (session.token.into_inner(), session.expires_in);
    Ok(Created(BasicSessionMade { access_token, expires_in, mode: "basic" }))
}

/// What the session may do.
pub(super) async fn show(MayBrowse { full }: MayBrowse) -> Result<Json<BasicMode>, Problem> {
    let mode = if full { "full" } else { "basic" };
    Ok(Json(BasicMode { mode, shows: SHOWN, needs: (!full).then_some(ACCOUNT.id) }))
}
