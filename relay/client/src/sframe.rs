//! SFrame (RFC 9605): the header, the keys of one base key and KID, sealing and opening.
//!
//! The product offers the two suites with AES-GCM. The suites with CTR and HMAC exist only in the
//! tests, where they check header and key schedule against the vectors of the RFC.

mod header;
mod open;
mod schedule;
mod seal;
mod suite;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod window;

pub use header::{Header, HeaderBytes, HeaderError, MAX_HEADER};
pub use open::{OpenError, OpeningKey, Parts};
pub use seal::{SealError, SealingKey};
pub use suite::Suite;
pub use window::WINDOW;

/// Bytes of the authentication tag, of both suites.
pub const TAG_LEN: usize = 16;
/// Most bytes that are authenticated beside the header.
pub const MAX_METADATA: usize = 64;

/// The associated data of RFC 9605 section 4.4.3: the header, then the metadata.
struct AssociatedData {
    bytes: [u8; MAX_HEADER + MAX_METADATA],
    len: usize,
}

impl AssociatedData {
    /// `None`: the metadata is longer than [`MAX_METADATA`].
    fn new(header: &[u8], metadata: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_HEADER + MAX_METADATA];
        let len = header.len() + metadata.len();
        if metadata.len() > MAX_METADATA || header.len() > MAX_HEADER {
            return None;
        }
        bytes[..header.len()].copy_from_slice(header);
        bytes[header.len()..len].copy_from_slice(metadata);
        Some(Self { bytes, len })
    }
}

impl AsRef<[u8]> for AssociatedData {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
