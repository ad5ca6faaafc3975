//! WebRTC without I/O: SDP, ICE-lite, DTLS, SRTP, and the two kinds of peers.
//!
//! Flow of a viewer (WHEP): [`sdp::Offer::parse`], [`ViewPlan::new`], [`answer::write`], then
//! [`WebRtcPeer::viewer`]. Its datagrams go in through [`WebRtcPeer::handle_check`] (STUN) and
//! [`WebRtcPeer::handle_datagram`]; frames go out through [`WebRtcPeer::send`]. A publisher
//! (WHIP) is the same with [`PublishPlan`] and [`WebRtcPeer::publisher`].
//!
//! Nothing but an authentic STUN check makes an address count; DTLS and SRTP from any other
//! address are dropped before they are looked at.

pub mod answer;
mod dtls;
mod estimate;
pub mod fragment;
mod ice;
pub mod negotiate;
mod peer;
mod publisher;
mod reception;
pub mod sdp;
pub mod srtp;
mod stun;
mod viewer;

#[cfg(test)]
mod tests;

pub use dtls::{DtlsFailure, DtlsIdentity, FLIGHT_RTO, MAX_RESTARTS};
pub use ice::{CONSENT_TIMEOUT, CREDENTIAL_BYTES, Check, Credentials, MAX_PATHS};
pub use negotiate::{Agreed, PublishPlan, ViewPlan};
pub use peer::{CloseCause, HANDSHAKE_TIMEOUT, MAX_EVENTS, PeerEvent, PeerSetup, WebRtcPeer};
pub use publisher::REPORT_INTERVAL;
pub use reception::{MAX_MISSING, MAX_NACKS, NACK_INTERVAL};
pub use stun::{BindingRequest, hmac_sha1};
pub use viewer::MAX_RESENDS_PER_SECOND;

/// Why an offer or a fragment is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// It does not parse or breaks a rule.
    #[error("{0}")]
    BadOffer(String),
    /// No codec in common.
    #[error("{0}")]
    UnsupportedCodec(String),
    /// The peer's keys are of a kind that we do not take.
    #[error("{0}")]
    UnsupportedPeer(String),
}
