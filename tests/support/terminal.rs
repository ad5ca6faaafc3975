//! A terminal as an app would be: a P-256 key, proofs of possession, a login, plain HTTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sightline_grant::dpop;
use sightline_grant::{PublicKey, Thumbprint};

use super::server::{ORIGIN, Server};

/// A development server sends one message per number within 2 s; asked again after this time.
const OTP_PAUSE: Duration = Duration::from_millis(700);
/// How often a code is asked for again.
const OTP_RETRIES: usize = 4;

/// What is presented beside the proof.
#[derive(Clone, Copy)]
pub enum Token<'a> {
    /// Nothing.
    None,
    /// The login's access token.
    Login,
    /// A media grant.
    Grant(&'a str),
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// `Location`, if any.
    pub location: Option<String>,
    /// Body as JSON, or as a string, or null.
    pub body: Value,
}

impl Reply {
    /// The body of a success; panics otherwise.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.body
    }

    /// Name of the problem, e.g. `sms-required`, with its status.
    pub fn problem(&self) -> (u16, String) {
        let kind = self.body["type"].as_str().unwrap_or_default();
        (self.status.as_u16(), kind.trim_start_matches("/problems/").to_owned())
    }
}

/// A terminal.
pub struct Terminal {
    http: Client,
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
    key: PublicKey,
    access_token: Option<String>,
    refresh_token: Option<String>,
    pub phone: String,
}

impl Terminal {
    /// A new terminal of the user with this phone number; not signed in.
    pub fn new(phone: &str) -> Self {
        // A second installation in one process is refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        let pkcs8 = document.expect("randomness").as_ref().to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).expect("our own key");
        let point = &pair.public_key().as_ref()[1..];
        let key = PublicKey::from_p256_point(point).expect("an uncompressed point");
        Self {
            http: Client::builder().no_proxy().build().expect("an HTTP client"),
            pair,
            pkcs8,
            key,
            access_token: None,
            refresh_token: None,
            phone: phone.to_owned(),
        }
    }

    /// Private key as PKCS #8 in base64, for clients in other languages.
    pub fn key_base64(&self) -> String {
        STANDARD.encode(&self.pkcs8)
    }

    /// The same as bytes.
    pub fn key_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Its name in tokens.
    pub fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// The login's token.
    pub fn access_token(&self) -> &str {
        self.access_token.as_deref().expect("signed in")
    }

    /// Takes over another terminal's token, as a thief would.
    pub fn steal_login_of(&mut self, other: &Self) {
        self.access_token.clone_from(&other.access_token);
        self.refresh_token.clone_from(&other.refresh_token);
    }

    /// A proof of possession for one request.
    pub fn proof(&self, method: &str, path: &str, token: Option<&str>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let jti = uuid_like();
        let path = path.split('?').next().unwrap_or(path);
        let request = dpop::Request { method, path, token };
        dpop::create(&self.key, request, ORIGIN, now, &jti, |message| {
            let random = SystemRandom::new();
            self.pair.sign(&random, message).expect("randomness").as_ref().to_vec()
        })
    }

    /// One JSON request.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: Token<'_>,
        body: Option<Value>,
    ) -> Reply {
        let (scheme, token) = match token {
            Token::None => ("", None),
            Token::Login => ("DPoP", self.access_token.as_deref()),
            Token::Grant(grant) => ("Bearer", Some(grant)),
        };
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self
            .http
            .request(verb, format!("{ORIGIN}{path}"))
            .header("DPoP", self.proof(method, path, token));
        if let Some(token) = token {
            request = request.header("Authorization", format!("{scheme} {token}"));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        reply(request.send().await.expect("an answer")).await
    }

    /// An SDP offer with a grant.
    pub async fn offer(&self, path: &str, grant: &str, sdp: &str) -> Reply {
        let request = self
            .http
            .post(format!("{ORIGIN}{path}"))
            .header("DPoP", self.proof("POST", path, Some(grant)))
            .header("Authorization", format!("Bearer {grant}"))
            .header("Content-Type", "application/sdp")
            .body(sdp.to_owned());
        reply(request.send().await.expect("an answer")).await
    }

    /// Asks for a code and signs in with it, which registers a new number.
    pub async fn sign_in(&mut self, server: &Server) -> Value {
        let code = self.request_code(server, "login", json!({ "target": self.phone })).await;
        let body = json!({
            "challenge_id": code.0,
            "code": code.1,
            "terminal_name": "end-to-end test",
            "client_type": "test",
            "consents": [{ "purpose": "account", "version": 1 }],
        });
        let session = self.send("POST", "/v1/sessions", Token::None, Some(body)).await.ok();
        self.access_token = session["access_token"].as_str().map(str::to_owned);
        self.refresh_token = session["refresh_token"].as_str().map(str::to_owned);
        session
    }

    /// Renews the login.
    pub async fn refresh(&mut self) -> Reply {
        let body = json!({ "refresh_token": self.refresh_token });
        let reply = self.send("POST", "/v1/sessions/refresh", Token::None, Some(body)).await;
        if reply.status.is_success() {
            self.access_token = reply.body["access_token"].as_str().map(str::to_owned);
            self.refresh_token = reply.body["refresh_token"].as_str().map(str::to_owned);
        }
        reply
    }

    /// Challenge and code of an SMS.
    pub async fn request_code(
        &self,
        server: &Server,
        purpose: &str,
        more: Value,
    ) -> (String, String) {
        let seen = server.sms_count(&self.phone, purpose);
        let mut body = more;
        body["purpose"] = purpose.into();
        let token = if purpose == "login" { Token::None } else { Token::Login };
        let mut answer = self.send("POST", "/v1/otp", token, Some(body.clone())).await;
        for _ in 0..OTP_RETRIES {
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                break;
            }
            tokio::time::sleep(OTP_PAUSE).await;
            answer = self.send("POST", "/v1/otp", token, Some(body.clone())).await;
        }
        let answer = answer.ok();
        let challenge = answer["challenge_id"].as_str().expect("a challenge").to_owned();
        (challenge, server.sms_after(seen, &self.phone, purpose))
    }
}

async fn reply(response: reqwest::Response) -> Reply {
    let status = response.status();
    let location = response.headers().get("location");
    let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = response.text().await.expect("a body");
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    Reply { status, location, body }
}

/// 128 random bits as text.
fn uuid_like() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The `auth` key of a device secret in base32.
pub fn auth_key(secret: &str) -> Ed25519KeyPair {
    struct SeedLength;
    impl hkdf::KeyType for SeedLength {
        fn len(&self) -> usize {
            32
        }
    }
    let secret = base32(secret);
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&secret);
    let mut seed = [0; 32];
    let info: [&[u8]; 1] = [b"sightline/v1/auth"];
    let expanded = derived.expand(&info, SeedLength);
    expanded.and_then(|key| key.fill(&mut seed)).expect("32 bytes are fine");
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes")
}

/// RFC 4648 base32; dashes and case do not matter.
fn base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for character in text.trim().chars().filter(|character| !matches!(character, '-' | '=')) {
        let value = match character.to_ascii_uppercase() {
            letter @ 'A'..='Z' => letter as u32 - 'A' as u32,
            digit @ '2'..='7' => digit as u32 - '2' as u32 + 26,
            other => panic!("{other:?} is not base32"),
        };
        held = (held << 5) | value;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    bytes
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
