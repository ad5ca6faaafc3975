//! Sealed frames and images from a camera to a viewer, and what a server can do to them.

mod frames;
mod stills;
mod switching;
mod tampering;

use std::time::Instant;

use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, Tier, TrackIndex};

use super::*;
use crate::keys::testing::{NOW, Rig, terminal, viewer};
use crate::keys::{Generation, NewGeneration};

const CHANNEL: Channel = Channel(0);
const VIDEO: TrackIndex = TrackIndex(0);
const SOUND: TrackIndex = TrackIndex(1);
/// Capture time of the tests.
const CAPTURE: CaptureTime = CaptureTime(NOW * 1_000_000);

/// A camera with one viewer, terminal 1, who holds its generation.
struct World {
    rig: Rig,
    sealer: FrameSealer,
    opener: FrameOpener,
    generation: Generation,
}

impl World {
    fn new(serial: &str) -> Self {
        let mut rig = Rig::new(serial, 1);
        let list = rig.list(1, &[viewer(1)]);
        rig.take(&list);
        let mut made = rig.generation(0);
        let sealer = FrameSealer::new(made.keys.channel(CHANNEL).expect("the first time"));
        let mut opener = FrameOpener::new(rig.live(), CHANNEL);
        let generation = give(&mut opener, &made);
        Self { rig, sealer, opener, generation }
    }

    fn seal(&mut self, info: &FrameInfo, unit: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.sealer.seal(info, unit, self.rig.start, &mut out).expect("sealed");
        out
    }

    fn open(&mut self, frame: &[u8]) -> Result<(OpenedFrame, Vec<u8>), FrameError> {
        open(&mut self.opener, frame)
    }
}

fn give(opener: &mut FrameOpener, made: &NewGeneration) -> Generation {
    let blob = made.blob.to_bytes();
    let later = NOW + 1_000_000;
    opener.keyring_mut().accept(&blob, terminal(1).exchange(), later).expect("a recipient")
}

/// Opens, and checks that nothing comes out of a frame that is refused.
fn open(opener: &mut FrameOpener, frame: &[u8]) -> Result<(OpenedFrame, Vec<u8>), FrameError> {
    let mut out = vec![9];
    let opened = opener.open(frame, CAPTURE, &mut out);
    if opened.is_err() {
        assert_eq!(out, [9], "a refused frame leaves nothing behind");
    }
    opened.map(|frame| (frame, out.split_off(1)))
}

fn video(keyframe: bool) -> FrameInfo {
    FrameInfo {
        track: VIDEO,
        tier: Tier::Main,
        codec: Codec::H264,
        keyframe,
        discardable: false,
        discontinuity: false,
        capture: CAPTURE,
    }
}

fn sound() -> FrameInfo {
    FrameInfo { track: SOUND, codec: Codec::Opus, ..video(true) }
}

fn at(rig: &Rig, micros: u64) -> Instant {
    rig.start + std::time::Duration::from_micros(micros)
}
