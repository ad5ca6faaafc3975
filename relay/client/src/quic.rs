//! Connecting to the RoQ port: pinned roots, client certificate, transport settings.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig, VarInt};
use rustls::crypto::aws_lc_rs;
use rustls::{CipherSuite, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sightline_relay_proto::roq::{ALPN, Code};
use sightline_relay_proto::wire::sealed::SealedError;

use crate::identity::{Identity, IdentityError};
use crate::wire::{RoqSession, SessionError};

/// Silence after which a connection is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Time between keep-alives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Longest handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Uni streams that the server may have open towards us.
const MAX_STREAMS: u32 = 256;
/// Unacknowledged stream bytes kept for sending.
const SEND_WINDOW: u64 = 1024 * 1024;
/// Unread bytes of all streams.
const RECEIVE_WINDOW: u32 = 16 * 1024 * 1024;
/// Unread bytes of one stream.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of datagrams kept each way.
const DATAGRAM_BYTES: usize = 512 * 1024;
/// First UDP payload, bytes: carries an RTP packet of 1200 bytes in one datagram.
const INITIAL_MTU: u16 = 1252;

/// The certificates that are trusted: the server's local CA, pinned. Nothing else is.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// The pinned CA cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[error("the pinned CA is not a PEM certificate: {0}")]
pub struct InvalidRoots(String);

impl Roots {
    /// From PEM text with at least one certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidRoots> {
        let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        Self::from_der(list.map_err(|error| InvalidRoots(error.to_string()))?)
    }

    /// From certificates.
    pub fn from_der(
        list: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, InvalidRoots> {
        let mut store = RootCertStore::empty();
        for certificate in list {
            store.add(certificate).map_err(|error| InvalidRoots(error.to_string()))?;
        }
        if store.is_empty() {
            return Err(InvalidRoots("there is none".to_owned()));
        }
        Ok(Self(Arc::new(store)))
    }

    /// TLS for HTTP.
    pub(crate) fn http_config(&self) -> Result<rustls::ClientConfig, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.0.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Where and as whom to connect.
#[derive(Clone, Debug)]
pub struct SessionTarget {
    /// Address of the server.
    pub server: IpAddr,
    /// What the server said of the session, its port among it.
    pub session: RoqSession,
    /// Trusted roots.
    pub roots: Roots,
    /// The key that the session is for.
    pub identity: Arc<Identity>,
    /// A socket to share with other connections; `None`: an own one.
    pub endpoint: Option<Endpoint>,
}

/// How pictures come to a viewer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pictures {
    /// A stream a frame: what is lost is sent again.
    #[default]
    Streams,
    /// A datagram a packet, since we allow the server no streams: what is lost stays lost, and delays
    /// nothing.
    Datagrams,
}

/// Why a RoQ connection cannot be made or has ended.
#[derive(Debug, thiserror::Error)]
pub enum RoqError {
    /// The server closed it.
    #[error("the server closed the connection with code {code:#04x}: {reason}")]
    Closed {
        /// Application error code.
        code: u64,
        /// The server's words.
        reason: String,
    },
    /// QUIC failed.
    #[error("QUIC: {0}")]
    Quic(String),
    /// No answer in time.
    #[error("the server does not answer")]
    Timeout,
    /// The key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The session makes no sense.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// Something else than a sealed frame was to be sent in a sealed session.
    #[error("the session is sealed, and what is to be sent is not: {0}")]
    NotSealed(#[from] SealedError),
    /// No UDP socket.
    #[error("the socket: {0}")]
    Io(#[from] std::io::Error),
}

impl RoqError {
    /// Whether the session itself is dead, so that a new one must be asked for.
    pub fn ends_session(&self) -> bool {
        matches!(self, Self::Closed { code, .. } if *code == u64::from(Code::General.wire()))
    }
}

impl From<ConnectionError> for RoqError {
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

/// Connects and proves the key. The endpoint lives as long as the connection.
pub(crate) async fn connect(
    target: &SessionTarget,
    pictures: Pictures,
) -> Result<Connection, RoqError> {
    let config = client_config(target, pictures)?;
    let endpoint = match &target.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => {
            let any = if target.server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            Endpoint::client(any.parse().expect("a constant address"))?
        }
    };
    let at = SocketAddr::new(target.server, target.session.port);
    let connecting = endpoint
        .connect_with(config, at, &target.session.server_name)
        .map_err(|error| RoqError::Quic(error.to_string()))?;
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
    Ok(connected.map_err(|_| RoqError::Timeout)??)
}

fn client_config(target: &SessionTarget, pictures: Pictures) -> Result<ClientConfig, RoqError> {
    let streams = match pictures {
        Pictures::Streams => MAX_STREAMS,
        Pictures::Datagrams => 0,
    };
    let tls = |error: &dyn std::fmt::Display| RoqError::Tls(error.to_string());
    let (certificate, key) = target.identity.client_certificate()?;
    let mut provider = aws_lc_rs::default_provider();
    // The server takes our first choice: AES-128 seals cheaper than AES-256 at both ends.
    provider.cipher_suites.sort_by_key(|it| it.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls(&error))?
        .with_root_certificates(target.roots.0.clone())
        .with_client_auth_cert(vec![certificate], key)
        .map_err(|error| tls(&error))?;
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    let crypto = QuicClientConfig::try_from(config).map_err(|error| tls(&error))?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().map_err(|error| tls(&error))?))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(streams))
        .send_window(SEND_WINDOW)
        .send_fairness(false)
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .datagram_receive_buffer_size(Some(DATAGRAM_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BYTES)
        .initial_mtu(INITIAL_MTU);
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// A wire code as QUIC takes it.
pub(crate) fn code(code: Code) -> VarInt {
    VarInt::from_u32(code.wire())
}
