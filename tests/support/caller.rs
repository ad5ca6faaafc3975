//! A terminal of a server on free ports, by its bare requests: one key, one connection, and the codes
//! that the development senders show.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sightline_grant::{PublicKey, dpop};

use super::local::Local;
use super::process::wait_for;

/// Longest wait for a code.
const CODE_LIMIT: Duration = Duration::from_secs(20);

/// A terminal.
pub struct Caller {
    http: Client,
    origin: String,
    seed: [u8; 32],
    data: PathBuf,
    /// The login, once there is one.
    pub token: Option<String>,
}

impl Caller {
    /// A terminal with a key of its own.
    pub fn new(server: &Local) -> Self {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).expect("randomness");
        // A second installation in one process is refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let origin = server.line("page").trim_end_matches('/').to_owned();
        let origin = origin.replace("localhost", "127.0.0.1");
        Self { http: client(), origin, seed, data: server.data(), token: None }
    }

    /// The same terminal by a connection of its own.
    pub fn another_connection(&self) -> Self {
        let (origin, data) = (self.origin.clone(), self.data.clone());
        Self { http: client(), origin, seed: self.seed, data, token: self.token.clone() }
    }

    /// One JSON request; status and body.
    pub async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed).expect("32 bytes");
        let key = PublicKey::Ed25519(pair.public_key().as_ref().try_into().expect("32 bytes"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).expect("randomness");
        let request = dpop::Request { method, path, token: self.token.as_deref() };
        let id = URL_SAFE_NO_PAD.encode(id);
        let proof = dpop::create(&key, request, &self.origin, now, &id, |message| {
            pair.sign(message).as_ref().to_vec()
        });
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}{path}", self.origin);
        let mut request = self.http.request(verb, url).header("DPoP", proof).json(&body);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("DPoP {token}"));
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Asks for a code; the challenge.
    pub async fn ask(&self, wish: Value) -> String {
        let (status, body) = self.send("POST", "/v1/otp", wish).await;
        assert_eq!(status, 202, "{body}");
        body["challenge_id"].as_str().expect("a challenge").to_owned()
    }

    /// Codes that were sent to a number so far, the oldest first.
    pub fn codes(&self, phone: &str) -> Vec<String> {
        let text = fs::read_to_string(self.data.join("dev-sms.txt")).unwrap_or_default();
        let head = format!(" to {phone}\n");
        text.split("DEVELOPMENT SMS")
            .filter(|message| message.starts_with(&head))
            .filter_map(|message| {
                let bound = message.lines().rfind(|line| line.starts_with('@'))?;
                Some(bound.split_once('#')?.1.trim().to_owned())
            })
            .collect()
    }

    /// The code after the first `seen` ones.
    pub fn code_after(&self, seen: usize, phone: &str) -> String {
        wait_for("the code", CODE_LIMIT, || self.codes(phone).get(seen).cloned())
    }

    /// Signs in by a code, which registers a new number.
    pub async fn sign_in(&mut self, phone: &str) {
        let seen = self.codes(phone).len();
        let challenge = self.ask(json!({ "purpose": "login", "target": phone })).await;
        let code = self.code_after(seen, phone);
        let mut body = entry(json!({ "challenge_id": challenge, "code": code }));
        body["consents"] = json!([{ "purpose": "account", "version": 1 }]);
        let (status, body) = self.send("POST", "/v1/sessions", body).await;
        assert_eq!(status, 201, "{body}");
        self.token = body["access_token"].as_str().map(str::to_owned);
    }

    /// Sets a password by a code, as whoever has forgotten theirs. Ends all logins.
    pub async fn reset(&self, phone: &str, password: &str) {
        let seen = self.codes(phone).len();
        let challenge = self.ask(json!({ "purpose": "reset", "target": phone })).await;
        let code = self.code_after(seen, phone);
        let body = json!({ "challenge_id": challenge, "code": code, "password": password });
        let (status, body) = self.send("POST", "/v1/password-resets", body).await;
        assert_eq!(status, 204, "{body}");
    }
}

/// What opens a login, with what every login tells.
pub fn entry(mut shown: Value) -> Value {
    shown["terminal_name"] = "end-to-end test".into();
    shown["client_type"] = "test".into();
    shown
}

fn client() -> Client {
    let builder = Client::builder().no_proxy().pool_max_idle_per_host(1);
    builder.build().expect("an HTTP client")
}
