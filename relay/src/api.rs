//! What the rest of the process says to the relay and hears from it.

use std::net::SocketAddr;

use async_trait::async_trait;
use sightline_grant::{Epochs, Redacted, Role, Thumbprint};
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::{StreamKey, TrackIndex};

use crate::lease::LeaseRefused;

/// Name of one media session, unguessable: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u128);

impl std::fmt::Debug for SessionId {
    /// The name is a capability, so only its first digits are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}..", self.0 >> 96)
    }
}

/// What a viewer was admitted for: the lease's terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseTerms {
    /// Account pseudonym.
    pub subject: String,
    /// Login session.
    pub session: String,
    /// Device serial.
    pub serial: String,
    /// Owner or guest: bounds how long the stream outlives a silent authority.
    pub role: Role,
    /// Counters at admission.
    pub epochs: Epochs,
}

/// Who publishes: a device whose identity or credential was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publisher {
    /// The stream it may feed.
    pub key: StreamKey,
    /// Whether the device is sealed; a sealed device's open media is refused and the reverse.
    pub sealed: bool,
}

/// Answer to a WHIP or WHEP offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebRtcAnswer {
    /// The session's name, part of its resource URL.
    pub session: SessionId,
    /// SDP answer with all candidates.
    pub sdp: String,
    /// Entity tag of the ICE generation, without quotes.
    pub etag: String,
    /// Tracks of the stream left out of the answer, each with its reason.
    pub left_out: Vec<String>,
}

/// Answer to a PATCH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebRtcPatch {
    /// Candidates taken (204).
    Trickled,
    /// ICE restarted (200): an SDP fragment and the new entity tag.
    Restarted {
        /// `application/trickle-ice-sdpfrag` body.
        fragment: String,
        /// New entity tag, without quotes.
        etag: String,
    },
}

/// One track of a RoQ session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoqTrack {
    /// Flow identifier, carries RTP and RTCP of the track.
    pub flow: u64,
    /// Payload type in the RTP headers.
    pub payload_type: u8,
    /// SSRC in the RTP headers (viewers; publishers choose their own).
    pub ssrc: u32,
    /// The track.
    pub info: TrackInfo,
}

/// What a RoQ peer needs to connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoqSession {
    /// The session's name.
    pub session: SessionId,
    /// Server name to put into the TLS handshake: names the session, is no secret. The peer's
    /// client certificate proves who it is.
    pub server_name: String,
    /// UDP port of the relay.
    pub port: u16,
    /// Tracks with their flows.
    pub tracks: Vec<RoqTrack>,
    /// Whether their frames are sealed.
    pub mode: Mode,
}

/// What a WebTransport viewer needs to connect.
#[derive(Clone, Debug)]
pub struct WebSession {
    /// Path and query of the CONNECT request. Holds a ticket that works once, within 30 s.
    pub path: Redacted<String>,
    /// UDP port of the relay.
    pub port: u16,
    /// Tracks, each with its number on the streams.
    pub tracks: Vec<(TrackIndex, TrackInfo)>,
    /// Whether their frames are sealed.
    pub mode: Mode,
}

/// What a WebSocket viewer needs to connect.
#[derive(Clone, Debug)]
pub struct SocketSession {
    /// The session's name: a ticket that works once, within 30 s.
    pub ticket: SessionId,
    /// Tracks, each with its number on the streams.
    pub tracks: Vec<(TrackIndex, TrackInfo)>,
    /// Whether their frames are sealed.
    pub mode: Mode,
}

/// A one-use RTSP login for a viewer.
#[derive(Clone, Debug)]
pub struct RtspHandle {
    /// User name.
    pub user: String,
    /// 128-bit password.
    pub password: Redacted<String>,
    /// Path of the stream, e.g. `/CAM-1/0`.
    pub path: String,
}

/// Why the relay refuses something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// Nobody publishes the stream.
    #[error("the camera is not live")]
    NotLive,
    /// The offer does not parse or breaks a rule; the text says which.
    #[error("{0}")]
    BadOffer(String),
    /// No track that the viewer can take; the text says what is there.
    #[error("{0}")]
    UnsupportedCodec(String),
    /// The peer offers only what we do not take, such as an RSA certificate.
    #[error("{0}")]
    UnsupportedPeer(String),
    /// A sealed device's open media, or the reverse.
    #[error("the device is {expected}, so {found} media is refused")]
    WrongProtection {
        /// What the device is.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// The viewer asks for a sealed camera's stream by a way that cannot open it.
    #[error("the camera is sealed, and this way of watching cannot open its stream")]
    SealedStream,
    /// No such session (any more).
    #[error("no such media session")]
    NoSession,
    /// PATCH without `If-Match`.
    #[error("the request needs an If-Match header")]
    PreconditionRequired,
    /// PATCH with another entity tag.
    #[error("the ICE generation has changed")]
    PreconditionFailed,
    /// The admission was revoked before it was used.
    #[error("the admission was revoked")]
    Revoked,
    /// A bound on sessions is reached.
    #[error("the relay is full; try again later")]
    Full,
    /// The worker is gone or did not answer in time.
    #[error("the relay does not answer")]
    Unavailable,
}

impl From<LeaseRefused> for MediaError {
    fn from(refused: LeaseRefused) -> Self {
        match refused {
            LeaseRefused::Revoked => Self::Revoked,
            LeaseRefused::AuthoritySilent => Self::Unavailable,
            LeaseRefused::Full => Self::Full,
        }
    }
}

/// What the relay asks of the rest of the system. Implemented by the process that joins the parts.
#[async_trait]
pub trait Authority: Send + Sync + 'static {
    /// Current verdict on leases, one per entry and in order. `Err` when the authority is silent.
    async fn renew(&self, leases: Vec<LeaseTerms>) -> Result<Vec<LeaseVerdict>, AuthoritySilent>;

    /// The publisher whose RTSP user name this is, with its Digest secrets.
    async fn rtsp_publisher(&self, user: String) -> Option<RtspPublisher>;
}

/// The authority did not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the authority does not answer")]
pub struct AuthoritySilent;

/// What becomes of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseVerdict {
    /// Lives on.
    Renewed,
    /// Ends at once.
    Ended,
}

/// Digest secrets of an RTSP publisher: `H(user:realm:password)` in hex (RFC 7616).
#[derive(Clone, Debug)]
pub struct RtspPublisher {
    /// Whom the login stands for.
    pub publisher: Publisher,
    /// MD5 form.
    pub ha1_md5: Redacted<String>,
    /// SHA-256 form.
    pub ha1_sha256: Redacted<String>,
}

/// Realm of every RTSP Digest challenge; part of the stored secrets.
pub const RTSP_REALM: &str = "sightline";

/// Where RTSP, WebRTC and RoQ listen, after binding.
#[derive(Clone, Copy, Debug)]
pub struct BoundAddresses {
    /// WebRTC UDP.
    pub webrtc: SocketAddr,
    /// RTSP TCP.
    pub rtsp: SocketAddr,
    /// RTSPS TCP.
    pub rtsps: SocketAddr,
    /// RoQ UDP.
    pub roq: SocketAddr,
}

/// A viewer, admitted and ready to be attached to a stream.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Terms of the lease that starts with the session.
    pub terms: LeaseTerms,
    /// The stream.
    pub key: StreamKey,
    /// Key that the terminal proved.
    pub terminal: Thumbprint,
}
