//! `Idempotency-Key`, pages of lists, strict JSON and queries.

use super::*;
use crate::limits::{IDEMPOTENCY_KEY_CHARS, IDEMPOTENCY_SECS};

impl Client<'_> {
    async fn keyed(&self, method: &str, path: &str, body: Option<Value>, key: &str) -> Answer {
        let proof = self.proof(method, path);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("DPoP", proof)
            .header("Idempotency-Key", key)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("DPoP {token}"));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let (answer, bytes) = self.exchange(request.body(Body::from(body)).unwrap()).await;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { body, ..answer }
    }
}

fn commitment(byte: u8) -> Option<Value> {
    Some(json!({"commitment": B64.encode([byte; 32])}))
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_is_carried_out_once() {
    const PATH: &str = "/v1/introductions";
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let first = app.keyed("POST", PATH, commitment(1), "\"k-1\"").await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    let again = app.keyed("POST", PATH, commitment(1), "k-1").await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.headers[header::CONTENT_TYPE], "application/json");
    let second = app.keyed("POST", PATH, commitment(1), "k-2").await;
    assert_ne!(second.body["code"], first.body["code"]);
    let other = app.keyed("POST", PATH, commitment(2), "k-1").await;
    assert_eq!((other.status.as_u16(), other.problem()), (422, "idempotency-key-reused"));

    let mut ben = Client::new(&rig, 2);
    ben.sign_in(BEN).await;
    let bens = ben.keyed("POST", PATH, commitment(1), "k-1").await;
    assert_ne!(bens.body["code"], first.body["code"], "a key is an account's own");

    let gone = app.keyed("DELETE", "/v1/bindings/CAM-9", None, "k-3").await;
    assert_eq!(gone.problem(), "device-not-bound");
    let still = app.keyed("DELETE", "/v1/bindings/CAM-9", None, "k-3").await;
    assert_eq!((still.problem(), &still.body), ("device-not-bound", &gone.body));

    let bad = json!({"commitment": 1});
    let refused = app.keyed("POST", PATH, Some(bad.clone()), "k-4").await;
    assert_eq!(refused.problem(), "bad-request", "a proof and a login come first, then the body");
    let thief = Client { token: app.token.clone(), ..Client::new(&rig, 3) };
    let stolen = thief.keyed("POST", PATH, commitment(1), "k-1").await;
    assert_eq!(stolen.problem(), "wrong-terminal", "kept answers need the login, too");
    rig.clock.advance(IDEMPOTENCY_SECS);
    app.token = None;
    app.sign_in(ANNA).await;
    let later = app.keyed("POST", PATH, commitment(1), "k-1").await;
    assert_ne!(later.body["code"], first.body["code"], "a key lives for a day");
}

#[tokio::test]
async fn a_change_with_a_key_is_logged_once_as_the_persons_own() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    let terminal = app.sign_in(ANNA).await.body["terminal"]["id"].clone();
    let consent = json!({"purpose": "media.view", "version": 1, "decision": "granted"});
    for _ in 0..2 {
        let given = app.keyed("POST", "/v1/consents", Some(consent.clone()), "k-1").await;
        assert!(given.status.is_success(), "{}", given.body);
    }
    let proof = app.proof("GET", "/v1/me/oplog");
    let log = app.send("GET", "/v1/me/oplog?action=consent", None, Some(&proof)).await;
    let lines = log.body["items"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "with that to the account: {}", log.body);
    assert_eq!((&lines[0]["actor"], &lines[0]["terminal"]), (&json!("self"), &terminal));
    assert_eq!(lines[0]["network"], "192.0.2.0/24");
    requirement!("A18");
}

#[tokio::test]
async fn a_key_has_its_shape_and_its_operations() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let end = async |key: &str| app.keyed("DELETE", "/v1/consents/media.view", None, key).await;
    let longest = "k".repeat(IDEMPOTENCY_KEY_CHARS);
    assert_eq!(end(&longest).await.problem(), "not-granted");
    for bad in ["", "\"\"", "a b", "a\"b", &(longest + "k")] {
        assert_eq!(end(bad).await.problem(), "idempotency-key-invalid", "{bad}");
    }
    app.token = None;
    let tokens = json!({"refresh_token": "x"});
    let refused = app.keyed("POST", "/v1/sessions/refresh", Some(tokens), "k").await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (400, "idempotency-key-unsupported"));
}

#[tokio::test]
async fn what_is_kept_for_a_key_reads_as_noise() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let made = app.keyed("POST", "/v1/introductions", commitment(1), "key-in-clear").await;
    let code = made.body["code"].as_str().unwrap().to_owned();
    rig.store.close().await;
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        for text in ["key-in-clear", code.as_str(), &B64.encode([1; 32])] {
            let found = bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!found, "{text} in {}", file.display());
        }
    }
}

#[tokio::test]
async fn a_list_comes_in_pages_without_gap_or_repetition() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    for nth in 1..=5 {
        let texts = rig.add_sealed(&format!("CAM-{nth}"), 100 + nth).await;
        let code = texts.verification_code.expose();
        let wish = json!({"serial": format!("CAM-{nth}"), "code": code});
        assert_eq!(app.call("POST", "/v1/bindings", Some(wish)).await.status, StatusCode::CREATED);
        rig.clock.advance(3600);
        rig.cp.deliver_outbox().await.unwrap();
        app.token = None;
        app.sign_in(ANNA).await;
    }
    let get = async |path: &str| {
        let proof = app.proof("GET", path.split('?').next().unwrap());
        app.send("GET", path, None, Some(&proof)).await
    };
    for (path, name) in [("/v1/devices", "serial"), ("/v1/messages", "id"), ("/v1/purposes", "id")]
    {
        let whole = get(path).await;
        assert!(whole.body.get("next").is_none(), "{}", whole.body);
        let whole: Vec<_> = whole.body["items"].as_array().unwrap().clone();
        assert!(whole.len() >= 2, "{path}");
        for limit in 1..=whole.len() {
            let (mut all, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let page = get(&format!("{path}?limit={limit}{cursor}")).await;
                all.extend(page.body["items"].as_array().unwrap().iter().cloned());
                pages += 1;
                let Some(next) = page.body["next"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let names =
                |items: &[Value]| items.iter().map(|one| one[name].clone()).collect::<Vec<_>>();
            assert_eq!(names(&all), names(&whole), "{path} by {limit}");
            assert_eq!(pages, whole.len().div_ceil(limit), "{path} by {limit}");
        }
    }
    assert_eq!(get("/v1/devices?limit=100").await.status, StatusCode::OK);
    for bad in ["limit=0", "limit=101", "limit=x", "limit=-1"] {
        assert_eq!(get(&format!("/v1/devices?{bad}")).await.problem(), "query-invalid", "{bad}");
    }
    let too_long = format!("cursor={}", "A".repeat(257));
    for bad in ["cursor=%20", "cursor=_w", &too_long] {
        assert_eq!(get(&format!("/v1/devices?{bad}")).await.problem(), "cursor-invalid", "{bad}");
    }
    let elsewhere = format!("/v1/messages?cursor={}", B64.encode("CAM-1"));
    assert_eq!(get(&elsewhere).await.problem(), "cursor-invalid", "another list's");
    for bad in ["/v1/devices?all=1", "/v1/devices?limit=1&limit=2", "/v1/me?x"] {
        assert_eq!(get(bad).await.problem(), "query-unknown", "{bad}");
    }
}

#[tokio::test]
async fn a_body_that_parsers_read_differently_is_refused() {
    let rig = Rig::new().await;
    let app = Client::new(&rig, 1);
    for body in [
        format!(r#"{{"purpose":"login","target":"{ANNA}","target":"{BEN}"}}"#),
        format!(r#"{{"purpose":"login","purpose":"login","target":"{ANNA}"}}"#),
        format!(r#"{{"purpose":"login","target":"{ANNA}"}} x"#),
    ] {
        let proof = app.proof("POST", "/v1/otp");
        let answer = app.send("POST", "/v1/otp", Some(body), Some(&proof)).await;
        assert_eq!(answer.problem(), "bad-request");
    }
    assert!(rig.sms.0.lock().unwrap().is_empty());
}
