//! One track of a stream: its ingest and what the hub knows of its newest frames.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SenderInfo;
use super::clock::{self, ArrivalClock};
use super::keyframe::KeyframeAsk;
use super::meter::Meter;
use crate::codec::{MediaKind, TrackInfo};
use crate::frame::{Descriptor, Frame, MediaTime};
use crate::ingest::TrackIngest;

/// A sender report older than this says nothing: clocks drift apart.
pub(super) const REPORT_LIFE: Duration = Duration::from_secs(60);

/// A keyframe in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Keyframe {
    pub(super) index: u64,
    pub(super) media: MediaTime,
    pub(super) arrival: Instant,
}

/// The live edge of a track.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Newest {
    /// Ring index of the newest frame.
    pub(super) index: u64,
    /// Highest media time so far; the newest frame may lie before it (B-frames).
    pub(super) media: MediaTime,
    /// Arrival of the newest frame.
    pub(super) arrival: Instant,
}

pub(super) struct Track {
    pub(super) info: TrackInfo,
    pub(super) ingest: TrackIngest,
    pub(super) ssrc: u32,
    pub(super) ask: KeyframeAsk,
    pub(super) newest: Option<Newest>,
    pub(super) meter: Meter,
    /// Video keyframes in the ring, oldest first.
    keyframes: VecDeque<Keyframe>,
    /// Frames after the newest keyframe.
    since_keyframe: u64,
    arrivals: ArrivalClock,
    /// When the newest sender report came.
    report_at: Option<Instant>,
    /// Its mapping, where another hub's ingest has it.
    told: Option<SenderInfo>,
    lost_seen: u64,
    /// The publisher is another one, and has sent no frame yet.
    resumed: bool,
}

impl Track {
    pub(super) fn new(info: TrackInfo, ingest: TrackIngest, ssrc: u32) -> Self {
        Self {
            info,
            ingest,
            ssrc,
            ask: KeyframeAsk::default(),
            newest: None,
            meter: Meter::default(),
            keyframes: VecDeque::new(),
            since_keyframe: 0,
            arrivals: ArrivalClock::default(),
            report_at: None,
            told: None,
            lost_seen: 0,
            resumed: false,
        }
    }

    pub(super) fn is_video(&self) -> bool {
        self.info.kind() == MediaKind::Video
    }

    /// Clock rate, never zero.
    pub(super) fn rate(&self) -> u32 {
        self.info.clock_rate.max(1)
    }

    /// A frame of this track is in the ring under `index`.
    pub(super) fn stored(&mut self, index: u64, frame: &Frame) {
        self.meter.observe(frame);
        let frame = &frame.descriptor;
        let arrival = frame.arrival.0;
        self.arrivals.observe(frame.media_time, arrival, self.rate());
        let media =
            self.newest.map_or(frame.media_time, |newest| newest.media.max(frame.media_time));
        self.newest = Some(Newest { index, media, arrival });
        self.since_keyframe += 1;
        if self.is_video() && frame.keyframe {
            self.ask.clear();
            self.since_keyframe = 0;
            self.keyframes.push_back(Keyframe { index, media: frame.media_time, arrival });
        }
    }

    /// The ring now starts at `start`. `true`: the newest keyframe has gone.
    pub(super) fn trimmed(&mut self, start: u64) -> bool {
        let had = !self.keyframes.is_empty();
        while self.keyframes.front().is_some_and(|keyframe| keyframe.index < start) {
            self.keyframes.pop_front();
        }
        had && self.keyframes.is_empty()
    }

    /// The newest keyframe still in the ring.
    pub(super) fn newest_keyframe(&self) -> Option<Keyframe> {
        self.keyframes.back().copied()
    }

    /// The newest keyframe that arrived at `before` or earlier.
    pub(super) fn keyframe_before(&self, before: Instant) -> Option<Keyframe> {
        self.keyframes.iter().rev().find(|keyframe| keyframe.arrival <= before).copied()
    }

    /// Media ticks from the newest keyframe to the live edge; 0 when that is under two frames.
    pub(super) fn backlog(&self, keyframe: Keyframe) -> u64 {
        if self.since_keyframe < 2 {
            return 0;
        }
        self.newest.map_or(0, |newest| newest.media.0.saturating_sub(keyframe.media.0))
    }

    /// A sender report came from the publisher.
    pub(super) fn handle_sender_report(&mut self, now: Instant, info: SenderInfo) {
        self.ingest.handle_sender_report(now, info);
        self.report_at = Some(now);
    }

    /// The newest mapping of the publisher's clock, and when it was told.
    pub(super) fn report(&self) -> Option<(SenderInfo, Instant)> {
        Some((self.ingest.sender_info()?, self.report_at?))
    }

    /// The home of this mirror's track was told of its publisher's clock.
    pub(super) fn hear(&mut self, info: SenderInfo, at: Instant) {
        self.told = Some(info);
        self.report_at = Some(at);
    }

    /// What comes next refers to nothing that came before.
    pub(super) fn lose(&mut self) {
        self.told = None;
        self.report_at = None;
        self.resumed = true;
    }

    /// Another publisher goes on with this track.
    pub(super) fn resume(&mut self, now: Instant, info: &TrackInfo, unordered: bool) {
        self.info = info.clone();
        self.report_at = None;
        self.resumed = true;
        self.ingest.resume(now, info.clone(), unordered);
    }

    /// Whether decoders miss what this frame refers to. Call once per frame.
    pub(super) fn is_broken(&mut self, frame: &Descriptor) -> bool {
        let resumed = std::mem::take(&mut self.resumed);
        (resumed || frame.discontinuity) && !frame.keyframe
    }

    /// Media time at the live edge now, learnt from arrivals.
    pub(super) fn edge(&self, now: Instant) -> Option<MediaTime> {
        self.arrivals.media_at(now, self.rate())
    }

    /// The publisher's own mapping, moved on to now.
    pub(super) fn reported(&self, now: Instant) -> Option<SenderInfo> {
        let passed = now.saturating_duration_since(self.report_at?);
        if passed > REPORT_LIFE {
            return None;
        }
        let info = self.told.or_else(|| self.ingest.sender_info())?;
        Some(clock::advance(info, passed, self.rate()))
    }

    /// The mapping learnt from arrivals.
    pub(super) fn arrived(&self, now: Instant, unix_now: Duration) -> Option<SenderInfo> {
        let media = self.edge(now)?;
        Some(SenderInfo { ntp: clock::ntp(unix_now), rtp: media.rtp() })
    }

    /// Frames that ingest lost since the last call.
    pub(super) fn newly_lost(&mut self) -> u64 {
        let lost = self.ingest.frames_lost();
        lost - std::mem::replace(&mut self.lost_seen, lost).min(lost)
    }
}
