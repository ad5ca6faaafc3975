//! Requests of apps: forms with what an app shows of itself, and requests with its access token.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sightline_grant::dpop::Proof;
use sightline_grant::{Redacted, Thumbprint};
use sightline_operation::{Draft, FORM, Part, Refused, refused};
use tokio::time::timeout;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::error::{OAuthError, REFUSALS};
use crate::ControlPlane;
use crate::http::body::BODY_TIMEOUT;
use crate::http::problem::Problem;
use crate::http::proof::{ClientIp, DPOP, single, token, verify};
use crate::ids::AppId;
use crate::replay::Asker;
use crate::sso::token::{ClientShown, TokenError};
use crate::storage::model::{App, AppLogin, RetryAfter};

/// Name of the refusal of an access token.
pub(in crate::http) const APP_LOGIN_REQUIRED: &str = "app-login-required";

const LOGIN_REFUSALS: &[Refused] = &[
    refused(401, APP_LOGIN_REQUIRED, "No login of an app, or it has ended; refresh or sign in"),
    refused(401, "proof-invalid", "The DPoP proof does not hold for this request; make a new one"),
    refused(401, "proof-replayed", "The DPoP proof has been used; make one for each request"),
    refused(503, "unavailable", "The service cannot do this now; try again after Retry-After"),
];

/// Form of the token endpoint. Parameters that are not known are left alone (RFC 6749, 3.2).
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "says what the form has; it is read by names")]
pub(super) struct TokenForm {
    /// `authorization_code` or `refresh_token`.
    grant_type: String,
    /// Of the app, unless it is in the header.
    client_id: Option<String>,
    /// Of a confidential app, unless it is in the header.
    client_secret: Option<String>,
    /// With `authorization_code`.
    code: Option<String>,
    /// With `authorization_code`: where the browser came back to.
    redirect_uri: Option<String>,
    /// With `authorization_code`.
    code_verifier: Option<String>,
    /// With `refresh_token`.
    refresh_token: Option<String>,
}

/// Form of the revocation endpoint.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "says what the form has; it is read by names")]
pub(super) struct RevokeForm {
    /// An access or refresh token.
    token: String,
    /// Not needed to find it.
    token_type_hint: Option<String>,
    /// Of the app, unless it is in the header.
    client_id: Option<String>,
    /// Of a confidential app, unless it is in the header.
    client_secret: Option<String>,
}

/// Members of a form, each once.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    fn parse(text: &[u8]) -> Result<Self, TokenError> {
        let mut members = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if members.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(TokenError::InvalidRequest("a parameter is there twice"));
            }
        }
        Ok(Self(members))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A member that must be there.
    pub(super) fn one(&self, name: &'static str) -> Result<&str, TokenError> {
        self.get(name).ok_or(TokenError::InvalidRequest("a parameter is missing"))
    }

    /// The same, of a member that is not to be printed.
    pub(super) fn secret(&self, name: &'static str) -> Result<Redacted<String>, TokenError> {
        self.one(name).map(|value| Redacted::new(value.to_owned()))
    }
}

/// A form of an app that has shown who it is.
pub(super) struct Call<T> {
    pub(super) app: App,
    /// Key that the request proved.
    pub(super) jkt: Option<Thumbprint>,
    pub(super) form: Form,
    described: PhantomData<T>,
}

impl<T: ToSchema> Part for Call<T> {
    fn describe(draft: &mut Draft) {
        draft.takes_form::<T>();
        draft.refuses(REFUSALS);
    }
}

impl<T> FromRequest<ControlPlane> for Call<T> {
    type Rejection = OAuthError;

    async fn from_request(
        request: Request,
        control_plane: &ControlPlane,
    ) -> Result<Self, OAuthError> {
        let (mut parts, body) = request.into_parts();
        let Ok(ClientIp(ip)) = ClientIp::from_request_parts(&mut parts, control_plane).await;
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(FORM) {
            return Err(TokenError::InvalidRequest("send a form").into());
        }
        let whole = Request::from_parts(parts.clone(), body);
        let reading = timeout(BODY_TIMEOUT, Bytes::from_request(whole, control_plane)).await;
        let read = reading.ok().and_then(Result::ok);
        let read =
            read.ok_or(TokenError::InvalidRequest("the form did not arrive, or is too long"))?;
        let form = Form::parse(&read)?;
        let mut shown = shown(&parts.headers, &form)?;
        control_plane.count_app_call(&shown.id, ip)?;
        let proof = proof(control_plane, &parts)?;
        shown.jkt = proof.as_ref().map(|proof| proof.key.thumbprint());
        let app = control_plane.known_app(&shown).await?;
        if let Some(proof) = &proof {
            let token = form.get("refresh_token").or(form.get("token"));
            let known = control_plane.asks_as_known(&app, token, form.get("code")).await;
            let known = known.map_err(TokenError::from)?;
            let asker = if known { Asker::Known } else { Asker::Stranger(ip) };
            control_plane.take_proof(proof, asker).map_err(not_taken)?;
        }
        Ok(Self { app, jkt: shown.jkt, form, described: PhantomData })
    }
}

/// The proof of a request that has one.
fn proof(control_plane: &ControlPlane, parts: &Parts) -> Result<Option<Proof>, TokenError> {
    if !parts.headers.contains_key(DPOP) {
        return Ok(None);
    }
    verify(control_plane, parts, None).map(Some).map_err(|_| TokenError::InvalidProof)
}

/// A used proof does not hold; for one without room there may be some later.
fn not_taken(problem: Problem) -> TokenError {
    let wait = problem.retry_after.map(RetryAfter);
    wait.map_or(TokenError::InvalidProof, TokenError::Limited)
}

/// What the app shows of itself, in one way only.
fn shown(headers: &HeaderMap, form: &Form) -> Result<ClientShown, TokenError> {
    let in_form = (form.get("client_id"), form.get("client_secret"));
    let shown = |id: String, secret: Option<String>| ClientShown {
        id: AppId(id),
        secret: secret.map(Redacted::new),
        jkt: None,
    };
    if !headers.contains_key(header::AUTHORIZATION) {
        let (id, secret) = in_form;
        let id = id.ok_or(TokenError::InvalidClient)?;
        return Ok(shown(id.to_owned(), secret.map(str::to_owned)));
    }
    let (id, secret) = basic(headers).ok_or(TokenError::InvalidClient)?;
    let other = in_form.0.is_some_and(|named| named != id);
    if other || in_form.1.is_some() {
        return Err(TokenError::InvalidRequest("the app shows itself in two ways"));
    }
    Ok(shown(id, Some(secret)))
}

/// Client id and secret of a Basic header, each encoded as a form's (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, text) = single(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    let text = STANDARD.decode(text.trim()).ok()?;
    let text = String::from_utf8(text).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = text.split_once(':')?;
    let plain = |text: &str| {
        let named = format!("x={text}");
        let (_, value) = form_urlencoded::parse(named.as_bytes()).next()?;
        Some(value.into_owned())
    };
    Some((plain(id)?, plain(secret)?))
}

/// The request carried a live access token of an app and proved the key that it is bound to, if any.
pub(super) struct AppCaller(pub(super) AppLogin);

impl Part for AppCaller {
    fn describe(draft: &mut Draft) {
        draft.refuses(LOGIN_REFUSALS);
    }
}

impl FromRequestParts<ControlPlane> for AppCaller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        control_plane: &ControlPlane,
    ) -> Result<Self, Problem> {
        let required = || {
            let detail = "show an access token of this server";
            Problem::new(StatusCode::UNAUTHORIZED, APP_LOGIN_REQUIRED, detail)
        };
        let login = match token(parts) {
            Some(token) => {
                let proof = verify(control_plane, parts, Some(&token))?;
                let key = proof.key.thumbprint();
                let login = control_plane.app_login(&token, Some(key)).await?;
                if login.is_some() {
                    control_plane.take_proof(&proof, Asker::Known)?;
                }
                login
            }
            None => match bearer(&parts.headers) {
                Some(token) => control_plane.app_login(&token, None).await?,
                None => None,
            },
        };
        login.map(Self).ok_or_else(required)
    }
}

fn bearer(headers: &HeaderMap) -> Option<Redacted<String>> {
    let value = single(headers, &header::AUTHORIZATION)?.strip_prefix("Bearer ")?;
    Some(Redacted::new(value.trim().to_owned()))
}
