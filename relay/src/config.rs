//! Settings of the relay, already validated.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
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
    /// Certificate for WebTransport, on the same UDP port as RoQ.
    pub web: RotatingIdentity,
}

/// A certificate chain with its key.
pub struct TlsIdentity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

/// A certificate that is exchanged while the relay runs. Copies stand for the same one.
#[derive(Clone, Debug)]
pub struct RotatingIdentity(Arc<RwLock<Arc<CertifiedKey>>>);

impl RotatingIdentity {
    /// Begins with this one.
    ///
    /// # Errors
    /// The key is not of a kind that TLS knows, or is not the certificate's.
    pub fn new(identity: &TlsIdentity) -> Result<Self, rustls::Error> {
        Ok(Self(Arc::new(RwLock::new(certified(identity)?))))
    }

    /// Handshakes from now on are done with this one.
    ///
    /// # Errors
    /// As [`Self::new`]; the old one stays.
    pub fn set(&self, identity: &TlsIdentity) -> Result<(), rustls::Error> {
        let identity = certified(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn certified(identity: &TlsIdentity) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map(Arc::new)
}
