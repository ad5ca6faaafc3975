//! STUN binding requests (RFC 8489, RFC 8445, 7): strict about form before anything is looked up.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use is::stun::{StunMessage, TransId};

/// Longest binding request taken, bytes. Real ones stay under 200.
const MAX_REQUEST: usize = 548;
const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const FINGERPRINT: u16 = 0x8028;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Attributes that no binding request carries: addresses, errors, TURN.
const FOREIGN: [u16; 9] = [0x0001, 0x0009, 0x000a, 0x000c, 0x0012, 0x0013, 0x0016, 0x0020, 0x8023];

/// A well-formed binding request. Nothing of it is authenticated yet.
#[derive(Clone, Copy)]
pub struct BindingRequest<'a> {
    message: StunMessage<'a>,
    local: &'a str,
    remote: &'a str,
}

impl<'a> BindingRequest<'a> {
    /// Parses a datagram: a binding request with USERNAME, PRIORITY, MESSAGE-INTEGRITY and a right
    /// FINGERPRINT as its last attribute. Anything else is `None`.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        if !(HEADER + 8..=MAX_REQUEST).contains(&datagram.len()) || !is_well_formed(datagram) {
            return None;
        }
        let message = StunMessage::parse(datagram).ok()?;
        if !message.is_binding_request() {
            return None;
        }
        let (local, remote) = message.username()?.split_once(':')?;
        Some(Self { message, local, remote })
    }

    /// Our user fragment.
    pub fn local_ufrag(&self) -> &'a str {
        self.local
    }

    /// The peer's user fragment.
    pub fn remote_ufrag(&self) -> &'a str {
        self.remote
    }

    /// Whether the peer nominates this path.
    pub fn nominates(&self) -> bool {
        self.message.use_candidate()
    }

    /// Whether the peer believes to be the controlled agent, which only a lite agent is.
    pub fn is_controlled(&self) -> bool {
        self.message.ice_controlled().is_some()
    }

    /// Whether it was made with `password` (compared in constant time).
    pub fn is_authentic(&self, password: &str) -> bool {
        self.message.verify(password.as_bytes(), hmac_sha1)
    }

    /// Writes the success response for a request from `from`.
    pub fn answer(&self, from: SocketAddr, password: &str, out: &mut Vec<u8>) -> bool {
        write(StunMessage::binding_reply(self.transaction(), from), password, out)
    }

    /// Writes the 487 that makes a misguided peer take the controlling role.
    pub fn answer_role_conflict(&self, password: &str, out: &mut Vec<u8>) -> bool {
        write(StunMessage::binding_role_conflict_reply(self.transaction()), password, out)
    }

    fn transaction(&self) -> TransId {
        self.message.trans_id()
    }
}

fn write(message: StunMessage<'_>, password: &str, out: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 128];
    let written = message.to_bytes(Some(password.as_bytes()), &mut buffer, hmac_sha1);
    let Some(bytes) = written.ok().and_then(|len| buffer.get(..len)) else { return false };
    out.extend_from_slice(bytes);
    true
}

/// HMAC-SHA1 over the concatenation of `parts`: STUN's MESSAGE-INTEGRITY (RFC 8489, 14.5).
pub fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 20];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// Checks lengths of the message and of every attribute, and the fingerprint.
fn is_well_formed(datagram: &[u8]) -> bool {
    let word = |at: usize| datagram.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let whole = word(2).map(usize::from) == Some(datagram.len() - HEADER);
    if word(0) != Some(BINDING_REQUEST) || !whole || datagram.get(4..8) != Some(&MAGIC[..]) {
        return false;
    }
    let mut at = HEADER;
    let mut last = None;
    while at < datagram.len() {
        let (Some(kind), Some(len)) = (word(at), word(at + 2)) else { return false };
        if FOREIGN.contains(&kind) {
            return false;
        }
        last = Some((kind, at));
        at += 4 + usize::from(len).next_multiple_of(4);
    }
    let Some((FINGERPRINT, place)) = last else { return false };
    if at != datagram.len() || place + 8 != at {
        return false;
    }
    let (signed, fingerprint) = datagram.split_at(place);
    let expected = (crc32(signed) ^ FINGERPRINT_XOR).to_be_bytes();
    fingerprint.get(4..) == Some(&expected[..])
}

/// CRC-32/ISO-HDLC.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let mixed = (crc ^ u32::from(*byte)) & 0xff;
        CRC_TABLE[mixed as usize] ^ crc >> 8
    })
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(username: &str, password: &str) -> Vec<u8> {
        let message = StunMessage::binding_request(username, TransId::new(), true, 7, 1, true);
        let mut out = Vec::new();
        let mut buffer = [0; 600];
        let len = message.to_bytes(Some(password.as_bytes()), &mut buffer, hmac_sha1).unwrap();
        out.extend_from_slice(&buffer[..len]);
        out
    }

    #[test]
    fn a_request_is_read_and_authenticated() {
        let datagram = request("ours:theirs", "secret");
        let parsed = BindingRequest::parse(&datagram).unwrap();
        assert_eq!((parsed.local_ufrag(), parsed.remote_ufrag()), ("ours", "theirs"));
        assert!(parsed.nominates() && parsed.is_authentic("secret"));
        assert!(!parsed.is_authentic("Secret"));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let datagram = request("ours:theirs", "secret");
        for bit in 0..datagram.len() * 8 {
            let mut bad = datagram.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(BindingRequest::parse(&bad).is_none(), "bit {bit}");
        }
        for len in 0..datagram.len() {
            assert!(BindingRequest::parse(&datagram[..len]).is_none());
        }
    }

    /// A message around arbitrary attribute bytes, with a right length and fingerprint.
    fn around(body: &[u8]) -> Vec<u8> {
        let mut out = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        out.extend_from_slice(&[9; 12]);
        out.extend_from_slice(body);
        let len = (out.len() - HEADER + 8) as u16;
        out[2..4].copy_from_slice(&len.to_be_bytes());
        let crc = crc32(&out) ^ FINGERPRINT_XOR;
        out.extend_from_slice(&[0x80, 0x28, 0, 4]);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    proptest! {
        #[test]
        fn arbitrary_datagrams_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = BindingRequest::parse(&bytes);
            let _ = BindingRequest::parse(&around(&bytes));
        }

        #[test]
        fn arbitrary_attributes_never_panic(
            attributes in proptest::collection::vec(
                (prop_oneof![0u16..0x30, 0x8020u16..0x8030, any::<u16>()], 0usize..40), 0..8),
            fill in any::<u8>(),
        ) {
            let mut body = Vec::new();
            for (kind, len) in attributes {
                body.extend_from_slice(&kind.to_be_bytes());
                body.extend_from_slice(&(len as u16).to_be_bytes());
                body.resize(body.len() + len.next_multiple_of(4), fill);
            }
            let _ = BindingRequest::parse(&around(&body));
        }
    }
}
