//! What apps ask for as OAuth clients (RFC 6749, OpenID Connect Core 1.0): `POST /oauth/token`,
//! `POST /oauth/revoke`, `GET|POST /oauth/userinfo`, `GET /oauth/keys`,
//! `GET /.well-known/openid-configuration`. The authorisation endpoint is a file of the page.
//!
//! Apps in browsers are of other origins; there is no ambient authority for them to borrow, so all of
//! these paths are shared (see signaling's `origin`).

mod call;
mod error;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sightline_operation::{NO_PURPOSE, Rule, Table};
use utoipa::ToSchema;

use self::call::{AppCaller, Call, RevokeForm, TokenForm};
use self::error::{OAuthError, OAuthErrorJson};
use super::problem::Problem;
use crate::ControlPlane;
use crate::limits::ACCESS_TTL_SECS;
use crate::sso::token::{AppTokens, CodeShown, TokenError};
use crate::sso::userinfo::UserInfo;
use crate::sso::{DISCOVERY_PATH, Discovery, KEYS_PATH, PublishedKey};
use crate::sso::{REVOKE_PATH, TOKEN_PATH, USERINFO_PATH};

pub(super) use self::call::APP_LOGIN_REQUIRED;

/// Headers that an app of another origin may send.
const ALLOWED_HEADERS: &str = "authorization, content-type, dpop";
/// How long a preflight answer holds, seconds.
const PREFLIGHT_SECS: &str = "3600";

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = (NO_PURPOSE, "What apps need to know to sign people in here (OpenID Discovery)");
    table.get(DISCOVERY_PATH, Rule::Public, about, discovery);
    let about = (NO_PURPOSE, "Keys that ID tokens and logout tokens are signed with");
    table.get(KEYS_PATH, Rule::Public, about, keys);
    let about = ("account", "Trade an authorisation code or a refresh token of an app");
    table.post(TOKEN_PATH, Rule::Client, about, token).errs_as::<OAuthErrorJson>();
    let about = ("account", "End the login of an app that a token belongs to");
    table
        .post(REVOKE_PATH, Rule::Client, about, revoke)
        .errs_as::<OAuthErrorJson>()
        .answers(200, None);
    let about = ("account", "What an app may know of the person");
    table.get(USERINFO_PATH, Rule::App, about, user_info);
    table.post(USERINFO_PATH, Rule::App, about, user_info);
    let about = (NO_PURPOSE, "Preflight of apps in browsers");
    for path in [TOKEN_PATH, REVOKE_PATH, USERINFO_PATH] {
        table.options(path, Rule::Public, about, preflight).answers(204, None);
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct PublishedKeys {
    keys: Vec<PublishedKey>,
}

/// RFC 6749, 5.1 and OpenID Connect Core, 3.1.3.3.
#[derive(Serialize, ToSchema)]
pub(super) struct AppTokensJson {
    access_token: String,
    /// `DPoP` when they are bound to a key, `Bearer` otherwise.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    refresh_token: String,
    /// What the app gets, if it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// With a code only.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl From<AppTokens> for AppTokensJson {
    fn from(made: AppTokens) -> Self {
        Self {
            access_token: made.tokens.access.into_inner(),
            token_type: if made.bound { "DPoP" } else { "Bearer" },
            expires_in: ACCESS_TTL_SECS,
            refresh_token: made.tokens.refresh.into_inner(),
            scope: made.scopes.map(|scopes| scopes.to_string()),
            id_token: made.id_token.map(sightline_grant::Redacted::into_inner),
        }
    }
}

async fn discovery(State(control_plane): State<ControlPlane>) -> Json<Discovery> {
    Json(control_plane.discovery())
}

async fn keys(State(control_plane): State<ControlPlane>) -> Result<Json<PublishedKeys>, Problem> {
    Ok(Json(PublishedKeys { keys: control_plane.published_keys().await? }))
}

/// Trades a code or a refresh token.
async fn token(
    State(control_plane): State<ControlPlane>,
    call: Call<TokenForm>,
) -> Result<Json<AppTokensJson>, OAuthError> {
    let Call { app, jkt, form, .. } = call;
    let made = match form.one("grant_type")? {
        "authorization_code" => {
            let shown = CodeShown {
                code: form.secret("code")?,
                redirect_uri: form.one("redirect_uri")?.to_owned(),
                verifier: form.secret("code_verifier")?,
            };
            control_plane.trade_code(&app, &shown, jkt).await?
        }
        "refresh_token" => {
            control_plane.refresh_app(&app, &form.secret("refresh_token")?, jkt).await?
        }
        _ => return Err(TokenError::UnsupportedGrantType.into()),
    };
    Ok(Json(made.into()))
}

/// Ends a login.
async fn revoke(
    State(control_plane): State<ControlPlane>,
    call: Call<RevokeForm>,
) -> Result<Response, OAuthError> {
    let token = call.form.secret("token")?;
    control_plane.give_up(&call.app, &token).await.map_err(TokenError::from)?;
    Ok(StatusCode::OK.into_response())
}

/// What the app may know.
async fn user_info(
    State(control_plane): State<ControlPlane>,
    AppCaller(login): AppCaller,
) -> Result<Json<UserInfo>, Problem> {
    Ok(Json(control_plane.user_info(&login).await?))
}

async fn preflight() -> Response {
    let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        header(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        header(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        header(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECS),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
