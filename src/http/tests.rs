use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn location(host: &str, path: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, host.parse().unwrap());
    let answer = redirect(8443, &path.parse().unwrap(), &headers);
    let target = answer.headers().get(header::LOCATION)?;
    Some(target.to_str().unwrap().to_owned())
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
}

/// Kinds of the frames that a server has written until it closed.
fn kinds(mut written: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((head, rest)) = written.split_at_checked(9) {
        kinds.push(head[3]);
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        written = &rest[len..];
    }
    kinds
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http_2_is_closed_when_nothing_is_asked_any_more() {
    const GOAWAY: u8 = 7;
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let slow = || async {
        tokio::time::sleep(3 * HEADER_TIMEOUT).await;
        "late"
    };
    let app = Router::new().route("/", axum::routing::get(slow));
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let peer = Peer { from, reset: ResetOnDrop::default() };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(speak_http(server, Some(Version::HTTP_2), peer, app, stop));
    // GET http://a/ by the static table (RFC 7541, A).
    let head = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let opening = [&preface[..], &frame(4, 0, 0, &[]), &frame(1, 5, 1, &head)].concat();
    client.write_all(&opening).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut written = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match client.read(&mut buffer).await.unwrap() {
            0 => break,
            len => written.extend_from_slice(&buffer[..len]),
        }
        // Every ping is answered, also the last one, which asks whether all has arrived.
        while let Some(at) = ping(&written) {
            let answer = frame(6, 1, 0, &written[at + 9..at + 17]);
            // It may have closed by then.
            let _ = client.write_all(&answer).await;
            written[at + 4] = 1;
        }
    }
    serving.await.unwrap();
    let kinds = kinds(&written);
    let place = |kind| kinds.iter().position(|it| *it == kind);
    assert!(place(1).is_some_and(|answer| place(GOAWAY) > Some(answer)), "{kinds:?}");
    let idle = begun.elapsed() - 3 * HEADER_TIMEOUT;
    let latest = 2 * HEADER_TIMEOUT + Duration::from_secs(1);
    assert!((HEADER_TIMEOUT..latest).contains(&idle), "{idle:?}");
}

/// Where a ping stands that is none of our answers and has not been answered.
fn ping(written: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(head) = written.get(at..at + 9) {
        if head[3] == 6 && head[4] == 0 && written.len() >= at + 17 {
            return Some(at);
        }
        at += 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    }
    None
}

#[test]
fn the_redirect_keeps_host_and_path_and_takes_no_strange_host() {
    let to = |text: &str| Some(text.to_owned());
    assert_eq!(location("192.0.2.7:8080", "/a?b"), to("https://192.0.2.7:8443/a?b"));
    assert_eq!(location("[2001:db8::1]:8080", "/"), to("https://[2001:db8::1]:8443/"));
    assert_eq!(location("cam.example", "/"), to("https://cam.example:8443/"));
    assert_eq!(location("evil@host/", "/"), None);
}
