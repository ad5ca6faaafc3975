//! Apple's wire, as far as a service meets it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use sightline_grant::PublicKey;
use url::{Url, form_urlencoded};

use super::rsa_parts;
use crate::clock::{Clock, ManualClock};
use crate::federation::oidc::challenge;

pub(super) const CLIENT: &str = "example.camera";
pub(super) const TEAM: &str = "TEAM000001";
pub(super) const KEY_ID: &str = "KEY0000001";

/// What stands in for Apple.
pub(super) struct Apple {
    pub(super) issuer: String,
    /// The team's key, as the developer downloads it.
    pub(super) pem: String,
    public: PublicKey,
    key: RsaKeyPair,
    clock: Arc<ManualClock>,
    codes: Mutex<HashMap<String, Code>>,
    /// Tokens that were taken back.
    pub(super) revoked: Mutex<Vec<String>>,
    pub(super) down: AtomicBool,
    /// Asked to take a token back, in all.
    pub(super) asked: Mutex<u64>,
}

struct Code {
    subject: String,
    nonce: String,
    challenge: String,
    redirect: String,
}

impl Apple {
    pub(super) async fn start(clock: Arc<ManualClock>) -> Arc<Self> {
        let pair = rcgen::KeyPair::generate().unwrap();
        let point = pair.public_key_raw();
        let (x, y) = (point[1..33].try_into().unwrap(), point[33..].try_into().unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let apple = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            pem: pair.serialize_pem(),
            public: PublicKey::P256 { x, y },
            key: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            clock,
            codes: Mutex::default(),
            revoked: Mutex::default(),
            down: AtomicBool::default(),
            asked: Mutex::default(),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(description))
            .route("/auth/keys", get(keys))
            .route("/auth/token", post(token))
            .route("/auth/revoke", post(revoke))
            .with_state(apple.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        apple
    }

    /// What a person who is sent there comes back with.
    pub(super) fn visit(&self, at: &Url, subject: &str) -> String {
        let query: HashMap<_, _> = at.query_pairs().into_owned().collect();
        assert_eq!(at.path(), "/auth/authorize");
        assert!(!query.contains_key("scope"), "name and address are not asked for");
        assert_eq!((&*query["client_id"], &*query["response_mode"]), (CLIENT, "query"));
        let mut codes = self.codes.lock().unwrap();
        let code = format!("apple-code-{}", codes.len());
        let of = |name: &str| query[name].clone();
        let (nonce, challenge, redirect) = (of("nonce"), of("code_challenge"), of("redirect_uri"));
        let subject = subject.to_owned();
        codes.insert(code.clone(), Code { subject, nonce, challenge, redirect });
        code
    }

    /// Whether this is a word of the team, for now and for this service.
    fn is_client(&self, form: &HashMap<String, String>) -> bool {
        let Some(secret) = form.get("client_secret") else { return false };
        let (message, signature) = secret.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let open = |part| -> Value { serde_json::from_slice(&B64.decode(part).unwrap()).unwrap() };
        let (header, claims, now) = (open(header), open(claims), self.clock.now());
        let signed = self.public.verify(message.as_bytes(), &B64.decode(signature).unwrap());
        let lasts = claims["exp"].as_u64().unwrap();
        signed
            && header == json!({"alg": "ES256", "kid": KEY_ID})
            && (&claims["iss"], &claims["sub"]) == (&json!(TEAM), &json!(CLIENT))
            && claims["aud"] == json!(self.issuer)
            && claims["iat"] == json!(now)
            && (now + 1..=now + 15_777_000).contains(&lasts)
            && form.get("client_id").is_some_and(|id| id == CLIENT)
    }

    fn sign(&self, claims: &Value) -> String {
        let header = B64.encode(json!({"alg": "RS256", "kid": "apple-1"}).to_string());
        let message = format!("{header}.{}", B64.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", B64.encode(signature))
    }
}

fn form(body: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(body).into_owned().collect()
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn description(State(apple): State<Arc<Apple>>) -> Json<Value> {
    let at = |path: &str| format!("{}/auth/{path}", apple.issuer);
    // Where grants are taken back it does not say.
    Json(json!({
        "issuer": apple.issuer, "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"), "jwks_uri": at("keys"),
    }))
}

async fn keys(State(apple): State<Arc<Apple>>) -> Json<Value> {
    let (n, e) = rsa_parts(apple.key.public_key().as_ref());
    Json(json!({"keys": [{
        "kty": "RSA", "kid": "apple-1", "use": "sig", "alg": "RS256",
        "n": B64.encode(n),
        "e": B64.encode(e),
    }]}))
}

async fn token(State(apple): State<Arc<Apple>>, body: Bytes) -> Response {
    let form = form(&body);
    if !apple.is_client(&form) {
        return refused(StatusCode::BAD_REQUEST, "invalid_client");
    }
    let code = apple.codes.lock().unwrap().remove(&form["code"]);
    let fits = |code: &Code| {
        code.redirect == form["redirect_uri"] && code.challenge == challenge(&form["code_verifier"])
    };
    let Some(code) = code.filter(fits) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let now = apple.clock.now();
    // The address of somebody else, and verified at that: it must lead nowhere.
    let claims = json!({
        "iss": apple.issuer, "aud": CLIENT, "sub": code.subject, "nonce": code.nonce, "iat": now,
        "exp": now + 86_400, "auth_time": now, "nonce_supported": true,
        "email": "anna@mail.example", "email_verified": "true",
    });
    Json(json!({
        "access_token": "a", "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": format!("refresh-of-{}", code.subject), "id_token": apple.sign(&claims),
    }))
    .into_response()
}

async fn revoke(State(apple): State<Arc<Apple>>, body: Bytes) -> Response {
    *apple.asked.lock().unwrap() += 1;
    if apple.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let form = form(&body);
    if !apple.is_client(&form) || form["token_type_hint"] != "refresh_token" {
        return refused(StatusCode::BAD_REQUEST, "invalid_client");
    }
    apple.revoked.lock().unwrap().push(form["token"].clone());
    StatusCode::OK.into_response()
}
