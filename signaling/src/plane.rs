//! The narrow traits through which signaling reaches the other parts. Signaling owns them;
//! `src/serve.rs` of the binary implements them over the control plane and the relay.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sightline_grant::{Action, Epochs, Redacted, Role, Thumbprint};
use utoipa::ToSchema;

/// Who asks: a login session with the terminal key that the request proved (DPoP).
#[derive(Clone, Debug)]
pub struct Caller {
    /// Access token as presented.
    pub access_token: Redacted<String>,
    /// Key proven on this request.
    pub terminal: Thumbprint,
}

/// All facts of the gate hold; what the grant will say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Account pseudonym.
    pub subject: String,
    /// Login session.
    pub session: String,
    /// Owner or guest.
    pub role: Role,
    /// Counters now.
    pub epochs: Epochs,
    /// Consent event that the session stands on.
    pub consent_seq: u64,
}

/// The gate's refusals, in the order in which they are checked. Each has its own problem type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateRefusal {
    /// No login, or it has ended.
    #[error("sign in first")]
    LoginRequired,
    /// The access token belongs to another terminal's key.
    #[error("the login belongs to another terminal")]
    WrongTerminal,
    /// The account is in basic mode, or there is none: nobody has agreed to the policy.
    #[error("agree to having an account first")]
    PolicyRequired,
    /// Neither bound nor shared. The same answer as for a device that does not exist.
    #[error("no such device on this account")]
    NotBound,
    /// Shared with the account, but not at this hour.
    #[error("the device is shared with you at other hours")]
    ShareClosed,
    /// Shared with the account, but not for this.
    #[error("the device's owner has not shared this with you")]
    ScopeRequired,
    /// No valid proof of the device key in this session.
    #[error("prove the device key first")]
    KeyProofRequired,
    /// No SMS-verified window for this terminal and device.
    #[error("confirm by SMS first")]
    SmsRequired,
    /// No consent to `media.view`.
    #[error("consent to viewing is missing")]
    ConsentRequired,
    /// The facts cannot be read now; nobody is let in.
    #[error("the service cannot check this now; try again")]
    Unavailable,
}

/// Facts from the control plane.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Checks login, binding or share, key proof, SMS window and consent, in this order.
    async fn admit(
        &self,
        caller: &Caller,
        serial: &str,
        channel: u16,
        action: Action,
    ) -> Result<Admission, GateRefusal>;

    /// Whether the caller may know if this channel is live: login and binding or share, nothing
    /// more. An implementation that counts [`Self::admit`] as use of the SMS window must answer
    /// this without it.
    async fn may_see(
        &self,
        caller: &Caller,
        serial: &str,
        channel: u16,
    ) -> Result<(), GateRefusal> {
        match self.admit(caller, serial, channel, Action::Live).await {
            Ok(_)
            | Err(
                GateRefusal::KeyProofRequired
                | GateRefusal::SmsRequired
                | GateRefusal::ConsentRequired,
            ) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// The device whose publishing credential (bearer token of WHIP) this is.
    async fn publisher_by_token(&self, token: &Redacted<String>) -> Option<PublisherFacts>;

    /// The device with this identity key (RoQ publishing).
    async fn publisher_by_key(&self, key: Thumbprint) -> Option<PublisherFacts>;

    /// Whether the database answers, for `/readyz`.
    async fn ready(&self) -> bool;
}

/// A device that may publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublisherFacts {
    /// Serial.
    pub serial: String,
    /// Sealed or open.
    pub sealed: bool,
    /// Number of its channels, counted from 0.
    pub channels: u16,
}

/// Answer to a WHIP or WHEP offer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Session name for the resource URL: 32 hex digits, unguessable.
    pub session: String,
    /// SDP answer.
    pub sdp: String,
    /// Entity tag without quotes.
    pub etag: String,
    /// Tracks left out, each with its reason.
    pub left_out: Vec<String>,
}

/// What a PATCH came to.
#[derive(Clone, Debug)]
pub enum Patched {
    /// 204.
    Trickled,
    /// 200 with an SDP fragment and a new entity tag.
    Restarted {
        /// Body.
        fragment: String,
        /// New entity tag without quotes.
        etag: String,
    },
}

/// One track of a RoQ session, as JSON for clients.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoqTrackJson {
    /// Flow identifier of the track's RTP and RTCP.
    pub flow: u64,
    /// RTP payload type.
    pub payload_type: u8,
    /// SSRC (viewers).
    #[serde(default)]
    pub ssrc: u32,
    /// `h264`, `h265`, `av1`, `opus`, `pcmu`, `pcma`, `aac`.
    pub codec: String,
    /// RTP clock.
    pub clock_rate: u32,
    /// Audio channels, 0 for video.
    #[serde(default)]
    pub channels: u8,
    /// `main` or `sub`.
    #[serde(default)]
    pub tier: Option<String>,
    /// SDP format parameters.
    #[serde(default)]
    pub fmtp: String,
}

/// What a device announces to publish by RoQ.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct RoqOffer {
    /// Its tracks.
    pub tracks: Vec<RoqTrackJson>,
    /// Whether it sends sealed frames.
    #[serde(default)]
    pub sealed: bool,
}

/// What a RoQ peer needs to connect.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoqSessionJson {
    /// Session name.
    pub session: String,
    /// TLS server name that selects the session.
    pub server_name: String,
    /// UDP port.
    pub port: u16,
    /// Protocols to offer, best first.
    pub alpn: Vec<String>,
    /// Tracks.
    pub tracks: Vec<RoqTrackJson>,
    /// Whether their frames are sealed.
    #[serde(default)]
    pub sealed: bool,
}

/// One track of a WebTransport session, as JSON for clients.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WebTrackJson {
    /// Its number at the start of each stream.
    pub track: u8,
    /// `h264`, `h265`, `av1`, `opus`, `pcmu`, `pcma`, `aac`.
    pub codec: String,
    /// Ticks of media time a second.
    pub clock_rate: u32,
    /// Audio channels, 0 for video.
    pub channels: u8,
    /// SDP format parameters.
    pub fmtp: String,
}

/// What a WebTransport viewer needs to connect.
#[derive(Clone, Debug)]
pub struct WebLogin {
    /// Path and query of the CONNECT request, with a ticket that works once.
    pub path: Redacted<String>,
    /// UDP port.
    pub port: u16,
    /// Tracks.
    pub tracks: Vec<WebTrackJson>,
    /// Whether their frames are sealed.
    pub sealed: bool,
}

/// What a WebSocket viewer needs to connect.
#[derive(Clone, Debug)]
pub struct SocketLogin {
    /// A ticket that works once: 32 hex digits, unguessable.
    pub ticket: Redacted<String>,
    /// Tracks.
    pub tracks: Vec<WebTrackJson>,
    /// Whether their frames are sealed.
    pub sealed: bool,
}

/// Why a WebSocket session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEnd {
    /// The stream has ended.
    StreamEnded,
    /// The permission to watch has ended.
    PermissionEnded,
    /// The server stops.
    Shutdown,
}

/// The messages of one WebSocket viewer. Dropping it ends the session. Both methods wake the task
/// that called one of them last.
pub trait SocketMedia: Send + 'static {
    /// The next binary message.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Bytes>;
    /// Why the session is over, once it is; no message comes after it.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<SocketEnd>;
}

/// Whether a connection is to end by a reset when it is dropped, so that nothing that its system
/// still holds reaches the peer. The listener puts one into the extensions of each request.
#[derive(Clone, Debug, Default)]
pub struct ResetOnDrop(Arc<AtomicBool>);

impl ResetOnDrop {
    /// It is.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A one-use RTSP login.
#[derive(Clone, Debug)]
pub struct RtspLogin {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Redacted<String>,
    /// Path, e.g. `/CAM-1/0`.
    pub path: String,
    /// TCP port of plain RTSP.
    pub rtsp_port: u16,
    /// TCP port of RTSP over TLS.
    pub rtsps_port: u16,
}

/// Why the media plane refuses. The text is fit for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaRefusal {
    /// The grant is malformed or not ours.
    #[error("the grant is not valid; ask for a new one")]
    GrantInvalid,
    /// Too old.
    #[error("the grant has expired; ask for a new one")]
    GrantExpired,
    /// Already used.
    #[error("the grant has been used; ask for a new one")]
    GrantReplayed,
    /// Bound to another terminal key.
    #[error("the grant belongs to another terminal")]
    GrantOtherTerminal,
    /// For another device, channel or action.
    #[error("the grant is for another device")]
    GrantOtherDevice,
    /// Nobody publishes.
    #[error("the camera is not live")]
    NotLive,
    /// Bad SDP and the like.
    #[error("{0}")]
    BadOffer(String),
    /// Nothing that the viewer can take.
    #[error("{0}")]
    UnsupportedCodec(String),
    /// A peer that cannot be served, e.g. RSA-only DTLS.
    #[error("{0}")]
    UnsupportedPeer(String),
    /// Sealed and open do not mix.
    #[error("{0}")]
    WrongProtection(String),
    /// Unknown session.
    #[error("no such media session")]
    NoSession,
    /// 428.
    #[error("the request needs an If-Match header")]
    PreconditionRequired,
    /// 412.
    #[error("the ICE generation has changed")]
    PreconditionFailed,
    /// 503.
    #[error("the relay is full; try again later")]
    Full,
    /// 503.
    #[error("the relay does not answer; try again later")]
    Unavailable,
}

/// The relay as signaling sees it. Grants are verified by the relay itself.
#[async_trait]
pub trait MediaPlane: Send + Sync + 'static {
    /// A WHEP offer with a grant and the terminal key that the request proved.
    async fn whep(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
        offer: String,
    ) -> Result<Answer, MediaRefusal>;
    /// A WHIP offer of a known device.
    async fn whip(
        &self,
        publisher: PublisherFacts,
        channel: u16,
        offer: String,
    ) -> Result<Answer, MediaRefusal>;
    /// Trickle or ICE restart.
    async fn patch(
        &self,
        session: &str,
        if_match: Option<&str>,
        fragment: String,
    ) -> Result<Patched, MediaRefusal>;
    /// Ends a WHIP or WHEP session.
    async fn delete(&self, session: &str) -> Result<(), MediaRefusal>;
    /// Trades a grant for a one-use RTSP login.
    async fn rtsp_login(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<RtspLogin, MediaRefusal>;
    /// Trades a grant for a RoQ session that only the terminal's key can enter.
    async fn roq_view(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<RoqSessionJson, MediaRefusal>;
    /// Trades a grant for a one-use ticket to a WebTransport session.
    async fn web_view(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<WebLogin, MediaRefusal>;
    /// Trades a grant for a one-use ticket to a WebSocket session.
    async fn socket_view(
        &self,
        grant: &Redacted<String>,
        terminal: Thumbprint,
        serial: &str,
        channel: u16,
    ) -> Result<SocketLogin, MediaRefusal>;
    /// Uses a ticket up. [`MediaRefusal::NoSession`] for one that is malformed, unknown, used or too
    /// old.
    async fn socket_enter(&self, ticket: &str) -> Result<Box<dyn SocketMedia>, MediaRefusal>;
    /// Opens a publishing RoQ session that only the device's identity key can enter. `offer`: what
    /// the device announces; a device is never talked out of being sealed or open.
    async fn roq_publish(
        &self,
        publisher: PublisherFacts,
        identity: Thumbprint,
        channel: u16,
        offer: RoqOffer,
    ) -> Result<RoqSessionJson, MediaRefusal>;
    /// Whether a channel of this device is live now.
    async fn live(&self, serial: &str, channel: u16) -> bool;
}

/// Where a request came from, as far as rate limits care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);
