//! Sealed frames as they travel: what stands in clear before the ciphertext, and how a frame is cut
//! into RTP payloads. No cryptography: this is all that a relay can know of a sealed frame.
//!
//! ```text
//! sealed frame = DESCRIPTOR (22 bytes) || SFrame header (12) || ciphertext || tag (16)
//! RTP payload  = S and E bits (1 byte) || a piece of the sealed frame
//! ```
//!
//! - *DESCRIPTOR* ([`Descriptor`]) is what the camera says of the frame in clear. It is part of the
//!   associated data, so whoever opens the frame notices a change to it.
//! - The *SFrame header* ([`Header`], RFC 9605 section 4.3) names the key and the counter. Its
//!   parts have one length each, so the overhead is constant.
//! - The first byte of each payload is that of draft-ietf-avtcore-rtp-sframe ([`Piece`]). The RTP
//!   marker is on the last packet of a frame, of sound too.

mod descriptor;
mod header;
mod pieces;

pub use self::descriptor::{DESCRIPTOR_LEN, Descriptor, SerialHash};
pub use self::header::{Counter, Generation, HEADER_LEN, Header, KeyId};
pub use self::pieces::{Piece, cut, join};

/// Bytes of the tag behind the ciphertext, of either suite (RFC 9605 section 4.5).
pub const TAG_LEN: usize = 16;
/// Bytes in clear at the start of a sealed frame, whole in its first RTP payload.
pub const HEAD_LEN: usize = DESCRIPTOR_LEN + HEADER_LEN;
/// Bytes that sealing adds to an access unit, without the byte before each piece.
pub const OVERHEAD: usize = HEAD_LEN + TAG_LEN;

/// Why something is no sealed frame, or no piece of one.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum SealedError {
    /// Less than the clear part and a tag around something.
    #[error("a sealed frame of {0} bytes; it has more than {OVERHEAD}")]
    TooShort(usize),
    /// More than [`crate::limits::MAX_FRAME`].
    #[error("a sealed frame of {0} bytes; {max} are allowed", max = crate::limits::MAX_FRAME)]
    TooLong(usize),
    /// Another version of the descriptor.
    #[error("version {0} of the descriptor is not known; this reader knows {known}", known = descriptor::VERSION)]
    Version(u8),
    /// Flags that no version-1 descriptor has.
    #[error("the descriptor has the unknown flags {0:#04x}")]
    Flags(u8),
    /// A codec that no descriptor names.
    #[error("the descriptor names the unknown codec {0}")]
    Codec(u8),
    /// A capture time that no QUIC integer holds.
    #[error("the capture time {0} us since 1970 is out of range")]
    Capture(u64),
    /// An SFrame header whose key identifier and counter are not 7 and 4 bytes.
    #[error(
        "the SFrame header begins with {0:#04x}; a key identifier of 7 bytes and a counter of 4 are due"
    )]
    Lengths(u8),
    /// A generation or counter below the one that its length begins with.
    #[error("the SFrame header is not in its shortest form")]
    NotShortest,
    /// The key is another channel's or track's than the descriptor says.
    #[error("the SFrame key is for another channel or track than the descriptor names")]
    WrongKey,
    /// A payload without a piece, or over [`crate::limits::MAX_CANONICAL_PAYLOAD`].
    #[error("an RTP payload of {0} bytes; a sealed one has 2 to {max}", max = crate::limits::MAX_CANONICAL_PAYLOAD)]
    PayloadLen(usize),
    /// Bits of the payload's first byte that are not used here: a frame is sealed whole.
    #[error("an RTP payload begins with {0:#04x}; only the start and end bits are allowed")]
    PieceBits(u8),
    /// The pieces do not run from a start to an end, or their lengths differ.
    #[error("the pieces form no frame")]
    Pieces,
}

/// The clear part of a sealed frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// What the camera says of the frame.
    pub descriptor: Descriptor,
    /// Key and counter.
    pub header: Header,
}

impl Head {
    /// Reads the clear part at the start of a sealed frame, or of its first piece.
    ///
    /// # Errors
    /// It is cut short or malformed, or its two parts are not about the same track.
    pub fn parse(frame: &[u8]) -> Result<Self, SealedError> {
        let short = SealedError::TooShort(frame.len());
        let (descriptor, rest) = frame.split_first_chunk().ok_or(short)?;
        let descriptor = Descriptor::parse(descriptor)?;
        let header = Header::parse(rest.first_chunk().ok_or(short)?)?;
        let KeyId { channel, track, .. } = header.key;
        if (channel, track) != (descriptor.channel, descriptor.track) {
            return Err(SealedError::WrongKey);
        }
        Ok(Self { descriptor, header })
    }

    /// The clear part as it stands before the ciphertext.
    pub fn write(&self) -> [u8; HEAD_LEN] {
        let mut out = [0; HEAD_LEN];
        out[..DESCRIPTOR_LEN].copy_from_slice(&self.descriptor.write());
        out[DESCRIPTOR_LEN..].copy_from_slice(&self.header.write());
        out
    }

    /// The clear part as associated data of the cipher (RFC 9605 section 4.4.3): the header comes
    /// first, and the descriptor is the application's metadata.
    pub fn associated_data(&self) -> [u8; HEAD_LEN] {
        let mut out = [0; HEAD_LEN];
        out[..HEADER_LEN].copy_from_slice(&self.header.write());
        out[HEADER_LEN..].copy_from_slice(&self.descriptor.write());
        out
    }
}

/// Whether a sealed frame's length is one that a frame can have.
fn check_len(len: usize) -> Result<(), SealedError> {
    match len {
        ..=OVERHEAD => Err(SealedError::TooShort(len)),
        _ if len > crate::limits::MAX_FRAME => Err(SealedError::TooLong(len)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
