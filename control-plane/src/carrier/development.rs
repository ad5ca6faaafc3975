//! A carrier for development: it speaks the wire of [`super::camara`], version 1, on this machine, and
//! lets anybody be any number. It says so wherever it is seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use url::Url;

use crate::clock::Clock;
use crate::development::web::{escaped, field, is_client, quiet, shown};
use crate::outbound;
use crate::phone::Phone;
use crate::random::{self, Random};

/// Life of a code and of an access token, seconds.
const LIFE_SECS: u64 = 120;
/// Codes and access tokens at a time; the oldest end when there are more.
const MOST: usize = 256;
/// Where browsers ask for a code.
pub const AUTHORIZE: &str = "authorize";
/// Where codes are traded.
pub const TOKEN: &str = "oauth2/token";
/// Where the API is.
pub const API: &str = "number-verification/v1/";

/// What the stand-in knows.
pub struct Development {
    client_id: String,
    secret: Redacted<String>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    held: Mutex<HashMap<String, Held>>,
}

/// A number behind a code or an access token.
struct Held {
    number: Phone,
    /// Whether it is a code, still to be traded.
    code: bool,
    expires: u64,
}

impl Development {
    /// Takes tokens to the service with this id and secret.
    pub fn new(
        client_id: &str,
        secret: Redacted<String>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let held = Mutex::new(HashMap::new());
        Self { client_id: client_id.to_owned(), secret, clock, random, held }
    }

    /// A code for a line.
    pub fn code_for(&self, number: Phone) -> String {
        self.hold(number, true)
    }

    fn hold(&self, number: Phone, code: bool) -> String {
        let name = random::hex_id(self.random.as_ref());
        let now = self.clock.now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, held| held.expires > now);
        if held.len() >= MOST
            && let Some(oldest) =
                held.iter().min_by_key(|(_, held)| held.expires).map(|(name, _)| name.clone())
        {
            held.remove(&oldest);
        }
        held.insert(name.clone(), Held { number, code, expires: now + LIFE_SECS });
        name
    }

    /// Takes what is behind a name, once.
    fn take(&self, name: &str, code: bool) -> Option<Phone> {
        let now = self.clock.now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = held.get(name).is_some_and(|held| held.code == code && held.expires > now);
        if fits { held.remove(name).map(|held| held.number) } else { None }
    }

    /// The stand-in's endpoints. Serve them on a loopback address only.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route(&format!("/{AUTHORIZE}"), get(form).post(authorize))
            .route(&format!("/{TOKEN}"), post(token))
            .route(&format!("/{API}device-phone-number"), get(number))
            .with_state(self)
    }
}

#[derive(Deserialize)]
struct Wish {
    redirect_uri: String,
    state: String,
}

/// The page on which somebody says which line this is.
async fn form(Query(wish): Query<Wish>) -> Response {
    let (redirect, state) = (escaped(&wish.redirect_uri), escaped(&wish.state));
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>DEVELOPMENT CARRIER</title><h1>DEVELOPMENT CARRIER</h1>\
         <p>No carrier is asked here, and nothing is proved: whatever number you enter counts as \
         this phone&rsquo;s. 开发用运营商替身：不验证任何号码。</p>\
         <form method=\"post\"><label>Number of this line / 本机号码 \
         <input name=\"number\" type=\"tel\" required autofocus value=\"+86\"></label>\
         <input type=\"hidden\" name=\"redirect_uri\" value=\"{redirect}\">\
         <input type=\"hidden\" name=\"state\" value=\"{state}\">\
         <button>Continue / 继续</button></form></html>"
    );
    (quiet(), Html(page)).into_response()
}

/// Sends the browser back with a code, to this machine only.
async fn authorize(State(desk): State<Arc<Development>>, body: Bytes) -> Response {
    let Some(number) = Phone::parse(&field(&body, "number")) else {
        return (StatusCode::BAD_REQUEST, "not a number with country code").into_response();
    };
    let url = Url::parse(&field(&body, "redirect_uri")).ok().filter(outbound::is_here);
    let Some(mut url) = url else {
        return (StatusCode::BAD_REQUEST, "redirect_uri is not on this machine").into_response();
    };
    let code = desk.code_for(number);
    url.query_pairs_mut().append_pair("code", &code).append_pair("state", &field(&body, "state"));
    (quiet(), Redirect::to(url.as_str())).into_response()
}

#[derive(Serialize)]
struct Granted {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

async fn token(State(desk): State<Arc<Development>>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_client(&headers, &desk.client_id, &desk.secret) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if field(&body, "grant_type") != "authorization_code" {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let Some(number) = desk.take(&field(&body, "code"), true) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let access_token = desk.hold(number, false);
    Json(Granted { access_token, token_type: "Bearer", expires_in: LIFE_SECS }).into_response()
}

#[derive(Serialize)]
struct Line {
    #[serde(rename = "devicePhoneNumber")]
    number: String,
}

async fn number(State(desk): State<Arc<Development>>, headers: HeaderMap) -> Response {
    match shown(&headers, "Bearer ").and_then(|token| desk.take(token, false)) {
        Some(number) => Json(Line { number: number.expose().to_owned() }).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}
