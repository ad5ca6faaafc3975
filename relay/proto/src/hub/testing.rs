//! Frames made by hand.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::codec::Codec;
use crate::frame::{ArrivalTime, Descriptor, Frame, MediaTime, Protection};
use crate::ids::{Tier, TrackIndex};

/// Some instant; only differences to it matter.
#[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
pub(crate) fn start() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// What tests choose of a frame.
#[derive(Clone, Copy)]
pub(crate) struct FrameSpec {
    pub(crate) track: u8,
    pub(crate) codec: Codec,
    pub(crate) keyframe: bool,
    pub(crate) media: u64,
    pub(crate) seq: u64,
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
    pub(crate) arrival: Option<Instant>,
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

pub(crate) fn video_frame(spec: FrameSpec) -> Frame {
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
