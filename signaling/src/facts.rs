//! What clients must know about this server before they connect.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Serialize;
use utoipa::ToSchema;

/// Answer of `GET /v1/server`. Nothing in it is secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServerFacts {
    /// Name that key proofs and grants are bound to.
    pub server_name: String,
    /// SHA-256 of the local CA's certificate (DER), lower-case hex; empty with a public one.
    pub ca_sha256: String,
    /// SHA-256 of the certificates that WebTransport clients may pin, base64url: the one in use,
    /// then the one after it.
    #[schema(value_type = Vec<String>)]
    pub webtransport_hashes: Hashes,
    /// Ports as clients reach them.
    pub ports: Ports,
    /// Whether codes go to the operator's terminal instead of a phone.
    pub development: bool,
}

/// Hashes that change while the server runs, read at each answer.
#[derive(Clone)]
pub struct Hashes(Arc<dyn Fn() -> Vec<[u8; 32]> + Send + Sync>);

impl Hashes {
    /// From what reads the present ones.
    pub fn new(read: impl Fn() -> Vec<[u8; 32]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl std::fmt::Debug for Hashes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries((self.0)().iter().map(|hash| B64.encode(hash))).finish()
    }
}

impl Serialize for Hashes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)().iter().map(|hash| B64.encode(hash)))
    }
}

/// Ports as clients reach them.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Ports {
    /// Page and API without TLS, loopback only.
    pub http: u16,
    /// Page and API.
    pub https: u16,
    /// RTP over QUIC and WebTransport, UDP: the first relay thread's.
    pub roq: u16,
    /// Relay threads. Each next one has the UDP ports after those of the one before it.
    pub relay_threads: u16,
    /// WebRTC, UDP.
    pub webrtc: u16,
    /// RTSP, TCP.
    pub rtsp: u16,
    /// RTSP over TLS, TCP.
    pub rtsps: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            http: 8080,
            https: 8443,
            roq: 8444,
            relay_threads: 1,
            webrtc: 8189,
            rtsp: 8554,
            rtsps: 8322,
        }
    }
}
