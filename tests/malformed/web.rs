//! HTTP/1.1, HTTP/2 and TLS from strangers.

use std::net::SocketAddr;

use crate::attack::{Noise, SOON, throw};
use crate::native::Server;

/// Client preface of HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frame types of HTTP/2.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Requests that are refused, each with the statuses that say why.
fn bad_requests() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n").into_bytes()
    };
    let post = |path: &str, headers: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
        format!("{head}{headers}\r\n{body}").into_bytes()
    };
    let json = "Content-Type: application/json\r\n";
    vec![
        ("no HTTP at all", b"\x00\x01\x02\x03 hello\r\n\r\n".to_vec(), &[400]),
        ("a URL of 1 MiB", get(&format!("/{}", "a".repeat(1 << 20)), ""), &[414, 431, 400]),
        ("a header of 1 MiB", get("/", &format!("X: {}\r\n", "a".repeat(1 << 20))), &[431]),
        ("2000 headers", get("/", &"X: y\r\n".repeat(2000)), &[431]),
        ("a NUL in a header", get("/", "X: a\0b\r\n"), &[400]),
        ("two lengths", get("/", "Content-Length: 1\r\nContent-Length: 2\r\n"), &[400]),
        ("a negative length", get("/", "Content-Length: -1\r\n"), &[400]),
        (
            "a body of 1 MiB",
            post(
                "/v1/sessions",
                &format!("{json}Content-Length: {}\r\n", 1 << 20),
                &"a".repeat(1 << 20),
            ),
            &[400, 401, 413],
        ),
        (
            "a chunk of no size",
            post("/v1/sessions", &format!("{json}Transfer-Encoding: chunked\r\n"), "xyz\r\n"),
            &[400, 401, 413],
        ),
        (
            "broken JSON",
            post("/v1/sessions", &format!("{json}Content-Length: 9\r\n"), "{\"a\":[[[ "),
            &[400, 401],
        ),
        (
            "no login",
            post("/v1/media-grants", &format!("{json}Content-Length: 2\r\n"), "{}"),
            &[401],
        ),
        (
            "a path of bad escapes",
            get("/v1/whep/%ff%00/%2e%2e", "Connection: close\r\n"),
            &[404, 405],
        ),
        ("a serial of 4 KiB", post(&format!("/v1/whip/{}/0", "A".repeat(4096)), "", ""), &[404]),
        ("a version of the future", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n".to_vec(), &[400, 505]),
    ]
}

/// HTTP/1.1 on a clear port.
pub(crate) async fn http(server: &Server) {
    let to = server.address("http");
    for (name, bytes, statuses) in bad_requests() {
        let outcome = throw(to, &bytes, false, SOON).await;
        let status = outcome.status();
        assert!(status.is_some_and(|status| statuses.contains(&status)), "{name}: {outcome:?}");
        assert!(outcome.closed || status == Some(404), "{name} keeps its connection: {outcome:?}");
    }
    let mut noise = Noise::new(1);
    for round in 0..40 {
        let length = 1 + noise.number(4000);
        let outcome = throw(to, &noise.bytes(length), true, SOON).await;
        assert!(outcome.closed, "noise {round}: {outcome:?}");
        assert!(matches!(outcome.status(), None | Some(400)), "noise {round}: {outcome:?}");
    }
    let request = b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{}";
    for cut in (1..request.len()).step_by(7) {
        let outcome = throw(to, &request[..cut], true, SOON).await;
        assert!(outcome.closed, "cut at {cut}: {outcome:?}");
    }
}

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    let mut out = length[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(body);
    out
}

/// Error code of the GOAWAY among the frames of an answer.
fn goaway(mut said: &[u8]) -> Option<u32> {
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = said {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let body = rest.get(..length)?;
        if *kind == GOAWAY {
            return Some(u32::from_be_bytes(body.get(4..8)?.try_into().ok()?));
        }
        said = &rest[length..];
    }
    None
}

/// HTTP/2 without TLS: each broken frame ends the connection with the code for it.
pub(crate) async fn http2(server: &Server) {
    let settings = frame(SETTINGS, 0, 0, &[]);
    let huge = frame(HEADERS, 4, 1, &[0; 20_000]);
    let request = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
    let rapid: Vec<u8> = (0..1000_u32)
        .map(|at| 2 * at + 1)
        .flat_map(|id| [frame(HEADERS, 5, id, &request), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])])
        .flatten()
        .collect();
    // The exact code, or the general one (RFC 9113, 7).
    let attacks: [(&str, Vec<u8>, &[u32]); 6] = [
        ("a thousand requests withdrawn at once", [settings.clone(), rapid].concat(), &[11]),
        ("settings of a bad length", frame(SETTINGS, 0, 0, &[0; 5]), &[1, 6]),
        ("data on stream 0", [settings.clone(), frame(DATA, 0, 0, b"x")].concat(), &[1]),
        (
            "headers that are no HPACK",
            [settings.clone(), frame(HEADERS, 4, 1, &[0xff; 40])].concat(),
            &[1, 9],
        ),
        ("a frame beyond the agreed size", [settings.clone(), huge].concat(), &[1, 6]),
        ("headers on an even stream", [settings, frame(HEADERS, 5, 2, &[0x82])].concat(), &[1]),
    ];
    for (name, frames, codes) in attacks {
        let bytes = [PREFACE, &frames].concat();
        let outcome = throw(server.address("http"), &bytes, false, SOON).await;
        let code = goaway(&outcome.said);
        assert!(code.is_some_and(|code| codes.contains(&code)), "{name}: {code:?} {outcome:?}");
        assert!(outcome.closed, "{name}");
    }
    let mut noise = Noise::new(2);
    for round in 0..20 {
        let bytes = [PREFACE, &noise.bytes(3000)].concat();
        let outcome = throw(server.address("http"), &bytes, true, SOON).await;
        assert!(outcome.closed, "HTTP/2 noise {round}");
    }
}

/// Metrics port: noise ends its connection, and the numbers are served on.
pub(crate) async fn metrics(server: &Server) {
    let to = server.address("metrics");
    let mut noise = Noise::new(5);
    for round in 0..20 {
        let length = 1 + noise.number(4000);
        let outcome = throw(to, &noise.bytes(length), true, SOON).await;
        assert!(outcome.closed, "noise {round}: {outcome:?}");
        assert!(matches!(outcome.status(), None | Some(400)), "noise {round}: {outcome:?}");
    }
    let huge = format!("GET /metrics HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let outcome = throw(to, huge.as_bytes(), false, SOON).await;
    assert!(outcome.closed && matches!(outcome.status(), None | Some(400 | 431)), "{outcome:?}");
}

/// Every port still serves those who ask properly.
pub(crate) async fn serves(server: &Server) {
    for (port, path) in [("http", "/"), ("metrics", "/metrics")] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        let outcome = throw(server.address(port), request.as_bytes(), false, SOON).await;
        assert_eq!(outcome.status(), Some(200), "{port}: {outcome:?}");
    }
    let options = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";
    let outcome = throw(server.address("rtsp"), options, true, SOON).await;
    assert_eq!(outcome.status(), Some(200), "rtsp: {outcome:?}");
}

/// TLS on the ports that speak it.
pub(crate) async fn tls(server: &Server) {
    for port in ["https", "rtsps"] {
        tls_on(server.address(port), port).await;
    }
}

async fn tls_on(to: SocketAddr, port: &str) {
    let hello = [&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3][..], &[7; 60]].concat();
    let attacks: [(&str, Vec<u8>, bool); 5] = [
        ("clear text", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), false),
        ("a record of 65535 bytes", [&[22, 3, 3, 255, 255][..], &[1; 4096]].concat(), false),
        ("a hello that ends early", hello.clone(), true),
        ("a hello of noise", [&hello[..], &Noise::new(3).bytes(400)].concat(), false),
        ("an alert first", vec![21, 3, 3, 0, 2, 2, 40], false),
    ];
    for (name, bytes, end) in attacks {
        let outcome = throw(to, &bytes, end, SOON).await;
        assert!(outcome.closed, "{port}, {name}: {outcome:?}");
        let alert = outcome.said.is_empty() || outcome.said[0] == 21;
        assert!(alert, "{port}, {name}: an alert or nothing: {outcome:?}");
    }
    let mut noise = Noise::new(4);
    for round in 0..20 {
        let length = 1 + noise.number(3000);
        let outcome = throw(to, &noise.bytes(length), true, SOON).await;
        assert!(outcome.closed, "{port}, noise {round}: {outcome:?}");
    }
}
