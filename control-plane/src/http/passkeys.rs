//! `GET /v1/passkeys`, `POST /v1/passkeys/challenges`, `POST /v1/sessions/passkey`,
//! `GET|POST /v1/me/passkeys`, `POST /v1/me/passkeys/challenges`, `PATCH|DELETE /v1/me/passkeys/{id}`

mod types;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sightline_operation::{Created, NoContent, Refusals, Refused, Rule, Table, refused};

use super::body::{Body, bytes};
use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::{ClientIp, LoggedIn, Proven};
use super::refusals::LIMITED;
use super::sessions::{ConsentGiven, SessionMade, session_made};
use crate::ControlPlane;
use crate::abnormal::LoginHeld;
use crate::error::Inner;
use crate::ids::PasskeyId;
use crate::passkey::{MadePasskey, PasskeyError, PasskeyLoginError, PasskeySignIn};
use crate::secure::SecureError;
use crate::session::SignInError;
use types::{
    NewPasskey, NewPasskeySession, PasskeyCreation, PasskeyJson, PasskeyMade, PasskeyNamed,
    PasskeyParty, PasskeyRequest,
};

const NO_PARTY: Refused =
    refused(404, "no-passkeys", "This server has no name that passkeys could belong to");

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("none", "The name that passkeys of this server belong to, if it has one");
    table.get("/v1/passkeys", Rule::Public, about, party);
    let about = ("account", "What a browser needs to sign in by passkey");
    table
        .post("/v1/passkeys/challenges", Rule::Key, about, ask)
        .refuses(&[NO_PARTY, LIMITED])
        .may::<Inner>();
    let about = ("account", "Sign in by passkey");
    table
        .post("/v1/sessions/passkey", Rule::Key, about, sign_in)
        .may::<PasskeyLoginError>()
        .may::<LoginHeld>();
    let about = ("account", "Passkeys of the account, oldest first");
    table.get("/v1/me/passkeys", Rule::OwnLogin, about, list);
    let about = ("account", "What a browser needs to make a passkey");
    table.post("/v1/me/passkeys/challenges", Rule::OwnLogin, about, wish).may::<PasskeyError>();
    let about = ("account", "Add a passkey; it signs in from now on");
    table.post("/v1/me/passkeys", Rule::OwnLogin, about, add).may::<PasskeyError>();
    let about = ("account", "Give a passkey another name");
    table.patch("/v1/me/passkeys/{id}", Rule::OwnLogin, about, rename).may::<PasskeyError>();
    let about = ("account", "Take a passkey off the account; nothing else changes");
    table.delete("/v1/me/passkeys/{id}", Rule::OwnLogin, about, remove).may::<PasskeyError>();
}

/// Whom passkeys are for.
pub(super) async fn party(State(control_plane): State<ControlPlane>) -> Json<PasskeyParty> {
    let rp_id = control_plane.relying_party().map(|party| party.id().to_owned());
    Json(PasskeyParty { rp_id })
}

/// Asks for a login.
pub(super) async fn ask(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    ClientIp(ip): ClientIp,
) -> Result<Created<PasskeyRequest>, Problem> {
    let asked = control_plane.ask_passkey(terminal, ip).await?;
    Ok(Created(PasskeyRequest::new(asked)))
}

/// Signs in.
pub(super) async fn sign_in(
    State(control_plane): State<ControlPlane>,
    Proven(terminal): Proven,
    ClientIp(ip): ClientIp,
    Body(body): Body<NewPasskeySession>,
) -> Result<Created<SessionMade>, Problem> {
    let request = PasskeySignIn {
        credential: bytes(&body.credential_id)?,
        client_data: bytes(&body.client_data_json)?,
        authenticator_data: bytes(&body.authenticator_data)?,
        signature: bytes(&body.signature)?,
        user: bytes(&body.user_handle)?,
        terminal_name: body.terminal_name,
        client_type: body.client_type,
        consents: body.consents.into_iter().map(ConsentGiven::pair).collect(),
    };
    let done = control_plane.sign_in_by_passkey(&request, terminal, ip).await?;
    control_plane.notice_login(&done, ip).await?;
    Ok(Created(session_made(done)))
}

/// The account's passkeys.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    paging: Paging,
) -> Result<Json<Page<PasskeyJson>>, Problem> {
    let passkeys = control_plane.my_passkeys(&session).await?;
    let shown = passkeys.into_iter().map(|passkey| {
        let key = format!("{:020} {}", passkey.created_at, passkey.id);
        (key, PasskeyJson::from(passkey))
    });
    Ok(Json(Page::of(shown, &paging)))
}

/// Asks for a new passkey.
pub(super) async fn wish(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Created<PasskeyCreation>, Problem> {
    let wish = control_plane.wish_passkey(&session).await?;
    Ok(Created(PasskeyCreation::new(wish)))
}

/// Adds a passkey.
pub(super) async fn add(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Body(body): Body<NewPasskey>,
) -> Result<Created<PasskeyMade>, Problem> {
    let made = MadePasskey {
        name: body.name,
        client_data: bytes(&body.client_data_json)?,
        authenticator_data: bytes(&body.authenticator_data)?,
    };
    let id = control_plane.add_passkey(&session, &made).await?;
    Ok(Created(PasskeyMade { id }))
}

/// Names a passkey.
pub(super) async fn rename(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<PasskeyId>,
    Body(body): Body<PasskeyNamed>,
) -> Result<NoContent, Problem> {
    control_plane.rename_passkey(&session, &id, &body.name).await?;
    Ok(NoContent)
}

/// Removes a passkey.
pub(super) async fn remove(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<PasskeyId>,
) -> Result<NoContent, Problem> {
    control_plane.remove_passkey(&session, &id).await?;
    Ok(NoContent)
}

impl Refusals for PasskeyError {
    fn refusals() -> Vec<Refused> {
        let own = vec![
            NO_PARTY,
            refused(422, "passkey-invalid", "Not made for this server, account or challenge"),
            refused(409, "passkey-known", "This passkey is kept already"),
            refused(409, "passkeys-full", "The account has as many passkeys as it may"),
            refused(422, "value-invalid", "A value is none, or too long; the detail says which"),
            refused(404, "not-found", "The account has no such passkey"),
            LIMITED,
        ];
        [own, SecureError::refusals()].concat()
    }
}

impl From<PasskeyError> for Problem {
    fn from(error: PasskeyError) -> Self {
        match error {
            PasskeyError::NoParty => NO_PARTY.into(),
            PasskeyError::Invalid => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "passkey-invalid", error)
            }
            PasskeyError::Known => Self::new(StatusCode::CONFLICT, "passkey-known", error),
            PasskeyError::Full => Self::new(StatusCode::CONFLICT, "passkeys-full", error),
            PasskeyError::BadName => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "value-invalid", error)
            }
            PasskeyError::Unknown => Self::not_found("the account has no such passkey"),
            PasskeyError::Limited(wait) => Self::limited(wait.0, error),
            PasskeyError::Secure(error) => error.into(),
            PasskeyError::Inner(inner) => inner.into(),
        }
    }
}

impl Refusals for PasskeyLoginError {
    fn refusals() -> Vec<Refused> {
        let own = vec![
            NO_PARTY,
            refused(403, "passkey-refused", "The passkey does not sign in here, or not any more"),
            LIMITED,
        ];
        [own, SignInError::refusals()].concat()
    }
}

impl From<PasskeyLoginError> for Problem {
    fn from(error: PasskeyLoginError) -> Self {
        match error {
            PasskeyLoginError::NoParty => NO_PARTY.into(),
            PasskeyLoginError::Refused => {
                Self::new(StatusCode::FORBIDDEN, "passkey-refused", error)
            }
            PasskeyLoginError::Limited(wait) => Self::limited(wait.0, error),
            PasskeyLoginError::SignIn(error) => error.into(),
            PasskeyLoginError::Inner(inner) => inner.into(),
        }
    }
}
