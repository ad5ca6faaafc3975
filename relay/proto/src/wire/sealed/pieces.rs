//! A sealed frame in RTP payloads (draft-ietf-avtcore-rtp-sframe, one SFrame a frame).

use bytes::{Bytes, BytesMut};

use super::{Head, SealedError, check_len};
use crate::limits::MAX_CANONICAL_PAYLOAD;
use crate::wire::cut as runs;

/// The frame begins in this packet.
const START: u8 = 0x80;
/// The frame ends in this packet.
const END: u8 = 0x40;

/// One RTP payload of a sealed frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece<'a> {
    /// The frame begins here; its clear part is whole in this piece.
    pub start: bool,
    /// The frame ends here.
    pub end: bool,
    /// Bytes of the sealed frame, never empty.
    pub body: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// It is empty, too long, or has bits that are not used here.
    pub fn parse(payload: &'a [u8]) -> Result<Self, SealedError> {
        if !(2..=MAX_CANONICAL_PAYLOAD).contains(&payload.len()) {
            return Err(SealedError::PayloadLen(payload.len()));
        }
        let bits = payload[0];
        if bits & !(START | END) != 0 {
            return Err(SealedError::PieceBits(bits));
        }
        let (start, end) = (bits & START != 0, bits & END != 0);
        Ok(Self { start, end, body: &payload[1..] })
    }
}

/// The RTP payloads of a sealed frame, to be sent with one timestamp and the marker on the last.
/// All but the last have one length.
///
/// # Errors
/// `frame` is no sealed frame.
pub fn cut(frame: &Bytes) -> Result<Vec<Bytes>, SealedError> {
    check_len(frame.len())?;
    Head::parse(frame)?;
    let bits = |start, end| [if start { START } else { 0 } | if end { END } else { 0 }];
    let mut out = Vec::new();
    runs::cut(std::slice::from_ref(frame), MAX_CANONICAL_PAYLOAD, bits, &mut out);
    Ok(out)
}

/// The sealed frame of a run of RTP payloads, which must hold one frame from its start to its end.
///
/// # Errors
/// A payload or the clear part is malformed, or the pieces are not those of one frame.
pub fn join(payloads: &[Bytes]) -> Result<Bytes, SealedError> {
    let mut frame = BytesMut::with_capacity(payloads.iter().map(Bytes::len).sum());
    let mut first_len = 0;
    for (at, payload) in payloads.iter().enumerate() {
        let piece = Piece::parse(payload)?;
        let last = at + 1 == payloads.len();
        if at == 0 {
            first_len = piece.body.len();
        }
        let fits = piece.body.len() == first_len || last && piece.body.len() < first_len;
        if (piece.start, piece.end) != (at == 0, last) || !fits {
            return Err(SealedError::Pieces);
        }
        frame.extend_from_slice(piece.body);
    }
    check_len(frame.len())?;
    Head::parse(&frame)?;
    Ok(frame.freeze())
}
