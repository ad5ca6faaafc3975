//! `POST /v1/sessions`, `POST /v1/sessions/refresh`, `DELETE /v1/sessions/current`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use sightline_operation::{Created, NoContent, Rule, Table};
use utoipa::ToSchema;

use super::body::Body;
use super::problem::Problem;
use super::proof::{ClientIp, LoggedIn, Proven, Unspent};
use crate::ControlPlane;
use crate::abnormal::LoginHeld;
use crate::credential::PasswordSignIn;
use crate::ids::{AccountId, ChallengeId, TerminalId};
use crate::limits::ACCESS_TTL_SECS;
use crate::password::Password;
use crate::replay::Asker;
use crate::session::{RefreshError, SignIn, SignInError, SignedIn, Tokens};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "Sign in by a code, which registers who is new, or by a password");
    table.post("/v1/sessions", Rule::Key, about, create).may::<SignInError>().may::<LoginHeld>();
    let about = ("account", "Trade a refresh token for new tokens");
    table.post("/v1/sessions/refresh", Rule::Key, about, refresh).may::<RefreshError>();
    let about = ("account", "Sign out; streams of this terminal end");
    table.delete("/v1/sessions/current", Rule::BasicLogin, about, end);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// With `code`: a challenge of purpose `login`.
    challenge_id: Option<ChallengeId>,
    /// With `challenge_id`.
    code: Option<String>,
    /// Phone number or mail address; with `password`, instead of a code.
    target: Option<String>,
    /// With `target`; or beside a code that is not enough by itself.
    password: Option<String>,
    terminal_name: String,
    client_type: String,
    #[serde(default)]
    consents: Vec<ConsentGiven>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentGiven {
    purpose: String,
    version: u32,
}

impl ConsentGiven {
    /// Purpose and version.
    pub(super) fn pair(self) -> (String, u32) {
        (self.purpose, self.version)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TokensJson {
    access_token: String,
    /// Seconds.
    expires_in: u64,
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
struct AccountNamed {
    id: AccountId,
}

#[derive(Serialize, ToSchema)]
struct TerminalNamed {
    id: TerminalId,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionMade {
    #[serde(flatten)]
    tokens: TokensJson,
    account: AccountNamed,
    terminal: TerminalNamed,
    /// Whether the account was made just now.
    new_account: bool,
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
    ClientIp(ip): ClientIp,
    Proven(terminal): Proven,
    Body(body): Body<NewSession>,
) -> Result<Created<SessionMade>, Problem> {
    let (terminal_name, client_type) = (body.terminal_name, body.client_type);
    let consents = body.consents.into_iter().map(ConsentGiven::pair).collect();
    let password = body.password.map(Password::new);
    let done = match (body.challenge_id, body.code, body.target, password) {
        (Some(challenge), Some(code), None, password) => {
            let code = Redacted::new(code);
            let request =
                SignIn { challenge, code, password, terminal_name, client_type, consents };
            control_plane.sign_in(&request, terminal).await?
        }
        (None, None, Some(target), Some(password)) => {
            let target = Redacted::new(target);
            let request = PasswordSignIn { target, password, terminal_name, client_type, consents };
            control_plane.sign_in_by_password(&request, terminal, ip).await?
        }
        _ => return Err(Problem::members("challenge_id and code, or target and password")),
    };
    control_plane.notice_login(&done, ip).await?;
    Ok(Created(session_made(done)))
}

/// The answer to whoever was signed in.
pub(super) fn session_made(done: SignedIn) -> SessionMade {
    SessionMade {
        tokens: done.tokens.into(),
        account: AccountNamed { id: done.account },
        terminal: TerminalNamed { id: done.terminal },
        new_account: done.new_account,
    }
}

/// Trades a refresh token for new tokens.
pub(super) async fn refresh(
    State(control_plane): State<ControlPlane>,
    Unspent(proof): Unspent,
    Body(body): Body<Refresh>,
) -> Result<Json<TokensJson>, Problem> {
    let (token, terminal) = (Redacted::new(body.refresh_token), proof.key.thumbprint());
    // Whoever has no login is refused here and takes no memory.
    if !control_plane.knows_refresh(&token, terminal).await? {
        return Err(RefreshError::Refused.into());
    }
    control_plane.take_proof(&proof, Asker::Known)?;
    Ok(Json(control_plane.refresh(&token, terminal).await?.into()))
}

/// Signs out.
pub(super) async fn end(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<NoContent, Problem> {
    control_plane.sign_out(&session).await?;
    Ok(NoContent)
}
