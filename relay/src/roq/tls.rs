//! TLS of the RoQ port: our certificate, and client certificates that prove a key and nothing else.
//!
//! A peer's certificate is self-signed; names, dates and issuers in it mean nothing. The handshake
//! signature proves its key, and the session decides whether that key may come in.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::congestion::CubicConfig;
use quinn_proto::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn_proto::{
    AckFrequencyConfig, Connection, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig,
    TransportConfig, VarInt,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use sightline_grant::{PublicKey, Thumbprint};
use sightline_relay_proto::roq::ALPN;

use super::web::h3;
use crate::config::{RotatingIdentity, TlsIdentity};

/// Silence after which a connection is gone.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Time between our keep-alives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Bytes of unacknowledged stream data kept for one peer.
pub(super) const SEND_WINDOW: u64 = 1024 * 1024;
/// Bytes of unsent datagrams kept for one peer; the oldest go first.
const DATAGRAM_SEND_BYTES: usize = 64 * 1024;
/// Bytes of unread datagrams kept for one peer.
const DATAGRAM_RECEIVE_BYTES: usize = 256 * 1024;
/// Uni streams that a viewer, or a peer that is not known yet, may have open.
pub(super) const VIEWER_STREAMS: u32 = 4;
/// Uni streams that a publisher may have open: one a frame, until it is read. The library keeps the
/// memory of each for the next one, some 400 bytes and more after long frames. These are two seconds
/// of frames.
pub(super) const PUBLISHER_STREAMS: u32 = 64;
/// The same for a publisher that has never opened as many within a second.
pub(super) const SLOW_PUBLISHER_STREAMS: u32 = 8;
/// Unread bytes that a viewer, or a peer that is not known yet, may send.
const VIEWER_RECEIVE_WINDOW: u32 = 64 * 1024;
/// Unread bytes that a publisher may send.
pub(super) const PUBLISHER_RECEIVE_WINDOW: u32 = 8 * 1024 * 1024;
/// Unread bytes of one stream.
const STREAM_RECEIVE_WINDOW: u32 = 2 * 1024 * 1024;
/// First UDP payload, bytes: carries a canonical RTP packet in one datagram, and fits a path whose
/// IPv4 packets are at most 1280 bytes.
const INITIAL_MTU: u16 = 1252;
/// First congestion window, bytes: the cached keyframe goes out at once, and the pacer, whose bursts
/// are a share of the window, does not cut the frames of a stream of usual rate in two.
pub(super) const INITIAL_WINDOW: u64 = 64 * 1024;
/// Packets that a peer may take without an acknowledgement, where it knows the ACK frequency extension
/// (draft-ietf-quic-ack-frequency): more than a usual frame has. A gap is told at once all the same.
const UNACKNOWLEDGED_PACKETS: u32 = 31;
/// Handshakes that wait for the endpoint, at most.
const MAX_INCOMING: usize = 256;

/// Our certificate cannot be used for QUIC.
#[derive(Debug, thiserror::Error)]
#[error("the certificate cannot be used for QUIC: {0}")]
pub struct TlsSetupError(String);

/// Settings of the endpoint and of every connection that it accepts.
pub(super) fn server_config(
    tls: &TlsIdentity,
    web: &RotatingIdentity,
) -> Result<(Arc<EndpointConfig>, Arc<ServerConfig>), TlsSetupError> {
    let failed = |error: &dyn std::fmt::Display| TlsSetupError(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = AnyKey { algorithms: provider.signature_verification_algorithms };
    let own = CertifiedKey::from_der(tls.chain.clone(), tls.key.clone_key(), &provider)
        .map_err(|error| failed(&error))?;
    let certificates = ByProtocol { roq: Arc::new(own), web: web.clone() };
    let mut rustls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed(&error))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(certificates));
    rustls.alpn_protocols = ALPN.iter().copied().chain([h3::ALPN]).map(<[u8]>::to_vec).collect();
    // A resumed handshake would not prove the key again.
    rustls.session_storage = Arc::new(NoServerSessionStorage {});
    rustls.send_tls13_tickets = 0;
    let crypto = QuicServerConfig::try_from(rustls).map_err(|error| failed(&error))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport()?)).max_incoming(MAX_INCOMING);
    Ok((Arc::new(EndpointConfig::default()), Arc::new(config)))
}

fn transport() -> Result<TransportConfig, TlsSetupError> {
    let mut transport = TransportConfig::default();
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(UNACKNOWLEDGED_PACKETS));
    let idle =
        IdleTimeout::try_from(IDLE_TIMEOUT).map_err(|error| TlsSetupError(error.to_string()))?;
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE))
        // One, so that a bidirectional stream is seen and answered with its error code.
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(VIEWER_STREAMS))
        .receive_window(VarInt::from_u32(VIEWER_RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        // Frames go out one after the other, not in slices of all.
        .send_fairness(false)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(DATAGRAM_SEND_BYTES)
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(Arc::new(congestion))
        .initial_mtu(INITIAL_MTU)
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()));
    Ok(transport)
}

/// The certificate for each protocol: browsers know theirs by its hash.
#[derive(Debug)]
struct ByProtocol {
    roq: Arc<CertifiedKey>,
    web: RotatingIdentity,
}

impl ResolvesServerCert for ByProtocol {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let web = hello.alpn().is_some_and(|mut names| names.any(|name| name == h3::ALPN));
        Some(if web { self.web.current() } else { self.roq.clone() })
    }
}

/// Protocol that was agreed on.
pub(super) fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    let data = connection.crypto_session().handshake_data()?;
    data.downcast::<HandshakeData>().ok()?.protocol
}

/// Server name that the peer asked for.
pub(super) fn server_name(connection: &Connection) -> Option<String> {
    let data = connection.crypto_session().handshake_data()?;
    data.downcast::<HandshakeData>().ok()?.server_name
}

/// Thumbprint of the key that the peer proved in the handshake.
pub(super) fn thumbprint(connection: &Connection) -> Option<Thumbprint> {
    let identity = connection.crypto_session().peer_identity()?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    key_of(chain.first()?).map(|key| key.thumbprint())
}

pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    PublicKey::from_spki(&parsed.subject_public_key_info()).ok()
}

/// Takes every certificate with a P-256 or Ed25519 key, and checks the handshake signature.
#[derive(Debug)]
struct AnyKey {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyKey {
    /// Browsers have none. Who has none has no RoQ session either: that stands on the key.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let key = key_of(end_entity);
        key.map(|_| ClientCertVerified::assertion())
            .ok_or_else(|| Error::General("the client key is neither P-256 nor Ed25519".into()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}
