//! What clients must know about this server before they connect.

use serde::Serialize;

/// Answer of `GET /v1/server`. Nothing in it is secret.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFacts {
    /// Name that key proofs and grants are bound to.
    pub server_name: String,
    /// SHA-256 of the local CA's PEM text, lower-case hex; empty with a public certificate.
    pub ca_pem_sha256: String,
    /// SHA-256 of the certificates that WebTransport clients may pin, base64url.
    pub webtransport_hashes: Vec<String>,
    /// Ports as clients reach them.
    pub ports: Ports,
    /// Whether codes go to the operator's terminal instead of a phone.
    pub development: bool,
}

/// Ports as clients reach them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ports {
    /// Page and API without TLS, loopback only.
    pub http: u16,
    /// Page and API.
    pub https: u16,
    /// RTP over QUIC, UDP.
    pub roq: u16,
    /// WebRTC, UDP.
    pub webrtc: u16,
    /// RTSP, TCP.
    pub rtsp: u16,
    /// RTSP over TLS, TCP.
    pub rtsps: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { http: 8080, https: 8443, roq: 8444, webrtc: 8189, rtsp: 8554, rtsps: 8322 }
    }
}
