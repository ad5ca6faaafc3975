//! Watching over WebTransport, as a browser does.

mod pin;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    Chunk, ClientConfig, Connection, ConnectionError, Endpoint, ReadError, RecvStream, SendStream,
    TransportConfig, VarInt,
};
use rustls::CipherSuite;
use rustls::crypto::aws_lc_rs;
use serde::Deserialize;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::gop_stream::{FormatError, Item};
use url::Url;
use web_transport_proto::{
    Capsule, ConnectError, ConnectRequest, ConnectResponse, Frame, Settings,
};

use self::pin::Pinned;
use self::stream::Incoming;

/// ALPN of HTTP/3.
const ALPN: &[u8] = b"h3";
/// Name in the handshake: the certificate is known by its hash, not by a name.
const SERVER_NAME: &str = "sightline.internal";
/// Longest handshake, and longest wait for the answer to the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which a connection is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Time between keep-alives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Uni streams that the server may have open towards us.
const MAX_STREAMS: u32 = 64;
/// Unread bytes of all streams.
const RECEIVE_WINDOW: u32 = 16 * 1024 * 1024;
/// Unread bytes of one stream.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
/// Longest answer of the server on the request's stream, bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// One track of a session.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct WebTrack {
    /// Its number at the start of each stream.
    pub track: u8,
    /// `h264`, `h265`, `av1`, `opus`, `pcmu`, `pcma`, `aac`.
    pub codec: String,
    /// Ticks of media time a second.
    pub clock_rate: u32,
    /// Audio channels, 0 for video.
    #[serde(default)]
    pub channels: u8,
    /// SDP format parameters.
    #[serde(default)]
    pub fmtp: String,
}

/// What the server said of a session.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct WebSession {
    /// Path and query of the request, with a ticket that works once.
    pub path: String,
    /// UDP port.
    pub port: u16,
    /// Tracks.
    pub tracks: Vec<WebTrack>,
    /// Whether the items' payloads are sealed frames.
    #[serde(default)]
    pub sealed: bool,
}

/// What the server said of a WebSocket session.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct SocketSession {
    /// Path on the server's own origin, which opens the WebSocket once.
    pub path: String,
    /// Tracks.
    pub tracks: Vec<WebTrack>,
    /// Whether the items' payloads are sealed frames.
    pub sealed: bool,
}

/// Where to connect.
#[derive(Clone, Debug)]
pub struct WebTarget {
    /// Address of the server; the session tells the port.
    pub server: IpAddr,
    /// What the server said of the session.
    pub session: WebSession,
    /// SHA-256 of the certificates that the server may have.
    pub hashes: Vec<[u8; 32]>,
    /// A socket to share with other connections; `None`: an own one.
    pub endpoint: Option<Endpoint>,
}

/// Why a WebTransport session cannot be had or has ended.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The server ended the session in good order.
    #[error("the server ended the session with code {code}: {reason}")]
    Ended {
        /// Code of the session's end.
        code: u32,
        /// The server's words.
        reason: String,
    },
    /// The server closed the connection.
    #[error("the server closed the connection with code {code:#x}: {reason}")]
    Closed {
        /// Application error code.
        code: u64,
        /// The server's words.
        reason: String,
    },
    /// The request was refused.
    #[error("the server answers the request with {0}")]
    Refused(String),
    /// QUIC failed.
    #[error("QUIC: {0}")]
    Quic(String),
    /// No answer in time.
    #[error("the server does not answer")]
    Timeout,
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server breaks the protocol.
    #[error("the server breaks the protocol: {0}")]
    Protocol(String),
    /// A stream breaks the format of items.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// No UDP socket.
    #[error("the socket: {0}")]
    Io(#[from] std::io::Error),
}

impl From<ConnectionError> for WebError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Closed {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).chars().take(200).collect(),
            },
            ConnectionError::TimedOut => Self::Timeout,
            other => Self::Quic(other.to_string()),
        }
    }
}

type Reading = BoxFuture<'static, (Incoming, Result<Option<Chunk>, ReadError>)>;

/// One watching session.
pub struct WebViewer {
    connection: Connection,
    /// Open as long as the session is.
    _control: SendStream,
    _request: SendStream,
    answer: RecvStream,
    /// What came on the request's stream and is not understood yet.
    said: Vec<u8>,
    reading: FuturesUnordered<Reading>,
    ready: std::collections::VecDeque<Item>,
    resets: u64,
    /// What the session was set up for.
    mode: Mode,
}

impl WebViewer {
    /// Connects and enters the session.
    ///
    /// # Errors
    /// The server cannot be reached, has another certificate, or refuses the ticket.
    pub async fn connect(target: &WebTarget) -> Result<Self, WebError> {
        let entering = tokio::time::timeout(CONNECT_TIMEOUT, enter(target));
        entering.await.map_err(|_| WebError::Timeout)?
    }

    /// The next item. Items of one stream are in order; those of different streams may overtake
    /// each other. Cancelling loses nothing.
    ///
    /// # Errors
    /// The session has ended, or an item is sealed where the session is open, or the reverse.
    pub async fn next(&mut self) -> Result<Item, WebError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return checked(item, self.mode);
            }
            self.step(true).await?;
        }
    }

    /// Takes everything and throws it away unread until the session ends; gives the reason.
    pub async fn drain(&mut self) -> WebError {
        loop {
            if let Err(error) = self.step(false).await {
                return error;
            }
        }
    }

    /// Streams that the server cut off.
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Leaves.
    pub fn close(self) {
        self.connection.close(VarInt::from_u32(0x100), b"enough");
    }

    /// Waits for one thing to happen.
    async fn step(&mut self, understand: bool) -> Result<(), WebError> {
        let happened = tokio::select! {
            stream = self.connection.accept_uni() => {
                self.reading.push(read(Incoming::new(stream?)));
                None
            }
            Some(read) = self.reading.next() => Some(read),
            chunk = self.answer.read_chunk(MAX_ANSWER, true) => return self.heard(chunk),
        };
        let Some((mut incoming, chunk)) = happened else { return Ok(()) };
        match chunk {
            Ok(Some(chunk)) => {
                if understand {
                    incoming.push(&chunk.bytes, &mut self.ready)?;
                }
                self.reading.push(read(incoming));
            }
            Ok(None) => {}
            Err(ReadError::Reset(_)) => self.resets += 1,
            Err(ReadError::ConnectionLost(error)) => return Err(error.into()),
            Err(error) => return Err(WebError::Quic(error.to_string())),
        }
        Ok(())
    }

    /// The server says something on the request's stream: only the session's end is of interest.
    fn heard(&mut self, chunk: Result<Option<Chunk>, ReadError>) -> Result<(), WebError> {
        let Ok(Some(chunk)) = chunk else {
            let reason = "without a word".to_owned();
            return Err(WebError::Ended { code: 0, reason });
        };
        if self.said.len() + chunk.bytes.len() > MAX_ANSWER {
            return Err(WebError::Protocol("too much on the request's stream".into()));
        }
        self.said.extend_from_slice(&chunk.bytes);
        let mut rest = &self.said[..];
        let Ok((Frame::DATA, mut body)) = Frame::read(&mut rest) else { return Ok(()) };
        match Capsule::decode(&mut body) {
            Ok(Capsule::CloseWebTransportSession { code, reason }) => {
                Err(WebError::Ended { code, reason })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Whoever asked for a sealed camera is never shown what was clear on its way.
fn checked(item: Item, mode: Mode) -> Result<Item, WebError> {
    match (mode, item.sealed) {
        (Mode::Open, false) | (Mode::Sealed, true) => Ok(item),
        (Mode::Open, true) => Err(WebError::Protocol("a sealed item in an open session".into())),
        (Mode::Sealed, false) => Err(WebError::Protocol("a clear item in a sealed session".into())),
    }
}

fn read(mut incoming: Incoming) -> Reading {
    Box::pin(async move {
        let chunk = incoming.stream.read_chunk(usize::MAX, true).await;
        (incoming, chunk)
    })
}

async fn enter(target: &WebTarget) -> Result<WebViewer, WebError> {
    let endpoint = match &target.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => {
            let any = if target.server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            Endpoint::client(any.parse().expect("a constant address"))?
        }
    };
    let config = client_config(&target.hashes)?;
    let at = SocketAddr::new(target.server, target.session.port);
    let connecting = endpoint
        .connect_with(config, at, SERVER_NAME)
        .map_err(|error| WebError::Quic(error.to_string()))?;
    let connection = connecting.await?;
    let mut control = connection.open_uni().await?;
    let mut settings = Settings::default();
    settings.enable_webtransport(1);
    let mut bytes = Vec::new();
    settings.encode(&mut bytes);
    write(&mut control, &bytes).await?;

    let url = format!("https://{SERVER_NAME}:{}{}", target.session.port, target.session.path);
    let url = Url::parse(&url).map_err(|error| WebError::Protocol(error.to_string()))?;
    let mut bytes = Vec::new();
    ConnectRequest::new(url)
        .encode(&mut bytes)
        .map_err(|error| WebError::Protocol(error.to_string()))?;
    let (mut request, mut answer) = connection.open_bi().await?;
    write(&mut request, &bytes).await?;
    let said = answered(&mut answer).await?;
    Ok(WebViewer {
        connection,
        _control: control,
        _request: request,
        answer,
        said,
        reading: FuturesUnordered::new(),
        ready: std::collections::VecDeque::new(),
        resets: 0,
        mode: target.session.sealed.into(),
    })
}

/// Waits for a good answer; what came behind it.
async fn answered(answer: &mut RecvStream) -> Result<Vec<u8>, WebError> {
    let mut said: Vec<u8> = Vec::new();
    while said.len() < MAX_ANSWER {
        let chunk = answer.read_chunk(MAX_ANSWER, true).await;
        let bytes = match chunk {
            Ok(Some(chunk)) => chunk.bytes,
            Ok(None) => Bytes::new(),
            Err(ReadError::ConnectionLost(error)) => return Err(error.into()),
            Err(error) => return Err(WebError::Quic(error.to_string())),
        };
        if bytes.is_empty() {
            return Err(WebError::Refused("nothing".into()));
        }
        said.extend_from_slice(&bytes);
        let mut rest = &said[..];
        match ConnectResponse::decode(&mut rest) {
            Ok(_) => return Ok(rest.to_vec()),
            Err(ConnectError::UnexpectedEnd) => {}
            Err(ConnectError::WrongStatus(status)) => {
                let status = status.map_or_else(|| "no status".to_owned(), |it| it.to_string());
                return Err(WebError::Refused(status));
            }
            Err(error) => return Err(WebError::Protocol(error.to_string())),
        }
    }
    Err(WebError::Protocol("the answer is too long".into()))
}

async fn write(stream: &mut SendStream, bytes: &[u8]) -> Result<(), WebError> {
    stream.write_all(bytes).await.map_err(|error| WebError::Quic(error.to_string()))
}

fn client_config(hashes: &[[u8; 32]]) -> Result<ClientConfig, WebError> {
    let tls = |error: &dyn std::fmt::Display| WebError::Tls(error.to_string());
    let mut provider = aws_lc_rs::default_provider();
    // The server takes our first choice: AES-128 seals cheaper than AES-256 at both ends.
    provider.cipher_suites.sort_by_key(|it| it.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let pinned = Pinned::new(hashes.to_vec(), provider.signature_verification_algorithms);
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    let crypto = QuicClientConfig::try_from(config).map_err(|error| tls(&error))?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().map_err(|error| tls(&error))?))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(MAX_STREAMS))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW));
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sightline_relay_proto::frame::MediaTime;
    use sightline_relay_proto::ids::{Tier, TrackIndex};

    use super::*;

    #[test]
    fn an_item_of_the_other_mode_ends_the_session() {
        let item = |sealed| Item {
            track: TrackIndex(0),
            keyframe: true,
            discardable: false,
            discontinuity: false,
            sealed,
            tier: Tier::Main,
            sequence: 1,
            media_time: MediaTime(1),
            capture: None,
            payload: Bytes::new(),
        };
        for mode in [Mode::Open, Mode::Sealed] {
            assert!(checked(item(mode.is_sealed()), mode).is_ok());
            let error = checked(item(!mode.is_sealed()), mode).unwrap_err();
            assert!(matches!(error, WebError::Protocol(_)), "{error}");
        }
    }
}
