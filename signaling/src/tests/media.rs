//! WHIP, WHEP, RTSP handles and RoQ sessions.

use axum::body::Body;
use http::Request;
use sightline_grant::Thumbprint;

use super::fakes::*;
use crate::asked::MAX_SDP_LEN;
use crate::endpoint::roq_publish::MAX_TRACKS;
use crate::plane::MediaRefusal;

const WHEP: &str = "/v1/whep/CAM-1/0";

fn whip(token: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    plain("POST", path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/sdp; charset=utf-8")
        .body(body.into())
        .unwrap()
}

fn patch(body: &'static str, if_match: Option<&str>) -> Request<Body> {
    let path = format!("/v1/whep-sessions/{SESSION}");
    let mut request =
        plain("PATCH", &path).header("content-type", "application/trickle-ice-sdpfrag");
    if let Some(tag) = if_match {
        request = request.header("if-match", tag);
    }
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn a_whep_offer_with_a_grant_is_answered_as_the_draft_says() {
    let door = Door::new();
    *door.script.left_out.lock().unwrap() = vec!["audio: AAC is not for browsers \"yet\"".into()];
    let reply = door.send(Client::new(1).with_grant(WHEP, "v=0")).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (201, "v=0\r\n"));
    assert_eq!(reply.header("content-type"), "application/sdp");
    assert_eq!(reply.header("location"), format!("/v1/whep-sessions/{SESSION}"));
    assert_eq!(reply.header("etag"), "\"e1\"");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(reply.header("access-control-expose-headers").contains("location"));
    let reason = r#""audio: AAC is not for browsers \"yet\"""#;
    assert_eq!(reply.header("sightline-left-out"), reason);
    assert_eq!(door.seen(), ["whep CAM-1 0 3"]);
}

#[tokio::test]
async fn grants_that_do_not_fit_never_reach_the_relay() {
    let door = Door::new();
    let client = Client::new(1);
    let long = grant_text(|grant| grant.expires_at += 1);
    let cases = [
        (grant_text(|grant| grant.expires_at = NOW - 1), 401, "grant-expired"),
        (long, 401, "grant-expired"),
        (grant_text(|grant| grant.terminal = Thumbprint([9; 32])), 403, "grant-other-terminal"),
        (grant_text(|grant| grant.serial = "CAM-2".into()), 403, "grant-other-device"),
        (grant_text(|grant| grant.channel = 1), 403, "grant-other-device"),
        ("slg1.e30.AAAA".into(), 401, "grant-invalid"),
    ];
    for (grant, status, name) in cases {
        for path in [
            WHEP,
            "/v1/rtsp-handles/CAM-1/0",
            "/v1/roq-sessions/CAM-1/0",
            "/v1/webtransport-sessions/CAM-1/0",
            "/v1/websocket-sessions/CAM-1/0",
        ] {
            let reply = door.send(client.presenting(&grant, path, "v=0")).await;
            assert_eq!(reply.problem(), (status, name.to_owned()), "{path}");
        }
    }
    let without = client.request("POST", WHEP, None).header("content-type", "application/sdp");
    let reply = door.send(without.body(Body::from("v=0")).unwrap()).await;
    assert_eq!(reply.problem(), (401, "grant-required".into()));
    let thief = Client::new(2).presenting(&grant_text(|_| ()), WHEP, "v=0");
    assert_eq!(door.send(thief).await.problem(), (403, "grant-other-terminal".into()));
    assert!(door.seen().is_empty());
}

#[tokio::test]
async fn every_refusal_of_the_relay_has_its_status() {
    let door = Door::new();
    let client = Client::new(1);
    let text = || "because".to_owned();
    let cases = [
        (MediaRefusal::GrantReplayed, 401, "grant-replayed"),
        (MediaRefusal::NotLive, 409, "not-live"),
        (MediaRefusal::BadOffer(text()), 400, "bad-offer"),
        (MediaRefusal::UnsupportedCodec(text()), 406, "unsupported-codec"),
        (MediaRefusal::UnsupportedPeer(text()), 406, "unsupported-peer"),
        (MediaRefusal::WrongProtection(text()), 406, "wrong-protection"),
        (MediaRefusal::Full, 503, "relay-full"),
        (MediaRefusal::Unavailable, 503, "unavailable"),
    ];
    for (refusal, status, name) in cases {
        *door.script.media.lock().unwrap() = Some(refusal);
        let reply = door.send(client.with_grant(WHEP, "v=0")).await;
        assert_eq!(reply.problem(), (status, name.to_owned()));
        assert_eq!(reply.headers.contains_key("retry-after"), matches!(status, 409 | 503));
    }
}

#[tokio::test]
async fn whip_takes_the_publishing_credential_of_that_device_only() {
    let door = Door::new();
    let reply = door.send(whip("publish", "/v1/whip/CAM-1/3", "v=0")).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("location"), format!("/v1/whip-sessions/{SESSION}"));
    assert_eq!(door.seen(), ["whip CAM-1 3 3"]);
    let cases = [
        (whip("wrong", "/v1/whip/CAM-1/0", "v=0"), 401, "publisher-unknown"),
        (whip("publish", "/v1/whip/CAM-2/0", "v=0"), 403, "publisher-other-device"),
        (whip("publish", "/v1/whip/CAM.1/0", "v=0"), 404, "not-found"),
        (whip("publish", "/v1/whip/CAM-1/65536", "v=0"), 404, "not-found"),
    ];
    for (request, status, name) in cases {
        assert_eq!(door.send(request).await.problem(), (status, name.to_owned()));
    }
    let anonymous = plain("POST", "/v1/whip/CAM-1/0").body(Body::empty()).unwrap();
    assert_eq!(door.send(anonymous).await.problem(), (401, "publisher-unknown".into()));
}

#[tokio::test]
async fn an_offer_is_taken_up_to_its_bound_and_with_its_media_type_only() {
    let door = Door::new();
    let path = "/v1/whip/CAM-1/0";
    let fits = "x".repeat(MAX_SDP_LEN);
    assert_eq!(door.send(whip("publish", path, fits)).await.status, 201);
    let large = door.send(whip("publish", path, "x".repeat(MAX_SDP_LEN + 1))).await;
    assert_eq!(large.problem(), (413, "body-too-large".into()));
    let binary = door.send(whip("publish", path, vec![0xff, 0xfe])).await;
    assert_eq!(binary.problem(), (400, "malformed-request".into()));
    for kind in ["application/json", "text/plain", ""] {
        let request = plain("POST", path)
            .header("authorization", "Bearer publish")
            .header("content-type", kind)
            .body(Body::from("v=0"))
            .unwrap();
        let reply = door.send(request).await;
        assert_eq!(reply.problem(), (415, "unsupported-media-type".into()));
        assert_eq!(reply.header("accept"), "application/sdp");
    }
}

#[tokio::test]
async fn trickle_restart_and_the_end_of_a_session() {
    let door = Door::new();
    let trickled = door.send(patch("a", Some("\"e1\""))).await;
    assert_eq!((trickled.status.as_u16(), trickled.text.as_str()), (204, ""));
    *door.script.restarts.lock().unwrap() = true;
    for tag in ["*", "\"*\"", "W/\"e1\""] {
        let restarted = door.send(patch("b", Some(tag))).await;
        assert_eq!(restarted.status, 200);
        assert_eq!(restarted.header("etag"), "\"e2\"");
        assert_eq!(restarted.header("content-type"), "application/trickle-ice-sdpfrag");
        assert_eq!(restarted.text, "a=ice-ufrag:x\r\n");
    }
    let expected: Vec<String> =
        ["Some(\"e1\") a", "Some(\"*\") b", "Some(\"*\") b", "Some(\"e1\") b"]
            .map(|rest| format!("patch {SESSION} {rest}"))
            .into();
    assert_eq!(door.seen(), expected);

    let cases = [
        (MediaRefusal::PreconditionRequired, 428, "precondition-required"),
        (MediaRefusal::PreconditionFailed, 412, "precondition-failed"),
        (MediaRefusal::NoSession, 404, "no-session"),
        (MediaRefusal::BadOffer("because".into()), 400, "bad-offer"),
    ];
    for (refusal, status, name) in cases {
        *door.script.media.lock().unwrap() = Some(refusal);
        assert_eq!(door.send(patch("c", None)).await.problem(), (status, name.to_owned()));
    }
    *door.script.media.lock().unwrap() = None;
    for kind in ["whep", "whip"] {
        let path = format!("/v1/{kind}-sessions/{SESSION}");
        let request =
            plain("DELETE", &path).header("if-match", "\"old\"").body(Body::empty()).unwrap();
        assert_eq!(door.send(request).await.status, 200);
    }
    let wrong = plain("PATCH", &format!("/v1/whep-sessions/{SESSION}"))
        .header("content-type", "application/sdp")
        .body(Body::from("v=0"))
        .unwrap();
    assert_eq!(door.send(wrong).await.problem(), (415, "unsupported-media-type".into()));
    for id in ["short", &SESSION.to_uppercase(), &format!("{SESSION}0")] {
        let path = format!("/v1/whep-sessions/{id}");
        let reply = door.send(plain("DELETE", &path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.problem(), (404, "no-session".into()));
    }
}

#[tokio::test]
async fn discovery_and_preflight_need_no_credential() {
    let door = Door::new();
    let head = door.send(plain("HEAD", WHEP).body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.header("content-type")), (200, "application/sdp"));
    for path in [WHEP, "/v1/whip/CAM-1/0"] {
        let request =
            plain("OPTIONS", path).header("origin", "https://player.example").body(Body::empty());
        let reply = door.send(request.unwrap()).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("accept-post"), "application/sdp");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(reply.header("access-control-allow-headers").contains("dpop"));
        assert!(reply.header("access-control-allow-methods").contains("POST"));
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
    }
    let path = format!("/v1/whep-sessions/{SESSION}");
    let reply = door.send(plain("OPTIONS", &path).body(Body::empty()).unwrap()).await;
    assert!(reply.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(reply.header("accept-patch"), "application/trickle-ice-sdpfrag");
}

#[tokio::test]
async fn a_grant_buys_an_rtsp_handle_a_roq_session_or_a_ticket() {
    let door = Door::new();
    let client = Client::new(1);
    let handle = door.send(client.with_grant("/v1/rtsp-handles/CAM-1/0", "")).await;
    assert_eq!(handle.status, 201);
    let expected = serde_json::json!({
        "user": "u", "password": "p", "path": "/CAM-1/0",
        "rtsp_port": 8554, "rtsps_port": 8322, "expires_in": 30,
    });
    assert_eq!(handle.json(), expected);
    let session = door.send(client.with_grant("/v1/roq-sessions/CAM-1/0", "")).await;
    assert_eq!(session.status, 201);
    assert_eq!(session.json()["port"], 8444);
    assert_eq!(session.json()["sealed"], true);
    let ticket = door.send(client.with_grant("/v1/webtransport-sessions/CAM-1/0", "")).await;
    assert_eq!(ticket.status, 201);
    let expected = serde_json::json!({
        "path": format!("/v1/live?ticket={SESSION}"), "port": 8444, "expires_in": 30, "tracks": [],
        "sealed": true,
    });
    assert_eq!(ticket.json(), expected);
    let socket = door.send(client.with_grant("/v1/websocket-sessions/CAM-1/0", "")).await;
    assert_eq!(socket.status, 201);
    let path = format!("/v1/websockets/{SESSION}");
    let expected =
        serde_json::json!({ "path": path, "expires_in": 30, "tracks": [], "sealed": true });
    assert_eq!(socket.json(), expected);
}

#[tokio::test]
async fn a_device_publishes_with_its_identity_key_and_a_few_tracks() {
    let door = Door::new();
    let publish = |client: &Client, tracks: usize, sealed: &str| {
        let track = r#"{"flow":0,"payload_type":96,"codec":"h264","clock_rate":90000}"#;
        let body = format!(r#"{{{sealed}"tracks":[{}]}}"#, vec![track; tracks].join(","));
        client
            .request("POST", "/v1/roq-publish/2", None)
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap()
    };
    let device = Client::new(1);
    for (tracks, sealed, said) in
        [(1, "", false), (MAX_TRACKS, r#""sealed":true,"#, true), (1, r#""sealed":false,"#, false)]
    {
        let reply = door.send(publish(&device, tracks, sealed)).await;
        assert_eq!(reply.status, 201);
        assert_eq!(reply.json()["sealed"], said);
        assert_eq!(reply.json()["tracks"].as_array().unwrap().len(), tracks);
    }
    for tracks in [0, MAX_TRACKS + 1] {
        let reply = door.send(publish(&device, tracks, "")).await;
        assert_eq!(reply.problem(), (400, "malformed-request".into()));
    }
    let stranger = door.send(publish(&Client::new(2), 1, "")).await;
    assert_eq!(stranger.problem(), (401, "publisher-unknown".into()));
    let seen = ["open", "sealed", "open"].map(|mode| format!("roq publish CAM-1 2 {mode}"));
    assert_eq!(door.seen(), seen);
}

#[tokio::test]
async fn a_session_of_a_device_that_changes_its_mode_meanwhile_is_not_handed_out() {
    let (door, device) = (Door::new(), Client::new(1));
    for (before, after, status) in [(true, true, 201), (true, false, 406), (false, true, 406)] {
        *door.script.opened.lock().unwrap() = vec![after, before];
        let track = r#"{"flow":0,"payload_type":96,"codec":"h264","clock_rate":90000}"#;
        let request = device
            .request("POST", "/v1/roq-publish/0", None)
            .header("content-type", "application/json")
            .body(Body::from(format!(r#"{{"tracks":[{track}]}}"#)))
            .unwrap();
        let reply = door.send(request).await;
        assert_eq!(reply.status, status, "{before} {after}");
        if status == 406 {
            assert_eq!(reply.problem(), (406, "wrong-protection".into()));
        }
    }
}
