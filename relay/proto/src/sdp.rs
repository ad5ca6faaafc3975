//! Session descriptions of RTSP: what cameras announce and what viewers are told (RFC 8866, RFC 2326 C).
//!
//! The parser takes what cameras really send: bare LF, missing `s=` and `t=`, `fmtp` on the wrong
//! payload type, parameter sets with start codes. A media section that cannot be carried is left out
//! with a reason; only a description without any usable section is refused by the caller.

mod fmtp;
mod parse;
#[cfg(test)]
mod tests;
mod write;

use crate::codec::TrackInfo;

pub use parse::parse;
pub use write::{payload_type, write};

/// Longest description, bytes.
pub const MAX_SDP: usize = 64 * 1024;
/// Lines of a description.
pub const MAX_LINES: usize = 1024;
/// Longest line, bytes: room for H.265 parameter sets in base64.
pub const MAX_LINE: usize = 8 * 1024;

/// One usable media section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// The track.
    pub info: TrackInfo,
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// `a=control` of the section: absolute, relative or empty.
    pub control: String,
}

/// A parsed description.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Description {
    /// `a=control` of the session, the aggregate URL; may be empty.
    pub control: String,
    /// Usable sections in order, at most [`crate::limits::MAX_TRACKS`].
    pub media: Vec<Media>,
    /// Sections left out, each with its reason.
    pub ignored: Vec<String>,
}

/// Why a description is refused as a whole.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum SdpError {
    /// Over [`MAX_SDP`], [`MAX_LINES`] or [`MAX_LINE`].
    #[error("the session description is too long")]
    TooLong,
    /// It does not begin with `v=0`.
    #[error("the body is not a session description")]
    NotSdp,
}

/// Brings a track into the form in which the relay describes it: parameter sets apart from `fmtp`,
/// H.264 in packetization mode 1 (which is what ingest sends), `profile-level-id` from the SPS.
pub fn normalise(info: &mut TrackInfo) {
    fmtp::normalise(info);
}
