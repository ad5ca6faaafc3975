//! From a publisher's RTP packets to canonical frames.

use std::time::Instant;

use bytes::Bytes;

use crate::codec::TrackInfo;
use crate::frame::{Frame, Protection};
use crate::hub::SenderInfo;
use crate::ids::TrackIndex;

/// Orders, joins and re-cuts the packets of one track.
pub struct TrackIngest {}

#[allow(unused_variables, reason = "signatures stand before their bodies")]
impl TrackIngest {
    /// Ingest of one track. `unordered`: the transport may lose or reorder (UDP). `first_seq` and
    /// `first_time` start the canonical timeline.
    pub fn new(
        track: TrackIndex,
        info: TrackInfo,
        protection: Protection,
        unordered: bool,
        first_seq: u16,
        first_time: u32,
    ) -> Self {
        todo!()
    }
    /// One RTP packet with its header. `false`: refused as malformed.
    pub fn handle_rtp(&mut self, now: Instant, packet: Bytes) -> bool {
        todo!()
    }
    /// The publisher's mapping of its RTP clock to wall time.
    pub fn handle_sender_report(&mut self, now: Instant, info: SenderInfo) {
        todo!()
    }
    /// The next finished frame, in order.
    pub fn poll_frame(&mut self, now: Instant) -> Option<Frame> {
        todo!()
    }
    /// When a missing packet is given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// The publisher starts anew (another connection): its sequence, timestamps and SSRC may differ,
    /// the canonical timeline goes on without a step back; the gap in it is the real time passed.
    pub fn resume(&mut self, now: Instant, info: TrackInfo, unordered: bool) {
        todo!()
    }
    /// Canonical time of a wall-clock NTP instant and back, once a sender report came.
    pub fn sender_info(&self) -> Option<SenderInfo> {
        todo!()
    }
    /// Frames lost so far.
    pub fn frames_lost(&self) -> u64 {
        todo!()
    }
}
