//! A camera: pictures of one group length and steady sound, as RTP.

use std::time::Duration;

use bytes::Bytes;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::{Frame, Protection};
use sightline_relay_proto::ids::{Tier, TrackIndex};
use sightline_relay_proto::wire::rtp;

use crate::sealing::Sealing;

use crate::link::Random;

pub(crate) const VIDEO: TrackIndex = TrackIndex(0);
pub(crate) const AUDIO: TrackIndex = TrackIndex(1);
/// The lower tier of a camera with sound.
pub(crate) const SUB: TrackIndex = TrackIndex(2);
/// A picture of the lower tier is sent this long after that of the main one.
const SUB_DELAY: Duration = Duration::from_millis(4);
/// Type of a fragment (RFC 6184, 5.8).
const FRAGMENT: u8 = 28;
/// Bytes of a parameter set, at most.
const PARAMETER_SET: usize = 16;
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);

/// What a camera sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media {
    pub(crate) fps: u32,
    /// Pictures from one keyframe to the next.
    pub(crate) gop: u32,
    /// Bytes of a keyframe, and of any other picture.
    pub(crate) sizes: (usize, usize),
    pub(crate) audio: bool,
    /// Pictures from one keyframe of the lower tier to the next, if there is such a tier.
    pub(crate) sub_gop: Option<u32>,
    /// Pictures between two references that are sent after the later one.
    pub(crate) b_frames: u32,
    /// Pictures behind each one that others refer to, that none refers to.
    pub(crate) needless: u32,
    pub(crate) codec: Codec,
    /// Whether it sends a keyframe when asked.
    pub(crate) obeys_requests: bool,
}

/// 25 pictures a second with sound, a keyframe every ten seconds.
pub(crate) const LONG_GOP: Media = Media {
    fps: 25,
    gop: 250,
    sizes: (1100, 700),
    audio: true,
    sub_gop: None,
    b_frames: 0,
    needless: 0,
    codec: Codec::H264,
    obeys_requests: false,
};

impl Media {
    pub(crate) fn tracks(&self) -> Vec<TrackInfo> {
        let mut tracks = vec![TrackInfo::video(self.codec)];
        if self.audio {
            tracks.push(TrackInfo::audio(Codec::Opus, 48_000, 2));
        }
        if self.sub_gop.is_some() {
            assert!(self.audio, "the lower tier is the third track");
            tracks.push(TrackInfo { tier: Tier::Sub, ..TrackInfo::video(self.codec) });
        }
        tracks
    }

    pub(crate) fn frame_interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps
    }
}

/// Packets sent at one moment.
pub(crate) struct Sent {
    pub(crate) track: TrackIndex,
    pub(crate) packets: Vec<Bytes>,
}

/// One run of a camera's encoder.
pub(crate) struct Camera {
    pub(crate) media: Media,
    video: Line,
    audio: Line,
    sub: Line,
    picture: u32,
    sub_picture: u32,
    until_sub_keyframe: u32,
    until_keyframe: u32,
    sound: u32,
    /// Capture time of the camera's start, on the simulation's clock: goes into the payloads.
    origin: Duration,
    /// What makes its frames sealed ones, if they are.
    sealing: Option<Sealing>,
}

/// One picture or sound before it is sent.
struct Taken {
    track: TrackIndex,
    keyframe: bool,
    /// No other refers to it.
    discardable: bool,
    /// Since the start of the simulation.
    captured: Duration,
    /// Since the camera's start, in ticks of the track's clock.
    ticks: u64,
    /// Its units, the parameter sets first.
    units: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Line {
    ssrc: u32,
    seq: u16,
    time: u32,
}

impl Line {
    fn new(random: &mut Random) -> Self {
        Self { ssrc: random.next() as u32, seq: random.next() as u16, time: random.next() as u32 }
    }

    fn packet(&mut self, marker: bool, ticks: u64, payload: &[u8]) -> Bytes {
        let timestamp = self.time.wrapping_add(ticks as u32);
        let mut packet = rtp::header(96, marker, self.seq, timestamp, self.ssrc).to_vec();
        self.seq = self.seq.wrapping_add(1);
        packet.extend_from_slice(payload);
        packet.into()
    }
}

impl Camera {
    pub(crate) fn new(
        media: Media,
        random: &mut Random,
        origin: Duration,
        sealing: Option<Sealing>,
    ) -> Self {
        Self {
            media,
            video: Line::new(random),
            audio: Line::new(random),
            sub: Line::new(random),
            picture: 0,
            sub_picture: 0,
            until_sub_keyframe: 0,
            until_keyframe: 0,
            sound: 0,
            origin,
            sealing,
        }
    }

    /// When it next sends, since its start.
    pub(crate) fn next_at(&self) -> Duration {
        let video = self.media.frame_interval() * self.picture;
        let audio = AUDIO_INTERVAL * self.sound;
        let rest = if self.media.audio { video.min(audio) } else { video };
        self.sub_at().map_or(rest, |sub| sub.min(rest))
    }

    /// When the lower tier's next picture is sent.
    fn sub_at(&self) -> Option<Duration> {
        self.media.sub_gop?;
        Some(self.media.frame_interval() * self.sub_picture + SUB_DELAY)
    }

    /// The next picture will be a keyframe.
    pub(crate) fn ask_keyframe(&mut self, track: TrackIndex) {
        if track == SUB {
            if self.media.obeys_requests {
                self.until_sub_keyframe = 0;
            }
        } else if self.media.obeys_requests && self.media.b_frames == 0 {
            self.until_keyframe = 0;
        }
    }

    pub(crate) fn send(&mut self) -> Sent {
        let at = self.next_at();
        if self.media.audio && AUDIO_INTERVAL * self.sound <= at {
            self.send_sound(at)
        } else if self.sub_at().is_some_and(|sub| sub <= at) {
            self.send_sub()
        } else {
            self.send_picture()
        }
    }

    fn send_sound(&mut self, at: Duration) -> Sent {
        let captured = self.origin + at;
        let ticks = u64::from(self.sound) * 960;
        self.sound += 1;
        let units = vec![stamped(&[0xfc], captured, 80)];
        let (track, keyframe, discardable) = (AUDIO, true, false);
        self.packets(Taken { track, keyframe, discardable, captured, ticks, units })
    }

    fn send_sub(&mut self) -> Sent {
        let keyframe = self.until_sub_keyframe == 0;
        if keyframe {
            self.until_sub_keyframe = self.media.sub_gop.unwrap_or(1);
        }
        let ticks = u64::from(self.sub_picture) * (90_000 / u64::from(self.media.fps));
        let captured = self.origin + Duration::from_micros(ticks * 100 / 9);
        self.until_sub_keyframe -= 1;
        self.sub_picture += 1;
        let (head, len) = if keyframe { ([0x65, 0x88], 300) } else { ([0x41, 0x9a], 100) };
        let units = vec![stamped(&head, captured, len)];
        let (track, discardable) = (SUB, false);
        self.packets(Taken { track, keyframe, discardable, captured, ticks, units })
    }

    fn send_picture(&mut self) -> Sent {
        let keyframe = self.until_keyframe == 0;
        if keyframe {
            self.until_keyframe = self.media.gop;
        }
        let in_gop = self.media.gop - self.until_keyframe;
        let discardable = !in_gop.is_multiple_of(self.media.needless + 1);
        let shown = self.shown_place(in_gop);
        let ticks = u64::from(self.picture).saturating_add_signed(shown)
            * (90_000 / u64::from(self.media.fps));
        let captured = self.origin + Duration::from_micros(ticks * 100 / 9);
        self.until_keyframe -= 1;
        self.picture += 1;
        let mut units = Vec::new();
        if keyframe {
            units.push(vec![0x67, 0x42, 0xe0, 0x1f, 0x95]);
            units.push(vec![0x68, 0xce, 0x3c, 0x80]);
        }
        let (key, other) = self.media.sizes;
        let (head, len) = match (keyframe, discardable) {
            (true, _) => ([0x65, 0x88], key),
            (false, false) => ([0x41, 0x9a], other),
            (false, true) => ([0x01, 0x9a], other),
        };
        units.push(stamped(&head, captured, len));
        self.packets(Taken { track: VIDEO, keyframe, discardable, captured, ticks, units })
    }

    fn packets(&mut self, taken: Taken) -> Sent {
        let track = taken.track;
        let line = match track {
            VIDEO => &mut self.video,
            AUDIO => &mut self.audio,
            _ => &mut self.sub,
        };
        let marked = track != AUDIO || self.sealing.is_some();
        let payloads = match &mut self.sealing {
            None => taken.units.into_iter().map(Bytes::from).collect(),
            Some(sealing) => {
                let info = &self.media.tracks()[usize::from(track.0)];
                let flags = (taken.keyframe, taken.discardable);
                sealing.seal(track, info, flags, taken.captured, &taken.units.concat())
            }
        };
        let last = payloads.len() - 1;
        let packet = |(at, payload): (usize, &Bytes)| {
            line.packet(marked && at == last, taken.ticks, payload)
        };
        Sent { track, packets: payloads.iter().enumerate().map(packet).collect() }
    }

    /// How far from its sending place a picture is shown: I P b b P b b ...
    fn shown_place(&self, in_gop: u32) -> i64 {
        let run = self.media.b_frames;
        if run == 0 || in_gop == 0 {
            return 0;
        }
        if (in_gop - 1).is_multiple_of(run + 1) { i64::from(run) } else { -1 }
    }
}

/// `head`, then the capture time in 7-bit groups with the upper bit set, then filling.
fn stamped(head: &[u8], captured: Duration, len: usize) -> Vec<u8> {
    let micros = captured.as_micros() as u64;
    let mut payload = head.to_vec();
    payload.extend((0..8).rev().map(|group| 0x80 | (micros >> (7 * group) & 0x7f) as u8));
    payload.resize(len, 0xaa);
    payload
}

/// Capture time that a frame carries.
pub(crate) fn captured(frame: &Frame, track: TrackIndex) -> Duration {
    if let Protection::Sealed { .. } = frame.descriptor.protection {
        let said = frame.descriptor.capture.expect("a sealed frame says when");
        return Duration::from_micros(said.0);
    }
    let payload = frame.payloads.iter().find(|payload| payload.len() > PARAMETER_SET);
    let payload = payload.expect("a picture beside its parameter sets");
    let head = match track {
        AUDIO => 1,
        _ if payload[0] & 0x1f == FRAGMENT => 3,
        _ => 2,
    };
    let stamp = &payload[head..head + 8];
    let micros = stamp.iter().fold(0_u64, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
    Duration::from_micros(micros)
}
