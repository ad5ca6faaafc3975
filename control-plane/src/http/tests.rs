mod account;
mod credentials;
mod devices;
mod enc_mode;
mod federation;
mod floods;
mod introduction;
mod mailbox;
mod matrix;
mod passkeys;
mod policies;
mod repeats;
mod shares;
mod sms;
mod sso;
mod terminal;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use sightline_grant::{dpop, requirement};
use tower::ServiceExt;

use super::router;
use crate::clock::Clock;
use crate::consent::{ACCOUNT, PURPOSES, Purpose};
use crate::tests::rig::{ANNA, BEN, Rig, key, public};

struct Client<'a> {
    rig: &'a Rig,
    router: Router,
    pair: Ed25519KeyPair,
    token: Option<String>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn problem(&self) -> &str {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.body["status"], self.status.as_u16());
        self.body["type"].as_str().unwrap().strip_prefix("/problems/").unwrap()
    }
}

impl<'a> Client<'a> {
    fn new(rig: &'a Rig, seed: u8) -> Self {
        Self { rig, router: router(rig.cp.clone()), pair: key(seed), token: None }
    }

    fn proof(&self, method: &str, path: &str) -> String {
        static JTI: AtomicU64 = AtomicU64::new(0);
        let jti = JTI.fetch_add(1, Ordering::Relaxed).to_string();
        let request = dpop::Request { method, path, token: self.token.as_deref() };
        let now = self.rig.clock.now();
        dpop::create(&public(&self.pair), request, "https://test.example", now, &jti, |message| {
            self.pair.sign(message).as_ref().to_vec()
        })
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let proof = self.proof(method, path);
        self.send(method, path, body.map(|body| body.to_string()), Some(&proof)).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        proof: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(proof) = proof {
            request = request.header("DPoP", proof);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("DPoP {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Body::from(body.unwrap_or_default())).unwrap();
        let (answer, bytes) = self.exchange(request).await;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { body, ..answer }
    }

    /// Any request; the body of the answer as it came.
    async fn exchange(&self, mut request: Request<Body>) -> (Answer, Vec<u8>) {
        let peer: SocketAddr = "192.0.2.7:5000".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers[header::CACHE_CONTROL], "no-store");
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, body: Value::Null };
        (answer, bytes.into())
    }

    /// Signs in and agrees to what an account needs.
    async fn sign_in(&mut self, number: &str) -> Answer {
        let policy = json!([{"purpose": ACCOUNT.id, "version": ACCOUNT.version}]);
        self.sign_in_agreeing(number, policy).await
    }

    /// Signs in and agrees to these purposes.
    async fn sign_in_agreeing(&mut self, number: &str, consents: Value) -> Answer {
        let wish = json!({"purpose": "login", "target": number});
        let sent = self.call("POST", "/v1/otp", Some(wish)).await;
        assert_eq!(sent.status, StatusCode::ACCEPTED, "{}", sent.body);
        let code = self.rig.code(number).await;
        let login = json!({
            "challenge_id": sent.body["challenge_id"], "code": code.expose(),
            "terminal_name": "Browser", "client_type": "browser",
            "consents": consents,
        });
        let answer = self.call("POST", "/v1/sessions", Some(login)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        self.token = answer.body["access_token"].as_str().map(str::to_owned);
        self.rig.clock.advance(60);
        answer
    }
}

#[test]
fn every_operation_asks_for_what_its_rule_says() {
    let table = super::operations();
    let _names_are_unique = table.schemas();
    for operation in table.operations() {
        let what = format!("{} {}", operation.method, operation.path);
        assert!(operation.rule_fits_handler(), "{what}: {:?}", operation.rule);
        assert!(!operation.successes.is_empty(), "{what} never succeeds");
        let is_list = operation.successes.iter().any(|success| {
            let schema = success.content.as_ref().map(|(_, schema)| schema.to_string());
            schema.is_some_and(|schema| schema.ends_with("Page\"}"))
        });
        let pages = operation.query().any(|parameter| parameter.name == "cursor");
        assert_eq!(is_list, pages, "{what}: a list takes a cursor, and nothing else does");
        let known = |purpose: &Purpose| purpose.id == operation.purpose;
        let none = operation.purpose == sightline_operation::NO_PURPOSE;
        assert!(none || PURPOSES.iter().any(known), "{what}: no purpose {}", operation.purpose);
    }
}

#[tokio::test]
async fn an_app_goes_from_a_phone_number_to_an_open_gate() {
    let rig = Rig::new().await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    let (mut app, camera) = (Client::new(&rig, 1), Client::new(&rig, 100));
    assert_eq!(app.sign_in(ANNA).await.body["new_account"], true);

    let wish = json!({"serial": "CAM-1", "code": texts.verification_code.expose()});
    let bound = app.call("POST", "/v1/bindings", Some(wish)).await;
    assert_eq!(bound.status, StatusCode::CREATED);
    let known = json!({"binding_epoch": 0, "key_epoch": 0});
    let standing = camera.call("POST", "/v1/device/poll", Some(known)).await;
    assert_eq!(standing.body["key_wanted"], true);
    assert_eq!(standing.body["binding_epoch"], bound.body["binding_epoch"]);
    let auth = key(101);
    let verifier = json!({
        "binding_epoch": bound.body["binding_epoch"],
        "verifier": B64.encode(auth.public_key().as_ref()),
    });
    let stored = camera.call("PUT", "/v1/device/key-verifier", Some(verifier)).await;
    assert_eq!(stored.status, StatusCode::OK);

    let path = "/v1/devices/CAM-1/key-challenge";
    let issued = app.call("POST", path, Some(json!({"channel": 0}))).await;
    let message = B64.decode(issued.body["message"].as_str().unwrap()).unwrap();
    let text = String::from_utf8(message.clone()).unwrap();
    assert!(text.starts_with("sightline/v1/key-proof\ntest.example\n"));
    let proof = json!({
        "challenge_id": issued.body["challenge_id"],
        "signature": B64.encode(auth.sign(&message)),
    });
    let path = "/v1/devices/CAM-1/key-proof";
    assert_eq!(app.call("POST", path, Some(proof.clone())).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.call("POST", path, Some(proof)).await.problem(), "device-key-invalid");

    let wish = json!({"purpose": "view", "serial": "CAM-1"});
    let sent = app.call("POST", "/v1/otp", Some(wish)).await;
    let code = rig.code(ANNA).await;
    let answer = json!({"challenge_id": sent.body["challenge_id"], "code": code.expose()});
    let window = app.call("POST", "/v1/step-ups", Some(answer)).await;
    assert_eq!((window.status, &window.body["serial"]), (StatusCode::CREATED, &json!("CAM-1")));
    let purposes = app.call("GET", "/v1/purposes", None).await;
    assert!(purposes.body["items"][1]["text"]["zh"].is_string());
    let consent = json!({"purpose": "media.view", "version": 1, "decision": "granted"});
    let consented = app.call("POST", "/v1/consents", Some(consent)).await;
    assert_eq!(consented.body["seq"], 2, "after that to the account");
    let devices = app.call("GET", "/v1/devices", None).await;
    assert_eq!(devices.body["items"][0]["key_ready"], true);
    assert_eq!(devices.body["items"][0]["sealed"], true);

    let token = sightline_grant::Redacted::new(app.token.clone().unwrap());
    let terminal = public(&app.pair).thumbprint();
    let live = sightline_grant::Action::Live;
    assert!(rig.cp.admit(&token, terminal, "CAM-1", 0, live).await.is_ok());
    for (method, path) in [
        ("DELETE", "/v1/consents/media.view"),
        ("DELETE", "/v1/bindings/CAM-1"),
        ("DELETE", "/v1/sessions/current"),
    ] {
        assert_eq!(app.call(method, path, None).await.status, StatusCode::NO_CONTENT, "{path}");
    }
    assert_eq!(app.call("GET", "/v1/me", None).await.problem(), "login-required");
}

#[tokio::test]
async fn nothing_is_served_without_a_login_but_what_leads_to_one() {
    let rig = Rig::new().await;
    let stranger = Client::new(&rig, 1);
    let mut forged = Client::new(&rig, 1);
    forged.token = Some(B64.encode([7; 32]));
    for (method, path) in [
        ("DELETE", "/v1/sessions/current"),
        ("GET", "/v1/me"),
        ("GET", "/v1/me/terminals"),
        ("DELETE", "/v1/me/terminals/x"),
        ("GET", "/v1/consents"),
        ("POST", "/v1/consents"),
        ("DELETE", "/v1/consents/media.view"),
        ("POST", "/v1/bindings"),
        ("DELETE", "/v1/bindings/CAM-1"),
        ("GET", "/v1/devices"),
        ("POST", "/v1/devices/CAM-1/key-challenge"),
        ("POST", "/v1/devices/CAM-1/key-proof"),
        ("GET", "/v1/devices/CAM-1/viewer-list"),
        ("PUT", "/v1/devices/CAM-1/viewer-list"),
        ("POST", "/v1/devices/CAM-1/generations"),
        ("POST", "/v1/devices/CAM-1/wraps"),
        ("GET", "/v1/devices/CAM-1/enc-mode"),
        ("PUT", "/v1/devices/CAM-1/enc-mode"),
        ("POST", "/v1/introductions"),
        ("GET", "/v1/introductions/AAAA-AAAA"),
        ("DELETE", "/v1/introductions/AAAA-AAAA"),
        ("POST", "/v1/introductions/AAAA-AAAA/reply"),
        ("POST", "/v1/introductions/AAAA-AAAA/reveal"),
        ("POST", "/v1/introductions/AAAA-AAAA/outcome"),
        ("POST", "/v1/step-ups"),
        ("GET", "/v1/messages"),
    ] {
        for client in [&stranger, &forged] {
            let answer = client.call(method, path, Some(json!({}))).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.problem(), "login-required");
        }
    }
    for (method, path) in [
        ("POST", "/v1/otp"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/sessions/refresh"),
        ("POST", "/v1/device/poll"),
        ("PUT", "/v1/device/key-verifier"),
        ("GET", "/v1/device/viewer-list"),
        ("PUT", "/v1/device/generations"),
    ] {
        let bare = stranger.send(method, path, Some("{}".into()), None).await;
        assert_eq!(bare.problem(), "proof-invalid", "{method} {path}");
    }
    requirement!("A23");
}

#[tokio::test]
async fn a_proof_is_for_one_request_and_a_login_for_one_terminal() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let proof = app.proof("GET", "/v1/me");
    assert_eq!(app.send("GET", "/v1/me", None, Some(&proof)).await.status, StatusCode::OK);
    let again = app.send("GET", "/v1/me", None, Some(&proof)).await;
    assert_eq!(again.problem(), "proof-replayed");
    let elsewhere = app.proof("GET", "/v1/me");
    let moved = app.send("GET", "/v1/devices", None, Some(&elsewhere)).await;
    assert_eq!(moved.problem(), "proof-invalid");
    let mut thief = Client::new(&rig, 2);
    thief.token = app.token.clone();
    assert_eq!(thief.call("GET", "/v1/me", None).await.problem(), "wrong-terminal");
}

#[tokio::test]
async fn bad_bodies_are_refused_without_repeating_them() {
    let rig = Rig::new().await;
    let app = Client::new(&rig, 1);
    let post = async |body: String| {
        let proof = app.proof("POST", "/v1/otp");
        app.send("POST", "/v1/otp", Some(body), Some(&proof)).await
    };
    for body in [
        format!(r#"{{"purpose":"login","target":"{ANNA}","admin":true}}"#),
        format!(r#"{{"purpose":"other","target":"{ANNA}"}}"#),
        format!(r#"{{"target":"{ANNA}"#),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.problem(), "bad-request");
        assert!(!answer.body.to_string().contains(ANNA));
    }
    let fits = format!(r#"{{"purpose":"login","target":"{}"}}"#, " ".repeat(16 * 1024 - 31));
    assert_eq!(fits.len(), 16 * 1024);
    assert_eq!(post(fits.clone()).await.problem(), "bad-number");
    assert_eq!(post(fits + " ").await.problem(), "body-too-large");
}

#[tokio::test]
async fn a_known_and_a_new_number_look_alike_from_outside() {
    let rig = Rig::new().await;
    Client::new(&rig, 1).sign_in(ANNA).await;
    let stranger = Client::new(&rig, 2);
    let mut shapes = Vec::new();
    for number in [ANNA, BEN] {
        let wish = json!({"purpose": "login", "target": number});
        let sent = stranger.call("POST", "/v1/otp", Some(wish.clone())).await;
        let limited = stranger.call("POST", "/v1/otp", Some(wish)).await;
        assert_eq!(limited.problem(), "rate-limited");
        let guess = json!({
            "challenge_id": sent.body["challenge_id"], "code": "x",
            "terminal_name": "Browser", "client_type": "browser",
        });
        let wrong = stranger.call("POST", "/v1/sessions", Some(guess)).await;
        let wait = limited.headers[header::RETRY_AFTER].clone();
        let length = sent.body.to_string().len();
        shapes.push((sent.status, length, wait, limited.body, wrong.status, wrong.body));
    }
    assert_eq!(shapes[0], shapes[1]);
    requirement!("A1");
}
