//! `POST /v1/sessions`, `POST /v1/sessions/refresh`, `DELETE /v1/sessions/current`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sightline_grant::Redacted;

use super::body::Body;
use super::problem::Problem;
use super::proof::{LoggedIn, Proven};
use crate::ControlPlane;
use crate::ids::ChallengeId;
use crate::limits::ACCESS_TTL_SECS;
use crate::session::{SignIn, Tokens};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    challenge_id: ChallengeId,
    code: String,
    terminal_name: String,
    client_type: String,
    #[serde(default)]
    consents: Vec<Consent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    purpose: String,
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    refresh_token: String,
}

#[derive(Serialize)]
pub(super) struct TokensJson {
    access_token: String,
    expires_in: u64,
    refresh_token: String,
}

impl From<Tokens> for TokensJson {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access.into_inner(),
            expires_in: ACCESS_TTL_SECS,
            refresh_token: tokens.refresh.into_inner(),
        }
    }
}

/// Signs in, and registers who is new.
pub(super) async fn create(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let request = SignIn {
        challenge: body.challenge_id,
        code: Redacted::new(body.code),
        password: None,
        terminal_name: body.terminal_name,
        client_type: body.client_type,
        consents: body.consents.into_iter().map(|c| (c.purpose, c.version)).collect(),
    };
    let done = control_plane.sign_in(&request, terminal).await?;
    let tokens = TokensJson::from(done.tokens);
    let answer = json!({
        "access_token": tokens.access_token,
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "account": { "id": done.account },
        "terminal": { "id": done.terminal },
        "new_account": done.new_account,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Trades a refresh token for new tokens.
pub(super) async fn refresh(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    Body(body): Body<Refresh>,
) -> Result<Json<TokensJson>, Problem> {
    let token = Redacted::new(body.refresh_token);
    Ok(Json(control_plane.refresh(&token, terminal).await?.into()))
}

/// Signs out.
pub(super) async fn end(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<StatusCode, Problem> {
    control_plane.sign_out(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}
