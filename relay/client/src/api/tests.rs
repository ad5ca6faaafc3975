use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn terminal() -> Arc<Identity> {
    Arc::new(Identity::generate_terminal().expect("a key"))
}

/// Answers one request with `answer` and returns the request's text.
async fn serve_once(listener: TcpListener, answer: &'static str) -> String {
    let (mut peer, _) = listener.accept().await.expect("a peer");
    let mut seen = Vec::new();
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        let len = peer.read(&mut buffer).await.expect("bytes");
        seen.extend_from_slice(&buffer[..len]);
    }
    peer.write_all(answer.as_bytes()).await.expect("written");
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn plain_http_goes_to_loopback_only_and_https_needs_pinned_roots() {
    for origin in ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080"] {
        assert!(Api::new(origin, None, terminal()).is_ok(), "{origin}");
    }
    for origin in ["http://192.0.2.1", "http://example.org", "https://127.0.0.1", "ftp://x", ""] {
        assert!(matches!(Api::new(origin, None, terminal()), Err(ApiError::Address)), "{origin}");
    }
}

#[tokio::test]
async fn a_refusal_carries_the_problem_and_the_request_its_proof() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("bound"));
    let answer = "HTTP/1.1 403 Forbidden\r\nretry-after: 3\r\ncontent-type: application/problem+json\r\n\
        content-length: 87\r\n\r\n{\"type\":\"/problems/sms-required\",\"title\":\"SMS\",\
        \"status\":403,\"detail\":\"confirm by SMS\"}  ";
    let server = tokio::spawn(serve_once(listener, answer));
    let api = Api::new(&origin, None, terminal()).expect("loopback");
    let access = Redacted::new("token-1".to_owned());
    let error = api.media_grant(&access, "CAM-1", 0).await.expect_err("refused");
    assert_eq!(error.problem(), Some("sms-required"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert!(!format!("{error:?} {error}").contains("token-1"));
    let request = server.await.expect("served").to_lowercase();
    assert!(request.starts_with("post /v1/media-grants http/1.1"));
    assert!(request.contains("authorization: dpop token-1") && request.contains("dpop: ey"));
}

/// What a client offers as its application protocols in its ClientHello.
async fn offered(listener: TcpListener) -> Vec<Vec<u8>> {
    let (mut peer, _) = listener.accept().await.expect("a peer");
    let mut acceptor = rustls::server::Acceptor::default();
    let mut buffer = [0; 4096];
    loop {
        let len = peer.read(&mut buffer).await.expect("bytes");
        acceptor.read_tls(&mut &buffer[..len]).expect("a record");
        if let Ok(Some(accepted)) = acceptor.accept() {
            let hello = accepted.client_hello();
            return hello.alpn().expect("a list").map(<[u8]>::to_vec).collect();
        }
    }
}

#[tokio::test]
async fn a_device_speaks_http_1_1_and_a_terminal_offers_both_versions() {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let roots = Roots::from_der([own.cert.der().clone()]).expect("a root");
    for (device, expected) in [(true, &["http/1.1"][..]), (false, &["h2", "http/1.1"][..])] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("https://{}", listener.local_addr().expect("bound"));
        let make = if device { Api::for_device } else { Api::new };
        let api = make(&origin, Some(&roots), terminal()).expect("a pinned root");
        let (names, _) = tokio::join!(offered(listener), api.server());
        let expected: Vec<_> = expected.iter().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(names, expected);
    }
}
