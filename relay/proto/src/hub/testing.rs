//! Frames made by hand.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::codec::Codec;
use crate::frame::{ArrivalTime, Descriptor, Frame, MediaTime, Protection};
use crate::ids::{Tier, TrackIndex};

/// Some instant; only differences to it matter.
#[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
pub(super) fn start() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// What tests choose of a frame.
#[derive(Clone, Copy)]
pub(super) struct FrameSpec {
    pub(super) track: u8,
    pub(super) codec: Codec,
    pub(super) keyframe: bool,
    pub(super) media: u64,
    pub(super) seq: u64,
    pub(super) packets: usize,
    pub(super) bytes: usize,
    pub(super) arrival: Option<Instant>,
}

impl Default for FrameSpec {
    fn default() -> Self {
        Self {
            track: 0,
            codec: Codec::H264,
            keyframe: false,
            media: 0,
            seq: 0,
            packets: 1,
            bytes: 100,
            arrival: None,
        }
    }
}

pub(super) fn video_frame(spec: FrameSpec) -> Frame {
    let payload = Bytes::from(vec![0x41; spec.bytes]);
    Frame {
        descriptor: Descriptor {
            track: TrackIndex(spec.track),
            tier: Tier::Main,
            codec: spec.codec,
            keyframe: spec.keyframe,
            discardable: false,
            discontinuity: false,
            protection: Protection::Open,
            media_time: MediaTime(spec.media),
            capture: None,
            arrival: ArrivalTime(spec.arrival.unwrap_or_else(start)),
        },
        first_seq: spec.seq,
        payloads: vec![payload; spec.packets].into(),
    }
}
