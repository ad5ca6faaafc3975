//! What holds for every path.

use axum::body::Body;
use sightline_grant::Action;

use super::fakes::*;
use crate::asked::MAX_JSON_LEN;
use crate::{Allowance, RateLimits};

#[tokio::test]
async fn nothing_but_the_page_may_be_cached_and_nothing_is_sniffed() {
    let door = Door::new();
    let client = Client::new(1);
    let session = format!("/v1/whep-sessions/{SESSION}");
    let get = |path: &str| plain("GET", path).body(Body::empty()).unwrap();
    let requests = vec![
        client.gate(),
        client.with_grant("/v1/whep/CAM-1/0", "v=0"),
        client.with_grant("/v1/rtsp-handles/CAM-1/0", ""),
        client.with_grant("/v1/roq-sessions/CAM-1/0", ""),
        client.with_grant("/v1/webtransport-sessions/CAM-1/0", ""),
        plain("DELETE", &session).body(Body::empty()).unwrap(),
        plain("OPTIONS", &session).body(Body::empty()).unwrap(),
        plain("PUT", "/v1/media-grants").body(Body::empty()).unwrap(),
        get("/v1/live/CAM-1"),
        get("/v1/server"),
        get("/healthz"),
        get("/readyz"),
        get("/nothing"),
        get("/assets/nothing.js"),
    ];
    for request in requests {
        let path = request.uri().path().to_owned();
        let reply = door.send(request).await;
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert!(reply.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(!reply.headers.contains_key("set-cookie"), "{path}");
    }
}

#[tokio::test]
async fn the_page_comes_with_its_policy_and_an_entity_tag() {
    let door = Door::new();
    for path in ["/", "/assets/app.js", "/assets/style.css"] {
        let reply = door.send(plain("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("cache-control"), "no-cache");
        let policy = reply.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        let again = plain("GET", path).header("if-none-match", reply.header("etag"));
        assert_eq!(door.send(again.body(Body::empty()).unwrap()).await.status, 304);
    }
}

#[tokio::test]
async fn the_page_may_connect_to_itself_and_to_the_relays_ports_under_its_own_name_only() {
    let door = Door::with_threads(2);
    let sources = async |host: &str, path: &str| {
        let request = http::Request::builder().uri(path).header("host", host);
        let request = request.body(Body::empty()).unwrap();
        let reply = door.send(request).await;
        assert_eq!(reply.status, 200, "{host}");
        let policy = reply.header("content-security-policy").to_owned();
        let connect = policy.split("; ").find(|part| part.starts_with("connect-src ")).unwrap();
        connect.trim_start_matches("connect-src ").to_owned()
    };
    for path in ["/", "/assets/sealed/worker.js"] {
        let named = sources("sightline.test:8443", path).await;
        assert_eq!(named, "'self' https://sightline.test:8444 https://sightline.test:8445");
        let address = sources("192.0.2.7", path).await;
        assert_eq!(address, "'self' https://192.0.2.7:8444 https://192.0.2.7:8445");
        let local = sources("localhost:8080", path).await;
        assert_eq!(local, "'self' https://127.0.0.1:8444 https://127.0.0.1:8445");
        assert_eq!(sources("[::1]:8443", path).await, "'self'");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let door = Door::new();
    let request = |method: &str, path: &str| plain(method, path).body(Body::empty()).unwrap();
    assert_eq!(door.send(request("GET", "/v2")).await.problem(), (404, "not-found".into()));
    let wrong = door.send(request("GET", "/v1/media-grants")).await;
    assert_eq!(wrong.problem(), (405, "method-not-allowed".into()));
    assert_eq!(wrong.header("allow"), "POST");
    let session = door.send(request("GET", &format!("/v1/whep-sessions/{SESSION}"))).await;
    assert_eq!(session.problem(), (405, "method-not-allowed".into()));
}

#[tokio::test]
async fn problem_titles_follow_the_clients_language() {
    let door = Door::new();
    let ask = |language: &str| {
        plain("POST", "/v1/media-grants")
            .header("accept-language", language)
            .body(Body::empty())
            .unwrap()
    };
    let english = door.send(ask("de")).await;
    assert_eq!(english.json()["title"], "Sign in first");
    assert_eq!(english.header("content-language"), "en");
    let chinese = door.send(ask("zh-CN,zh;q=0.9,en;q=0.8")).await;
    assert_eq!(chinese.problem(), (401, "login-required".into()));
    assert_eq!(chinese.json()["title"], "请先登录");
    assert_eq!(chinese.header("cache-control"), "no-store");
    let wrong = plain("GET", "/v1/media-grants").header("accept-language", "zh");
    let wrong = door.send(wrong.body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.header("allow"), "POST", "the endpoint's own headers stay");
}

#[tokio::test]
async fn malformed_and_oversize_json_is_a_problem_that_repeats_nothing_of_it() {
    let door = Door::new();
    let client = Client::new(1);
    let ask = |body: String| {
        client
            .request("POST", "/v1/media-grants", Some(TOKEN))
            .header("authorization", format!("DPoP {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap()
    };
    let bad = [
        "",
        "{",
        "[]",
        r#"{"serial":7,"channel":0,"action":"live"}"#,
        r#"{"serial":"CAM-1","channel":65536,"action":"live"}"#,
        r#"{"serial":"CAM-1","channel":0,"action":"hidden-word"}"#,
        r#"{"serial":"CAM-1","channel":0,"action":"live","hidden-word":1}"#,
    ];
    for body in bad {
        let reply = door.send(ask(body.into())).await;
        assert_eq!(reply.problem(), (400, "malformed-request".into()), "{body}");
        assert!(!reply.text.contains("hidden-word"));
    }
    let good = serde_json::json!({"serial": "CAM-1", "channel": 0, "action": Action::Live});
    let good = good.to_string();
    let fits = format!("{good}{}", " ".repeat(MAX_JSON_LEN - good.len()));
    assert_eq!(door.send(ask(fits.clone())).await.status, 201);
    let large = door.send(ask(format!("{fits} "))).await;
    assert_eq!(large.problem(), (413, "body-too-large".into()));
    let odd = r#"{"serial":"../etc","channel":0,"action":"live"}"#;
    assert_eq!(door.send(ask(odd.into())).await.problem(), (404, "device-not-bound".into()));
}

#[tokio::test]
async fn foreign_names_and_foreign_pages_are_refused() {
    let door = Door::new();
    let rebound = http::Request::builder().uri("/v1/server").header("host", "evil.example");
    let reply = door.send(rebound.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.problem(), (421, "wrong-host".into()));
    let foreign = plain("POST", "/v1/media-grants").header("origin", "https://evil.example");
    let reply = door.send(foreign.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.problem(), (403, "cross-origin".into()));
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn an_address_has_its_own_rate_limit() {
    let address = Allowance::new(1, 2).unwrap();
    let door = Door::with(RateLimits { address, ..RateLimits::default() });
    let ask = |ip: &str| {
        let mut request = plain("GET", "/healthz").body(Body::empty()).unwrap();
        request.extensions_mut().insert(crate::plane::ClientAddress(ip.parse().unwrap()));
        request
    };
    assert_eq!(door.send(ask("192.0.2.1")).await.status, 200);
    assert_eq!(door.send(ask("192.0.2.1")).await.status, 200);
    let refused = door.send(ask("192.0.2.1")).await;
    assert_eq!(refused.problem(), (429, "rate-limited".into()));
    assert_eq!(door.send(ask("192.0.2.2")).await.status, 200);
}

#[tokio::test]
async fn readiness_follows_the_directory_and_health_does_not() {
    let door = Door::new();
    let get = |path: &str| plain("GET", path).body(Body::empty()).unwrap();
    assert_eq!(door.send(get("/readyz")).await.status, 200);
    *door.script.not_ready.lock().unwrap() = true;
    assert_eq!(door.send(get("/readyz")).await.problem(), (503, "unavailable".into()));
    assert_eq!(door.send(get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn a_defect_in_an_endpoint_is_a_problem_for_that_request_alone() {
    let door = Door::new();
    let client = Client::new(1);
    *door.script.panics.lock().unwrap() = true;
    let reply = door.send(client.with_grant("/v1/whep/CAM-1/0", "v=0")).await;
    assert_eq!(reply.problem(), (500, "internal".into()));
    let fine = door.send(plain("GET", "/v1/server").body(Body::empty()).unwrap()).await;
    assert_eq!(fine.json()["server_name"], "sightline.test");
}
