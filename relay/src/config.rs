//! Settings of the relay, already validated.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Addresses and certificates of the relay's ports.
pub struct RelayConfig {
    /// UDP socket of all WebRTC sessions.
    pub webrtc: SocketAddr,
    /// TCP listener for RTSP. Plain RTSP play is allowed on loopback only, unless `plain_rtsp_play`.
    pub rtsp: SocketAddr,
    /// TCP listener for RTSP over TLS.
    pub rtsps: SocketAddr,
    /// UDP sockets for RTSP media: RTP here, RTCP on the next port.
    pub rtsp_udp: SocketAddr,
    /// UDP socket for RTP over QUIC.
    pub roq: SocketAddr,
    /// Addresses that viewers reach us at, for ICE candidates. Not empty.
    pub public_addresses: Vec<IpAddr>,
    /// Whether RTSP PLAY without TLS is allowed from other than loopback addresses.
    pub plain_rtsp_play: bool,
    /// Certificate chain and key for RTSPS and QUIC.
    pub tls: Arc<TlsIdentity>,
}

/// A certificate chain with its key.
pub struct TlsIdentity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}
