//! The signed documents of sealed video, as far as a server must read them: whom they are for, which
//! number they have, and whether the right key signed them. The server holds none of the keys that
//! open video. The formats stand in `relay/client/KEYS.md`.

pub mod generation;
pub mod list;
pub mod order;
mod read;

use sightline_grant::PublicKey;

pub use read::Malformed;

/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;
/// Bytes of a public key, Ed25519 or X25519.
pub const KEY_LEN: usize = 32;
/// Largest number that a document may carry and the API can tell: what JSON holds exactly
/// (RFC 8259, section 6).
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Device and owner that a document is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentBinding {
    /// Serial as written; at most 64 bytes.
    pub serial: String,
    /// Binding epoch.
    pub epoch: u64,
}

/// Whether `key` signed `label || 00 || body`.
fn signed_by(key: &PublicKey, label: &str, body: &[u8], signature: &[u8]) -> bool {
    let mut message = Vec::with_capacity(label.len() + 1 + body.len());
    message.extend_from_slice(label.as_bytes());
    message.push(0);
    message.extend_from_slice(body);
    key.verify(&message, signature)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
