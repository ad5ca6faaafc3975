//! DTLS of one peer: a thin wrapper around `dimpl` that checks the certificate against the SDP,
//! exports the SRTP keys, and lets no unauthenticated record end a handshake.

mod farewell;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};

use self::farewell::{Farewell, Tap};
use super::NegotiationError;
use super::srtp::{Profile, Srtp};

/// First retransmission of a handshake flight.
pub const FLIGHT_RTO: Duration = Duration::from_millis(200);
/// Handshakes begun anew after a message that the library cannot go on from.
pub const MAX_RESTARTS: u8 = 3;
/// Handshake records that wait for reassembly.
const MAX_QUEUED_RECORDS: usize = 64;
/// Largest record that we send or read back, bytes.
const RECORD_BUFFER: usize = 2048;
/// Our datagrams, bytes: fits every path that carries canonical RTP packets.
const MTU: usize = 1200;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const HANDSHAKE_FAILURE: u8 = 40;
const CLIENT_HELLO: u8 = 1;
const CERTIFICATE: u8 = 11;
/// OID 1.2.840.113549.1.1.1 (rsaEncryption), DER.
const RSA_ENCRYPTION: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// ECDHE-ECDSA suites that we speak.
const ECDSA_SUITES: [[u8; 2]; 3] = [[0xc0, 0x2b], [0xc0, 0x2c], [0xcc, 0xa9]];

/// Our certificate, shared by all peers.
#[derive(Clone)]
pub struct DtlsIdentity {
    certificate: Arc<DtlsCertificate>,
    fingerprint: [u8; 32],
    config: Arc<Config>,
}

impl DtlsIdentity {
    /// Wraps a self-signed ECDSA P-256 certificate and its PKCS #8 key, both DER.
    pub fn new(certificate: Vec<u8>, private_key: Vec<u8>) -> Result<Self, NegotiationError> {
        let fingerprint = sha256(&certificate);
        let config = Config::builder()
            .with_crypto_provider(farewell::provider())
            .mtu(MTU)
            .max_queue_rx(MAX_QUEUED_RECORDS)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(8)
            // The peer's address has passed an authenticated check, so a cookie proves nothing.
            .use_server_cookie(false)
            .build()
            .map_err(|error| NegotiationError::UnsupportedPeer(error.to_string()))?;
        let certificate = DtlsCertificate { certificate, private_key };
        Ok(Self { certificate: Arc::new(certificate), fingerprint, config: Arc::new(config) })
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// What DTLS tells its peer.
pub(super) enum DtlsEvent {
    /// Handshake done, certificate right.
    Connected(Box<Srtp>),
    /// The peer said goodbye, authenticated.
    CloseNotify,
    /// No way on.
    Failed(DtlsFailure),
}

/// Why a handshake fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum DtlsFailure {
    /// The certificate is not the one that the SDP names.
    #[error("the peer's certificate does not match the fingerprint of its offer")]
    FingerprintMismatch,
    /// The peer has no ECDSA certificate.
    #[error("the peer offers only RSA certificates")]
    RsaOnly,
    /// No SRTP profile in common, or the key export failed.
    #[error("no SRTP protection profile in common")]
    NoSrtp,
    /// Anything else.
    #[error("the DTLS handshake failed")]
    Handshake,
}

/// DTLS of one peer.
pub(super) struct DtlsSession {
    client: bool,
    /// Until the peer has shown that the handshake is over for it too, or nothing comes of it.
    handshake: Option<Box<Handshake>>,
    /// What is left afterwards.
    farewell: Option<Box<Farewell>>,
    /// Our last record, to be polled out.
    parting: Option<Vec<u8>>,
    verified: bool,
    connected: bool,
    restarts: u8,
    rsa: bool,
    deadline: Option<Instant>,
}

/// What only the handshake needs.
struct Handshake {
    identity: DtlsIdentity,
    /// Certificates that the peer may show.
    expected: Vec<[u8; 32]>,
    /// The library's instance, from the start on.
    dtls: Option<Dtls>,
    /// Its ciphers.
    taps: Option<[Arc<Tap>; 2]>,
}

impl DtlsSession {
    /// A session that starts with its first [`Self::start`]. `client`: we send the ClientHello.
    pub(super) fn new(identity: DtlsIdentity, expected: Vec<[u8; 32]>, client: bool) -> Self {
        Self {
            client,
            handshake: Some(Box::new(Handshake { identity, expected, dtls: None, taps: None })),
            farewell: None,
            parting: None,
            verified: false,
            connected: false,
            restarts: 0,
            rsa: false,
            deadline: None,
        }
    }

    /// Begins once the peer's address is authenticated; later calls do nothing.
    pub(super) fn start(&mut self, now: Instant) {
        if self.connected || self.has_instance() {
            return;
        }
        let Some(handshake) = &mut self.handshake else { return };
        let identity = handshake.identity.clone();
        let mut dtls = Dtls::new_12(identity.config, (*identity.certificate).clone(), now);
        dtls.set_active(self.client);
        // Time alone makes a fresh instance ready; its first flight comes with the next poll.
        let _ = dtls.handle_timeout(now);
        handshake.dtls = Some(dtls);
    }

    /// A datagram from an authenticated address.
    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Option<DtlsEvent> {
        if !self.connected && !self.inspect(datagram) {
            return None;
        }
        if let Some(farewell) = &self.farewell {
            return says_goodbye(farewell, datagram).then_some(DtlsEvent::CloseNotify);
        }
        let Handshake { dtls, taps, .. } = &mut **self.handshake.as_mut()?;
        let dtls = dtls.as_mut()?;
        let outcome = match dtls.handle_timeout(now) {
            Ok(()) => dtls.handle_packet(datagram),
            Err(error) => Err(error),
        };
        *taps = farewell::take_made().or(taps.take());
        outcome.err().and_then(|_| self.fault(now))
    }

    /// The next thing to send (given to `send`) or to act on. Call until `None`.
    pub(super) fn poll(&mut self, mut send: impl FnMut(&[u8])) -> Option<DtlsEvent> {
        if let Some(parting) = self.parting.take() {
            send(&parting);
        }
        let mut buffer = [0; RECORD_BUFFER];
        loop {
            let Handshake { dtls, expected, .. } = &mut **self.handshake.as_mut()?;
            let dtls = dtls.as_mut()?;
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => send(packet),
                Output::Timeout(at) => {
                    self.deadline = Some(at);
                    return None;
                }
                Output::PeerCert(certificate) => {
                    self.verified = expected.contains(&sha256(certificate));
                    if !self.verified {
                        return Some(self.fail(DtlsFailure::FingerprintMismatch));
                    }
                }
                Output::Connected => self.connected = true,
                Output::KeyingMaterial(material, profile) => {
                    let keyed = srtp_profile(profile)
                        .filter(|_| self.verified)
                        .and_then(|profile| Srtp::new(profile, &material, self.client).ok());
                    return Some(match keyed {
                        Some(srtp) => {
                            self.connected = true;
                            DtlsEvent::Connected(Box::new(srtp))
                        }
                        None => self.fail(DtlsFailure::NoSrtp),
                    });
                }
                Output::CloseNotify => return Some(DtlsEvent::CloseNotify),
                // A record larger than a datagram cannot exist; application data is not ours.
                Output::BufferTooSmall { .. } => return Some(self.fail(DtlsFailure::Handshake)),
                _ => {}
            }
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.has_instance() && !self.connected)
    }

    /// Retransmits what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<DtlsEvent> {
        let due = self.poll_timeout().is_some_and(|at| at <= now);
        let dtls = self.instance().filter(|_| due)?;
        dtls.handle_timeout(now).err().and_then(|_| self.fault(now))
    }

    /// The peer has sent what only a finished handshake allows, so no flight is needed again: of
    /// the library's instance only the keys of close_notify stay.
    pub(super) fn release(&mut self) {
        let Some(handshake) = self.handshake.as_mut().filter(|_| self.connected) else { return };
        let Some(taps) = handshake.taps.take() else { return };
        self.farewell = Farewell::new(&taps, self.client).map(Box::new);
        if self.farewell.is_some() {
            self.handshake = None;
        }
    }

    #[cfg(test)]
    pub(super) fn is_released(&self) -> bool {
        self.farewell.is_some() && self.handshake.is_none()
    }

    fn instance(&mut self) -> Option<&mut Dtls> {
        self.handshake.as_mut()?.dtls.as_mut()
    }

    fn has_instance(&self) -> bool {
        self.handshake.as_ref().is_some_and(|handshake| handshake.dtls.is_some())
    }

    /// Queues a close_notify, to be polled out.
    pub(super) fn close(&mut self) {
        self.parting = self.farewell.as_mut().and_then(|farewell| farewell.close_notify());
        let connected = self.connected;
        if let Some(dtls) = self.instance().filter(|_| connected) {
            // A session that cannot close any more needs no goodbye.
            let _ = dtls.close();
        }
    }

    /// Why a handshake that never ended was going nowhere.
    pub(super) fn timeout_failure(&self) -> DtlsFailure {
        if self.rsa { DtlsFailure::RsaOnly } else { DtlsFailure::Handshake }
    }

    /// The library gives up on an instance at its first fault. During the handshake that is one
    /// bad message, so a fresh instance takes its place; afterwards media goes on without DTLS.
    fn fault(&mut self, now: Instant) -> Option<DtlsEvent> {
        if let Some(handshake) = &mut self.handshake {
            handshake.dtls = None;
        }
        if self.connected {
            return None;
        }
        if self.rsa || self.restarts == MAX_RESTARTS {
            return Some(self.fail(self.timeout_failure()));
        }
        self.restarts += 1;
        self.verified = false;
        self.start(now);
        None
    }

    fn fail(&mut self, failure: DtlsFailure) -> DtlsEvent {
        self.handshake = None;
        DtlsEvent::Failed(failure)
    }

    /// Looks at the clear records of a handshake datagram; `false`: drop it. Clear alerts are not
    /// authenticated, so none of them ends a handshake.
    fn inspect(&mut self, datagram: &[u8]) -> bool {
        let mut rest = datagram;
        while let Some((record, after)) = next_record(rest) {
            rest = after;
            if record.epoch != 0 {
                continue;
            }
            match record.kind {
                ALERT => {
                    self.rsa |= self.client && record.body.get(1) == Some(&HANDSHAKE_FAILURE);
                    return false;
                }
                HANDSHAKE => {
                    let body = record.body;
                    self.rsa |= contains(body, &RSA_ENCRYPTION)
                        || lacks_ecdsa_suites(body)
                        || is_empty_certificate(body);
                }
                _ => {}
            }
        }
        true
    }
}

/// Whether one of the records is the peer's authentic close_notify.
fn says_goodbye(farewell: &Farewell, datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some((record, after)) = next_record(rest) {
        if farewell.is_close_notify(&record) {
            return true;
        }
        rest = after;
    }
    false
}

struct Record<'a> {
    kind: u8,
    epoch: u16,
    /// Epoch and sequence number.
    number: [u8; 8],
    body: &'a [u8],
}

/// Splits off the first record (RFC 6347, 4.1).
fn next_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let head: &[u8; 13] = bytes.first_chunk()?;
    let len = usize::from(u16::from_be_bytes([head[11], head[12]]));
    let (body, rest) = bytes[13..].split_at_checked(len)?;
    let mut number = [0; 8];
    number.copy_from_slice(&head[3..11]);
    let epoch = u16::from_be_bytes([head[3], head[4]]);
    Some((Record { kind: head[0], epoch, number, body }, rest))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Whether a whole, first-fragment ClientHello names none of our suites.
fn lacks_ecdsa_suites(handshake: &[u8]) -> bool {
    let suites = || -> Option<&[u8]> {
        let (head, body) = handshake.split_at_checked(12)?;
        if head[0] != CLIENT_HELLO || head[6..9] != [0; 3] {
            return None;
        }
        let body = body.get(34..)?;
        let body = body.get(1 + usize::from(*body.first()?)..)?;
        let body = body.get(1 + usize::from(*body.first()?)..)?;
        let len = usize::from(u16::from_be_bytes(*body.first_chunk()?));
        body.get(2..2 + len)
    };
    suites().is_some_and(|suites| {
        !suites.chunks_exact(2).any(|suite| ECDSA_SUITES.iter().any(|ours| suite == ours))
    })
}

/// Whether a peer asked for an ECDSA certificate has none to show (RFC 5246, 7.4.6).
fn is_empty_certificate(handshake: &[u8]) -> bool {
    handshake.first() == Some(&CERTIFICATE) && handshake.get(12..15) == Some(&[0; 3])
}

fn srtp_profile(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::AeadAes256Gcm),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::Aes128CmSha1),
        _ => None,
    }
}
