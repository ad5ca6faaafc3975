//! Sealing the packets of one frame for one viewer into the send arena.

use std::net::SocketAddr;

use sha1_lanes::LANES;
use smallvec::SmallVec;

use super::auth::Untagged;
use super::{OutSource, Plain, Sending, SrtpSender};
use crate::transmit::Arena;

/// Puts sealed packets into the arena. GCM seals each at once; with HMAC-SHA1 each is encrypted at
/// once and up to [`LANES`] of them are authenticated together. When this is dropped, all are.
pub struct FrameSealer<'a> {
    sender: &'a mut SrtpSender,
    arena: &'a mut Arena,
    source: OutSource,
    to: SocketAddr,
    /// What the arena has without tags; never more than fits in place.
    untagged: SmallVec<[Untagged; LANES]>,
}

impl SrtpSender {
    /// Begins a frame of `source` to `to`.
    pub fn begin_frame<'a>(
        &'a mut self,
        source: OutSource,
        to: SocketAddr,
        arena: &'a mut Arena,
    ) -> FrameSealer<'a> {
        FrameSealer { sender: self, arena, source, to, untagged: SmallVec::new() }
    }
}

impl FrameSealer<'_> {
    /// Appends a packet that is sent for the first time; `seq` is that of its header. Nothing is
    /// appended if the number was used before.
    pub fn push(&mut self, seq: u16, packet: Plain<'_>) {
        let (sender, source) = (&mut *self.sender, self.source);
        let (start, len) = (self.arena.len(), sender.sealed_len(packet));
        let mut placed = None;
        self.arena.push_sized(self.to, len, |out| {
            placed = sender.encrypt(source, Sending::First, seq, packet, out);
            placed.is_some()
        });
        let Some(index) = placed else { return };
        if sender.keys.rtp.auth().is_none() {
            return;
        }
        let end = start + len - sender.keys.rtp.tag_len();
        self.untagged.push(Untagged { start, end, index });
        if self.untagged.len() == LANES {
            self.tag();
        }
    }

    fn tag(&mut self) {
        if let Some(auth) = self.sender.keys.rtp.auth() {
            auth.tag_all(self.arena.bytes_mut(), &self.untagged);
        }
        self.untagged.clear();
    }
}

impl Drop for FrameSealer<'_> {
    fn drop(&mut self) {
        self.tag();
    }
}
