//! Broken session descriptions by those who may offer: a camera by WHIP, a viewer by WHEP.

use reqwest::Client;
use serde_json::Value;

use crate::attack::Noise;
use crate::native::{Device, Server, User};

/// An offer to publish that is fine.
fn offer() -> String {
    let fingerprint = ["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\n\
         a=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\n\
         a=rtpmap:96 H264/90000\r\n\
         a=fmtp:96 packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1\r\n"
    )
}

/// Offers that are refused, each with its status and problem.
fn broken() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let good = offer();
    let without = |start: &str| {
        let lines = good.lines().filter(|line| !line.starts_with(start));
        lines.map(|line| format!("{line}\r\n")).collect::<String>().into_bytes()
    };
    let instead = |from: &str, to: &str| good.replace(from, to).into_bytes();
    vec![
        ("nothing", Vec::new(), 400, "bad-offer"),
        ("noise", Noise::new(60).bytes(2000), 400, "malformed-request"),
        ("JSON", b"{\"sdp\": 1}".to_vec(), 400, "bad-offer"),
        ("no section", good.split("m=").next().unwrap_or_default().into(), 400, "bad-offer"),
        ("no fingerprint", without("a=fingerprint"), 400, "bad-offer"),
        ("a short fingerprint", instead("AB:AB:AB:", ""), 400, "bad-offer"),
        ("no user fragment", without("a=ice-ufrag"), 400, "bad-offer"),
        ("a short ICE password", instead("0123456789abcdefghijkl", "short"), 400, "bad-offer"),
        ("no multiplexing", without("a=rtcp-mux"), 400, "bad-offer"),
        ("no common codec", instead("H264", "FOO"), 406, "unsupported-codec"),
        (
            "64 sections",
            format!("{good}{}", "m=video 9 X 96\r\n".repeat(64)).into(),
            400,
            "bad-offer",
        ),
        ("65 KiB", [good.as_bytes(), &vec![b'a'; 66_000]].concat(), 413, "body-too-large"),
    ]
}

/// WHIP with the right password.
pub(crate) async fn whip(server: &Server, device: &Device) {
    let url = format!("{}/v1/whip/{}/0", server.origin, device.serial);
    let http = Client::builder().no_proxy().build().expect("an HTTP client");
    let post = |kind: &'static str, body: Vec<u8>| {
        let request = http.post(&url).bearer_auth(&device.password).header("Content-Type", kind);
        answered(request.body(body))
    };
    for (name, body, status, problem) in broken() {
        let answer = post("application/sdp", body).await;
        assert_eq!((answer.0, answer.1.as_str()), (status, problem), "WHIP, {name}");
    }
    let answer = post("text/plain", offer().into_bytes()).await;
    assert_eq!((answer.0, answer.1.as_str()), (415, "unsupported-media-type"));
    let good = offer();
    for cut in (0..good.len()).step_by(23) {
        let (status, problem, session) = post("application/sdp", good[..cut].into()).await;
        assert!(matches!(status, 201 | 400 | 406), "WHIP cut at {cut}: {status} {problem}");
        if let Some(session) = session {
            let gone = http.delete(format!("{}{session}", server.origin)).send().await;
            assert!(gone.expect("an answer").status().is_success());
        }
    }
    sessions(server, &http).await;
}

/// Fragments for sessions that do not exist.
async fn sessions(server: &Server, http: &Client) {
    for path in ["/v1/whip-sessions/x", "/v1/whep-sessions/%00", "/v1/whip-sessions/../../x"] {
        let request = http.patch(format!("{}{path}", server.origin));
        let request = request.header("Content-Type", "application/trickle-ice-sdpfrag");
        let (status, _, _) = answered(request.header("If-Match", "*").body("a=x")).await;
        assert!(matches!(status, 404 | 405), "{path}: {status}");
    }
}

/// WHEP with a grant.
pub(crate) async fn whep(server: &Server, user: &User, serial: &str) {
    let path = format!("/v1/whep/{serial}/0");
    let http = Client::builder().no_proxy().build().expect("an HTTP client");
    for (name, body, status, problem) in broken() {
        let grant = user.grant(serial).await;
        let request = http
            .post(format!("{}{path}", server.origin))
            .bearer_auth(grant.expose())
            .header("DPoP", user.proof(server, &path, grant.expose()))
            .header("Content-Type", "application/sdp");
        // A viewer's offer has the other direction.
        let body = match String::from_utf8(body) {
            Ok(text) => text.replace("a=sendonly", "a=recvonly").into_bytes(),
            Err(noise) => noise.into_bytes(),
        };
        let answer = answered(request.body(body)).await;
        assert_eq!((answer.0, answer.1.as_str()), (status, problem), "WHEP, {name}");
    }
}

/// Status, problem and session of an answer.
async fn answered(request: reqwest::RequestBuilder) -> (u16, String, Option<String>) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let session = response.headers().get("location").and_then(|value| value.to_str().ok());
    let session = session.map(str::to_owned);
    let text = response.text().await.unwrap_or_default();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let kind = body["type"].as_str().unwrap_or_default();
    (status, kind.trim_start_matches("/problems/").to_owned(), session)
}
