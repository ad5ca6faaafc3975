//! Settings of the relay, already validated.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use crate::crew::MAX_WORKERS;

/// Addresses and certificates of the relay's ports. Each worker has UDP sockets of its own, so that
/// a datagram reaches the worker that has its session whatever address its sender has: the first
/// worker at the ports given here, the next ones at the ports after them.
#[derive(Clone)]
pub struct RelayConfig {
    /// Worker threads, 1 to [`MAX_WORKERS`].
    pub workers: usize,
    /// UDP socket of WebRTC sessions.
    pub webrtc: SocketAddr,
    /// TCP listener for RTSP. Plain RTSP play is allowed on loopback only, unless `plain_rtsp_play`.
    pub rtsp: SocketAddr,
    /// TCP listener for RTSP over TLS.
    pub rtsps: SocketAddr,
    /// UDP sockets for RTSP media: RTP here, RTCP on the next port; two a worker.
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

impl RelayConfig {
    /// The same with the UDP ports of one worker. Ports that the system chooses stay so.
    pub(crate) fn of_worker(&self, index: u8) -> Self {
        let shifted = |address: SocketAddr, ports: u16| {
            let port = address.port();
            let moved = if port == 0 { 0 } else { port.saturating_add(ports * u16::from(index)) };
            SocketAddr::new(address.ip(), moved)
        };
        let (webrtc, roq) = (shifted(self.webrtc, 1), shifted(self.roq, 1));
        Self { webrtc, roq, rtsp_udp: shifted(self.rtsp_udp, 2), ..self.clone() }
    }
}

/// A certificate chain with its key.
pub struct TlsIdentity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}
