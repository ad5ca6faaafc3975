//! HMAC-SHA1-80 (RFC 3711, 4.2): one packet after the other, or those of a frame together in the
//! lanes of the CPU's vector unit.

use aws_lc_rs::hmac;
use sha1_lanes::{HmacSha1, KEY, LANES, Message, TAG, Unit};
use subtle::ConstantTimeEq;

use super::keys::SHA1_TAG;

/// Packets from which on all together are faster than one after the other.
const WORTH_LANES: usize = 5;

/// An authentication key, in both forms.
pub(super) struct Auth {
    key: hmac::Key,
    lanes: Option<HmacSha1>,
}

/// A packet in a buffer that lacks its tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Untagged {
    /// First byte of the packet.
    pub(super) start: usize,
    /// First byte of the place for its tag.
    pub(super) end: usize,
    /// Extended index of the packet.
    pub(super) index: u64,
}

impl Auth {
    /// `None`: one packet after the other.
    pub(super) fn new(key: &[u8; KEY], unit: Option<Unit>) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key),
            lanes: unit.map(|unit| HmacSha1::new(unit, key)),
        }
    }

    /// Tag over an RTP packet and its rollover counter.
    pub(super) fn tag(&self, packet: &[u8], index: u64) -> [u8; SHA1_TAG] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(packet);
        context.update(&rollover(index));
        first_bytes(context.sign().as_ref())
    }

    /// Tag over an RTCP compound, which ends with its index.
    pub(super) fn compound_tag(&self, compound: &[u8]) -> [u8; SHA1_TAG] {
        first_bytes(hmac::sign(&self.key, compound).as_ref())
    }

    /// Writes the tags of at most [`LANES`] packets behind them into `bytes`.
    pub(super) fn tag_all(&self, bytes: &mut [u8], packets: &[Untagged]) {
        let together = self.lanes.as_ref().filter(|_| packets.len() >= WORTH_LANES);
        let Some(lanes) = together else {
            for Untagged { start, end, index } in packets {
                let tag = self.tag(&bytes[*start..*end], *index);
                bytes[*end..*end + SHA1_TAG].copy_from_slice(&tag);
            }
            return;
        };
        let mut messages = [Message { packet: &[], trailer: [0; 4] }; LANES];
        for (message, packet) in messages.iter_mut().zip(packets) {
            *message = Message {
                packet: &bytes[packet.start..packet.end],
                trailer: rollover(packet.index),
            };
        }
        let mut tags = [[0; TAG]; LANES];
        let count = packets.len().min(LANES);
        lanes.tags(&messages[..count], &mut tags);
        for (tag, packet) in tags.iter().zip(packets) {
            bytes[packet.end..packet.end + SHA1_TAG].copy_from_slice(&tag[..SHA1_TAG]);
        }
    }
}

/// Whether two tags are equal, in a time that does not tell where they differ.
pub(super) fn same(expected: &[u8; SHA1_TAG], tag: &[u8]) -> bool {
    expected[..].ct_eq(tag).into()
}

fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn first_bytes(tag: &[u8]) -> [u8; SHA1_TAG] {
    let mut first = [0; SHA1_TAG];
    first.copy_from_slice(&tag[..SHA1_TAG]);
    first
}
