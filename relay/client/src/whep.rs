//! Watching over WHEP (draft-ietf-wish-whep): offer, ICE, DTLS and SRTP of one receiver.
//!
//! Gives RTP packets as they come, opened. By itself it sends no feedback but the checks that keep
//! ICE's consent fresh, which is what a measuring client wants; players use their own WebRTC stack.

mod consent;
mod feedback;
mod profiles;
mod sdp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use bytes::Bytes;
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use sightline_grant::Redacted;
use sightline_relay_proto::webrtc::srtp::{Profile, Srtp};
use sightline_relay_proto::wire::rtp;
use tokio::net::UdpSocket;

use self::consent::Consent;
pub use self::profiles::SrtpOffer;
use self::sdp::Remote;
use crate::api::{Api, ApiError, WhepAnswer};

/// Longest time from the answer to the keys.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Datagrams taken in a row before other tasks get their turn.
const MAX_RUN: u32 = 32;
/// Largest datagram.
const MAX_DATAGRAM: usize = 2048;

/// Why a session cannot be made or has ended.
#[derive(Debug, thiserror::Error)]
pub enum WhepError {
    /// The server refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The answer is not one that we can use.
    #[error("the answer lacks {0}")]
    Answer(&'static str),
    /// DTLS or SRTP failed.
    #[error("DTLS: {0}")]
    Dtls(String),
    /// The server said goodbye.
    #[error("the server closed the session")]
    Closed,
    /// Nothing came in time.
    #[error("the server does not answer")]
    Timeout,
    /// The socket.
    #[error("the socket: {0}")]
    Io(#[from] std::io::Error),
}

/// An RTP packet as it came.
#[derive(Clone, Debug)]
pub struct WhepPacket {
    /// Arrival.
    pub arrived: Instant,
    /// Header and payload, opened.
    pub rtp: Bytes,
}

/// What a session is made of before it is answered: a socket with keys of its own.
pub struct WhepOffer {
    socket: UdpSocket,
    certificate: DtlsCertificate,
    ufrag: String,
    password: String,
    srtp: SrtpOffer,
    transport_feedback: bool,
}

/// One WHEP session.
pub struct WhepViewer {
    /// Where the session is ended; `None`: wherever it was made.
    resource: Option<(Api, Redacted<String>)>,
    socket: UdpSocket,
    remote: Remote,
    username: String,
    /// Ours, by which the server's checks are verified.
    password: String,
    dtls: Dtls,
    dtls_due: Option<Instant>,
    consent: Consent,
    verified: bool,
    offered: SrtpOffer,
    srtp: Option<Box<Srtp>>,
    closed: bool,
    /// Datagrams taken since the last wait.
    run: u32,
    buffer: Vec<u8>,
    plain: Vec<u8>,
}

impl WhepOffer {
    /// Binds a socket on `local`, which is offered as the only candidate.
    pub async fn new(local: SocketAddr) -> Result<Self, WhepError> {
        let dtls = |_| WhepError::Dtls("no certificate can be made".into());
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(dtls)?;
        let params = rcgen::CertificateParams::new(Vec::new()).map_err(dtls)?;
        let certificate = params.self_signed(&key).map_err(dtls)?;
        let certificate = DtlsCertificate {
            certificate: certificate.der().to_vec(),
            private_key: key.serialize_der(),
        };
        let socket = UdpSocket::bind(local).await?;
        let (ufrag, password) = (random_text(4)?, random_text(16)?);
        let (srtp, transport_feedback) = (SrtpOffer::All, false);
        Ok(Self { socket, certificate, ufrag, password, srtp, transport_feedback })
    }

    /// Offers these SRTP profiles.
    pub fn with_srtp(self, srtp: SrtpOffer) -> Self {
        Self { srtp, ..self }
    }

    /// Offers transport-wide feedback, which [`WhepViewer::send_arrivals`] sends.
    pub fn with_transport_feedback(self) -> Self {
        Self { transport_feedback: true, ..self }
    }

    /// The socket; nothing but the session's packets may come to it.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The SDP to send.
    pub fn sdp(&self) -> Result<String, WhepError> {
        let fingerprint = sha256(&self.certificate.certificate);
        let local = self.socket.local_addr()?;
        let offer = sdp::offer(&self.ufrag, &self.password, &fingerprint, local);
        Ok(if self.transport_feedback { sdp::with_transport_feedback(&offer) } else { offer })
    }

    /// The answer to the offer of another server that sends one picture track.
    pub fn answer(&self, offer: &str) -> Result<String, WhepError> {
        let fingerprint = sha256(&self.certificate.certificate);
        let local = self.socket.local_addr()?;
        sdp::answer(offer, &self.ufrag, &self.password, &fingerprint, local)
    }

    /// Asks for the stream and connects.
    pub async fn watch(
        self,
        api: &Api,
        grant: &Redacted<String>,
        serial: &str,
        channel: u16,
    ) -> Result<WhepViewer, WhepError> {
        let answer = api.whep(grant, serial, channel, &self.sdp()?).await?;
        self.connect(api, answer).await
    }

    /// Connects with the server's answer to [`Self::sdp`].
    pub async fn connect(self, api: &Api, answer: WhepAnswer) -> Result<WhepViewer, WhepError> {
        let resource = Some((api.clone(), answer.location));
        self.enter(&answer.sdp, resource).await
    }

    /// Connects to the server whose offer was answered with [`Self::answer`].
    pub async fn join(self, offer: &str) -> Result<WhepViewer, WhepError> {
        self.enter(offer, None).await
    }

    async fn enter(
        self,
        remote: &str,
        resource: Option<(Api, Redacted<String>)>,
    ) -> Result<WhepViewer, WhepError> {
        let remote = sdp::parse_remote(remote)?;
        let now = Instant::now();
        let mut dtls = Dtls::new_12(Arc::new(self.srtp.config()?), self.certificate, now);
        dtls.set_active(remote.we_are_client);
        dtls.handle_timeout(now).map_err(failed)?;
        let mut viewer = WhepViewer {
            resource,
            socket: self.socket,
            username: format!("{}:{}", remote.ufrag, self.ufrag),
            remote,
            password: self.password,
            dtls,
            dtls_due: None,
            consent: Consent::new(now),
            verified: false,
            offered: self.srtp,
            srtp: None,
            closed: false,
            run: 0,
            buffer: vec![0; MAX_DATAGRAM],
            plain: Vec::with_capacity(MAX_DATAGRAM),
        };
        let connecting = async {
            while viewer.srtp.is_none() {
                viewer.step().await?;
            }
            Ok::<_, WhepError>(())
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        connected.map_err(|_| WhepError::Timeout)??;
        Ok(viewer)
    }
}

impl WhepViewer {
    /// The next RTP packet. `Err` once the session has ended. Cancelling loses nothing.
    pub async fn next(&mut self) -> Result<WhepPacket, WhepError> {
        let rtp = Bytes::copy_from_slice(self.read().await?);
        Ok(WhepPacket { arrived: Instant::now(), rtp })
    }

    /// Like [`Self::next`], but the packet stays in the viewer's own buffer.
    pub async fn read(&mut self) -> Result<&[u8], WhepError> {
        while !self.step().await? {}
        Ok(&self.plain)
    }

    /// The local end of the session.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Ends the session.
    pub async fn close(self) -> Result<(), WhepError> {
        match &self.resource {
            Some((api, location)) => Ok(api.end_whep(location).await?),
            None => self.leave().await,
        }
    }

    /// Sends what is due, then waits for one datagram or deadline. `true`: there is a packet in
    /// `plain`.
    async fn step(&mut self) -> Result<bool, WhepError> {
        let now = Instant::now();
        if self.consent.is_lost(now) {
            // What waits on the socket is a sign of life, however late it is read.
            let waiting = self.socket.try_recv_from(&mut self.buffer);
            let (len, from) = waiting.map_err(|_| WhepError::Timeout)?;
            return self.take_in(len, from);
        }
        self.keep_consent(now).await?;
        if self.dtls_due.is_some_and(|due| due <= now) {
            self.dtls.handle_timeout(now).map_err(failed)?;
        }
        self.pump_dtls().await?;
        if self.closed {
            return Err(WhepError::Closed);
        }
        // What is there is taken without a timer.
        if self.run < MAX_RUN
            && let Ok((len, from)) = self.socket.try_recv_from(&mut self.buffer)
        {
            self.run += 1;
            return self.take_in(len, from);
        }
        self.run = 0;
        // Once there are keys, DTLS has nothing more to repeat.
        let due = self.dtls_due.filter(|_| self.srtp.is_none());
        let check = self.consent.due();
        let due = due.map_or(check, |due| due.min(check));
        tokio::select! {
            received = self.socket.recv_from(&mut self.buffer) => {
                let (len, from) = received?;
                self.take_in(len, from)
            }
            () = tokio::time::sleep_until(due.into()) => Ok(false),
        }
    }

    fn take_in(&mut self, len: usize, from: SocketAddr) -> Result<bool, WhepError> {
        let datagram = &self.buffer[..len];
        if from != self.remote.address {
            return Ok(false);
        }
        self.consent.heard();
        match datagram.first() {
            // STUN (RFC 7983): a server that is no lite agent asks too.
            Some(0..=3) => {
                self.answer_check(len);
                Ok(false)
            }
            // DTLS.
            Some(20..=63) => {
                let now = Instant::now();
                self.dtls.handle_timeout(now).map_err(failed)?;
                self.dtls.handle_packet(datagram).map_err(failed)?;
                Ok(false)
            }
            Some(128..=191) if !rtp::is_rtcp(datagram) => {
                let Some(srtp) = &mut self.srtp else { return Ok(false) };
                Ok(srtp.receiver.open_rtp(datagram, &mut self.plain))
            }
            _ => Ok(false),
        }
    }

    async fn pump_dtls(&mut self) -> Result<(), WhepError> {
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    // Only a ClientHello has the extension; once there are keys all is sealed.
                    let narrowed = match self.srtp {
                        None => self.offered.on_the_wire(packet),
                        Some(_) => None,
                    };
                    let packet = narrowed.as_deref().unwrap_or(packet);
                    self.socket.send_to(packet, self.remote.address).await?;
                }
                Output::PeerCert(certificate) => {
                    self.verified = sha256(certificate) == self.remote.fingerprint;
                    if !self.verified {
                        return Err(WhepError::Dtls("not the certificate of the answer".into()));
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    let profile = profile_of(profile)
                        .filter(|_| self.verified)
                        .ok_or_else(|| WhepError::Dtls("no SRTP profile in common".into()))?;
                    let srtp = Srtp::new(profile, &material, self.remote.we_are_client)
                        .map_err(|error| WhepError::Dtls(error.to_string()))?;
                    self.srtp = Some(Box::new(srtp));
                }
                Output::CloseNotify => self.closed = true,
                Output::Timeout(at) => {
                    self.dtls_due = Some(at);
                    return Ok(());
                }
                _ => {}
            }
        }
    }
}

fn failed(error: dimpl::Error) -> WhepError {
    WhepError::Dtls(error.to_string())
}

fn profile_of(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::AeadAes256Gcm),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::Aes128CmSha1),
        _ => None,
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Hex of random bytes: letters that ICE takes (RFC 8839, 5.4).
fn random_text(bytes: usize) -> Result<String, WhepError> {
    let mut random = vec![0; bytes];
    rand::fill(&mut random).map_err(|_| WhepError::Dtls("no randomness".into()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
