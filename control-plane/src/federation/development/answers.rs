//! What the stand-in answers.

use std::sync::Arc;

use aws_lc_rs::signature::KeyPair;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{Development, LIFE_SECS, Login, MAX_NAME_CHARS};
use crate::development::web::{escaped, field, is_client, quiet};
use crate::federation::oidc::{challenge, jws};
use crate::{outbound, random};

/// Id of its one key.
const KID: &str = "development-1";

pub(super) async fn description(State(desk): State<Arc<Development>>) -> Response {
    let at = |path: &str| format!("{}/{path}", desk.issuer);
    let description = json!({
        "issuer": desk.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "jwks_uri": at("jwks"),
        "revocation_endpoint": at("revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    Json(description).into_response()
}

/// What a browser is sent here with.
#[derive(Deserialize)]
pub(super) struct Wish {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
    state: String,
    nonce: String,
    code_challenge: String,
    code_challenge_method: String,
}

impl Wish {
    /// What is wrong with it.
    fn fault(&self, desk: &Development) -> Option<&'static str> {
        let checks = [
            (self.client_id == desk.client_id, "client_id is unknown"),
            (self.redirect().is_some(), "redirect_uri is not on this machine"),
            (self.response_type == "code", "response_type is not code"),
            (self.scope.split(' ').any(|scope| scope == "openid"), "scope has no openid"),
            (self.code_challenge_method == "S256", "code_challenge_method is not S256"),
            (!self.nonce.is_empty() && !self.state.is_empty(), "nonce or state is empty"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map(|(_, fault)| fault)
    }

    fn redirect(&self) -> Option<Url> {
        Url::parse(&self.redirect_uri).ok().filter(outbound::is_here)
    }
}

/// The page on which somebody says who this is.
pub(super) async fn form(
    State(desk): State<Arc<Development>>,
    Query(wish): Query<Wish>,
) -> Response {
    if let Some(fault) = wish.fault(&desk) {
        return (StatusCode::BAD_REQUEST, fault).into_response();
    }
    let hidden = [
        ("response_type", &wish.response_type),
        ("client_id", &wish.client_id),
        ("redirect_uri", &wish.redirect_uri),
        ("scope", &wish.scope),
        ("state", &wish.state),
        ("nonce", &wish.nonce),
        ("code_challenge", &wish.code_challenge),
        ("code_challenge_method", &wish.code_challenge_method),
    ];
    let hidden = hidden.map(|(name, value)| {
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))
    });
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>DEVELOPMENT IDENTITY</title><h1>DEVELOPMENT IDENTITY</h1>\
         <p>This stands in for an identity provider. Nobody is asked for a password and nothing is \
         proved: whoever you say you are, you are. 开发用身份提供方替身：不验证任何身份。</p>\
         <form method=\"post\"><label>Name to be known by / 身份名称 \
         <input name=\"name\" required autofocus maxlength=\"{MAX_NAME_CHARS}\" \
         pattern=\"[A-Za-z0-9._\\-]+\"></label>{}\
         <button>Continue / 继续</button>\
         <button name=\"cancel\" value=\"1\" formnovalidate>Cancel / 取消</button></form></html>",
        hidden.concat()
    );
    (quiet(), Html(page)).into_response()
}

/// Sends the browser back, to this machine only.
pub(super) async fn authorize(State(desk): State<Arc<Development>>, body: Bytes) -> Response {
    let field = |name| field(&body, name);
    let wish = Wish {
        response_type: field("response_type"),
        client_id: field("client_id"),
        redirect_uri: field("redirect_uri"),
        scope: field("scope"),
        state: field("state"),
        nonce: field("nonce"),
        code_challenge: field("code_challenge"),
        code_challenge_method: field("code_challenge_method"),
    };
    if let Some(fault) = wish.fault(&desk) {
        return (StatusCode::BAD_REQUEST, fault).into_response();
    }
    let Some(mut back) = wish.redirect() else { return StatusCode::BAD_REQUEST.into_response() };
    let subject = field("name");
    let answer = if !field("cancel").is_empty() {
        ("error", "access_denied".to_owned())
    } else if is_name(&subject) {
        let login = Login {
            subject,
            redirect: wish.redirect_uri.clone(),
            nonce: wish.nonce.clone(),
            challenge: wish.code_challenge.clone(),
            at: desk.clock.now(),
        };
        ("code", desk.code_for(login))
    } else {
        return (StatusCode::BAD_REQUEST, "a name has letters, digits, . _ or -").into_response();
    };
    back.query_pairs_mut()
        .append_pair(answer.0, &answer.1)
        .append_pair("state", &wish.state)
        .append_pair("iss", &desk.issuer);
    (quiet(), Redirect::to(back.as_str())).into_response()
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(plain)
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    auth_time: u64,
    nonce: &'a str,
}

pub(super) async fn token(
    State(desk): State<Arc<Development>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_client(&headers, &desk.client_id, &desk.secret) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if field(&body, "grant_type") != "authorization_code" {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let login = desk.login_of(&field(&body, "code")).filter(|login| {
        login.redirect == field(&body, "redirect_uri")
            && login.challenge == challenge(&field(&body, "code_verifier"))
    });
    let Some(login) = login else { return refused(StatusCode::BAD_REQUEST, "invalid_grant") };
    let now = desk.clock.now();
    let claims = Claims {
        iss: &desk.issuer,
        sub: &login.subject,
        aud: &desk.client_id,
        exp: now + LIFE_SECS,
        iat: now,
        auth_time: login.at,
        nonce: &login.nonce,
    };
    let Ok(id_token) = jws::es256(&desk.key, KID, &claims) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Good for nothing: there is nothing else to ask here.
    let access = random::hex_id(desk.random.as_ref());
    let answer = json!({
        "access_token": access, "token_type": "Bearer", "expires_in": LIFE_SECS,
        "id_token": id_token, "refresh_token": desk.new_token(),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

pub(super) async fn keys(State(desk): State<Arc<Development>>) -> Response {
    // An uncompressed point: one byte that says so, then the two coordinates.
    let (_, coordinates) = desk.key.public_key().as_ref().split_at(1);
    let (x, y) = coordinates.split_at(32);
    let key = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KID,
        "x": B64.encode(x), "y": B64.encode(y),
    });
    Json(json!({ "keys": [key] })).into_response()
}

/// RFC 7009: a token that is unknown counts as taken back.
pub(super) async fn revoke(
    State(desk): State<Arc<Development>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_client(&headers, &desk.client_id, &desk.secret) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    desk.take_back(&field(&body, "token"));
    StatusCode::OK.into_response()
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
