//! HTTP listeners: one loop for clear and TLS connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Connections of one listener at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 2048;
/// Time for a TLS handshake, for the first request of a connection, and for the headers of each.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept, e.g. when file descriptors run out.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);
/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// Pause between pings on a silent HTTP/2 connection.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Time for the answer to a ping; then the connection is dropped.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may take to end once the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A listener with what it serves.
pub(crate) struct Door {
    /// Where connections come in.
    pub(crate) listener: TcpListener,
    /// TLS, or clear.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// What answers.
    pub(crate) app: Router,
}

/// Serves until `stop`, then lets open requests end for a bounded time.
pub(crate) async fn serve(door: Door, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let acceptor = door.tls.map(TlsAcceptor::from);
    let connections = TaskTracker::new();
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            (door.listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
                continue;
            }
        };
        let (app, acceptor, stop) = (door.app.clone(), acceptor.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, from, acceptor, app, stop).await;
            drop(place);
        });
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    app: Router,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => speak_http(stream, from, app, stop).await,
        Some(acceptor) => {
            let handshake = tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = handshake {
                speak_http(stream, from, app, stop).await;
            }
        }
    }
}

async fn speak_http<S>(stream: S, from: SocketAddr, app: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asked = Arc::new(AtomicBool::new(false));
    let first = first_request_overdue(Arc::clone(&asked));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        app.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = first => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Ends when a connection has asked nothing in time. Before the version of HTTP is known, and on
/// HTTP/2, no other timer runs.
async fn first_request_overdue(asked: Arc<AtomicBool>) {
    tokio::time::sleep(HEADER_TIMEOUT).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

/// Sends every request to the https door. Browsers give WebCrypto and the microphone only there.
pub(crate) fn redirect_to_https(https_port: u16) -> Router {
    Router::new().fallback(move |uri: Uri, headers: HeaderMap| async move {
        redirect(https_port, &uri, &headers)
    })
}

fn redirect(https_port: u16, uri: &Uri, headers: &HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || "-.[]:".contains(c);
    if name.is_empty() || !name.chars().all(legal) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let target = format!("https://{name}:{https_port}{path}");
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(host: &str, path: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        let answer = redirect(8443, &path.parse().unwrap(), &headers);
        let target = answer.headers().get(header::LOCATION)?;
        Some(target.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_redirect_keeps_host_and_path_and_takes_no_strange_host() {
        let to = |text: &str| Some(text.to_owned());
        assert_eq!(location("192.0.2.7:8080", "/a?b"), to("https://192.0.2.7:8443/a?b"));
        assert_eq!(location("[2001:db8::1]:8080", "/"), to("https://[2001:db8::1]:8443/"));
        assert_eq!(location("cam.example", "/"), to("https://cam.example:8443/"));
        assert_eq!(location("evil@host/", "/"), None);
    }
}
