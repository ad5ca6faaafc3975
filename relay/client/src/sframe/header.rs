//! The SFrame header (RFC 9605, 4.3): which key, and which nonce of it.

use std::ops::Deref;

/// Longest header, bytes: the configuration byte and two integers of eight.
pub const MAX_HEADER: usize = 17;
/// Largest integer that stands in the configuration byte itself.
const MAX_INLINE: u64 = 7;
/// The integer follows in bytes of its own.
const EXTENDED: u8 = 0b1000;

/// Key and counter of one sealed frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Names the key (KID).
    pub kid: u64,
    /// Names the nonce (CTR).
    pub ctr: u64,
}

/// The bytes are not a header.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum HeaderError {
    /// They end inside the header.
    #[error("the SFrame header is cut short")]
    Short,
    /// An integer stands in more bytes than it needs. Taking it would give one frame two names.
    #[error("the SFrame header has an integer that is longer than it needs to be")]
    NotMinimal,
}

/// A header as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl Header {
    /// The one encoding of this header.
    pub fn to_bytes(self) -> HeaderBytes {
        let mut out = HeaderBytes { bytes: [0; MAX_HEADER], len: 1 };
        let kid = out.push(self.kid);
        let ctr = out.push(self.ctr);
        out.bytes[0] = kid << 4 | ctr;
        out
    }

    /// Reads a header from the start of `bytes`, with its length.
    ///
    /// # Errors
    /// Cut short, or not the one encoding.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let (config, rest) = bytes.split_first().ok_or(HeaderError::Short)?;
        let (kid, rest) = integer(config >> 4, rest)?;
        let (ctr, rest) = integer(config & 0x0f, rest)?;
        Ok((Self { kid, ctr }, bytes.len() - rest.len()))
    }
}

/// Reads what four bits of the configuration byte announce.
fn integer(announced: u8, rest: &[u8]) -> Result<(u64, &[u8]), HeaderError> {
    let low = announced & 0b111;
    if announced & EXTENDED == 0 {
        return Ok((u64::from(low), rest));
    }
    let (field, rest) = rest.split_at_checked(usize::from(low) + 1).ok_or(HeaderError::Short)?;
    let value = field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    if value <= MAX_INLINE || field[0] == 0 {
        return Err(HeaderError::NotMinimal);
    }
    Ok((value, rest))
}

impl HeaderBytes {
    /// Appends an integer where it needs bytes, and returns its four bits.
    fn push(&mut self, value: u64) -> u8 {
        if value <= MAX_INLINE {
            return value as u8;
        }
        let all = value.to_be_bytes();
        let significant = &all[value.leading_zeros() as usize / 8..];
        let at = usize::from(self.len);
        self.bytes[at..at + significant.len()].copy_from_slice(significant);
        self.len += significant.len() as u8;
        EXTENDED | (significant.len() as u8 - 1)
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_that_are_longer_than_they_need_to_be_are_refused() {
        for bytes in [&[0x80, 7][..], &[0x90, 0, 9], &[0x08, 0], &[0x09, 0, 255]] {
            assert_eq!(Header::parse(bytes), Err(HeaderError::NotMinimal), "{bytes:?}");
        }
        assert_eq!(Header::parse(&[0x80, 8]), Ok((Header { kid: 8, ctr: 0 }, 2)));
        assert_eq!(Header::parse(&[0x09, 1, 0]), Ok((Header { kid: 0, ctr: 256 }, 3)));
    }

    #[test]
    fn the_longest_header_is_read_and_one_byte_less_is_short() {
        let longest = Header { kid: u64::MAX, ctr: u64::MAX }.to_bytes();
        assert_eq!(longest.len(), MAX_HEADER);
        assert!(Header::parse(&longest).is_ok());
        assert_eq!(Header::parse(&longest[..MAX_HEADER - 1]), Err(HeaderError::Short));
        assert_eq!(Header::parse(&[]), Err(HeaderError::Short));
    }

    proptest! {
        #[test]
        fn every_header_survives_and_has_one_encoding(kid: u64, ctr: u64, cut in 0..64u32) {
            let header = Header { kid: kid >> cut, ctr: ctr >> (63 - cut) };
            let bytes = header.to_bytes();
            prop_assert_eq!(Header::parse(&bytes), Ok((header, bytes.len())));
        }

        #[test]
        fn any_bytes_are_refused_or_are_the_encoding_of_what_they_say(
            bytes in prop::collection::vec(any::<u8>(), 0..20)
        ) {
            if let Ok((header, len)) = Header::parse(&bytes) {
                prop_assert_eq!(&*header.to_bytes(), &bytes[..len]);
            }
        }
    }
}
