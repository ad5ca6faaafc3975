//! HTTP listeners: one loop for clear and TLS connections.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use sightline_signaling::plane::ResetOnDrop;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use self::held::Held;

mod held;

/// Connections of one listener at a time, WebSockets too; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 2048;
/// Time for a TLS handshake, for the first request of a connection, and for the headers of each. A
/// connection on which nothing was asked for as long is closed: over HTTP/2 it holds some 40 KB.
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
        let stream = Held::new(stream, place, connections.token());
        tokio::spawn(connection(stream, from, acceptor, app, stop));
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
}

/// What a connection's requests are told of it.
#[derive(Clone)]
struct Peer {
    from: SocketAddr,
    reset: ResetOnDrop,
}

async fn connection(
    stream: Held,
    from: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    app: Router,
    stop: CancellationToken,
) {
    let peer = Peer { from, reset: stream.reset().clone() };
    let Some(acceptor) = acceptor else { return speak_http(stream, None, peer, app, stop).await };
    // Boxed: what a handshake needs would stay part of the connection's task.
    let Some(stream) = Box::pin(shake_hands(acceptor, stream)).await else { return };
    let agreed = version(stream.get_ref().1.alpn_protocol());
    speak_http(stream, Some(agreed), peer, app, stop).await;
}

/// TLS, unless it fails or takes too long. Boxed: a task has a place for each step that a value
/// moves through.
async fn shake_hands(acceptor: TlsAcceptor, stream: Held) -> Option<Box<TlsStream<Held>>> {
    let accepted = tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await;
    accepted.ok()?.ok().map(Box::new)
}

/// The version that was agreed on in the TLS handshake; HTTP/1.1 unless it is HTTP/2.
fn version(alpn: Option<&[u8]>) -> Version {
    if alpn == Some(b"h2") { Version::HTTP_2 } else { Version::HTTP_11 }
}

/// Without an agreed version the first bytes tell. They are then read on their own, and the buffer
/// that is to hold the rest of the request too becomes twice as large.
async fn speak_http<S>(
    stream: S,
    agreed: Option<Version>,
    peer: Peer,
    app: Router,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let requests = Arc::new(Requests::default());
    let counted = Arc::clone(&requests);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let running = counted.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer.from));
        request.extensions_mut().insert(peer.reset.clone());
        let answer = app.clone().oneshot(request);
        async move {
            let _running = running;
            answer.await
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let builder = match agreed {
        None => builder,
        Some(Version::HTTP_2) => builder.http2_only(),
        Some(_) => builder.http1_only(),
    };
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => {}
        () = requests.cease() => {
            if requests.begun.load(Ordering::Relaxed) > 0 {
                connection.as_mut().graceful_shutdown();
                // Answers on their way take as long as they take; a peer that is gone is pinged.
                let _ = connection.await;
            }
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The requests of a connection.
#[derive(Default)]
struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Requests {
    /// Counts one until what is returned is dropped.
    fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Ends when none has run for [`HEADER_TIMEOUT`], or for almost twice as long. Before
    /// the version of HTTP is known, and on HTTP/2, no other timer runs.
    async fn cease(&self) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut before = (0, 0);
        loop {
            tokio::time::sleep(HEADER_TIMEOUT).await;
            let now = (count(&self.begun), count(&self.ended));
            if now == before && now.0 == now.1 {
                return;
            }
            before = now;
        }
    }
}

/// A request that is being answered.
struct Running(Arc<Requests>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
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
mod tests;
