//! One subscriber: a cursor into its stream's ring and its own numbering of packets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::catch_up::CatchUp;
use super::clock::ticks;
use super::pace::Pace;
use super::schedule::Place;
use super::stream::Stream;
use super::track::{Keyframe, Track};
use super::{Delivery, Resend, Selection};
use crate::frame::{Frame, MediaTime};
use crate::ids::TrackIndex;
use crate::limits::MAX_LAG;
use crate::wire::rtp::extend_seq;

/// Age up to which a sent packet is sent again.
pub(super) const RESEND_WINDOW: Duration = Duration::from_millis(1000);
/// Frames looked through for one packet to send again.
const MAX_RESEND_SCAN: usize = 512;
/// Earlier numberings kept per track.
const KEPT_NUMBERINGS: usize = 3;

/// A viewer's place in one stream.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) stream: u64,
    pub(super) place: Place,
    /// Set of selected tracks, a bit each.
    pub(super) mask: u8,
    /// Ring index of the next frame to look at.
    pub(super) cursor: u64,
    tracks: SmallVec<[SubTrack; 2]>,
    plan: Option<CatchUp>,
    pace: Pace,
    /// Audio that arrived before this is not sent: it belongs to the time being caught up.
    audio_from: Option<Instant>,
}

/// One selected track of a subscriber.
#[derive(Debug)]
struct SubTrack {
    track: TrackIndex,
    video: bool,
    /// Nothing is sent until a keyframe, or until the live edge for sound.
    awaiting: bool,
    /// Frames were passed over: the next one continues the viewer's numbering.
    renumber: bool,
    rate: u32,
    /// Media time from which on the timeline is the canonical one.
    live_from: MediaTime,
    /// The viewer's next sequence number, extended; `None` before the first frame.
    next_seq: Option<u64>,
    numbering: Numbering,
    earlier: SmallVec<[Numbering; KEPT_NUMBERINGS]>,
}

/// From the viewer's number `from` on, canonical number = viewer's number + `offset`.
#[derive(Clone, Copy, Default, Debug)]
struct Numbering {
    from: u64,
    offset: u64,
}

/// What a lagging viewer's skip came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Skip {
    /// It goes on at a newer frame.
    Skipped,
    /// It waits for the next keyframe of this track.
    Waits(TrackIndex),
    /// Nothing newer to go to that would not run its pictures backward; it goes on, late.
    GoesOn,
}

impl Subscriber {
    /// A viewer of these tracks at the newest keyframe of the first video track. The second value
    /// names a track whose keyframe it must wait for.
    pub(super) fn join(
        now: Instant,
        id: u64,
        stream: &Stream,
        selection: Selection,
    ) -> Option<(Self, Option<TrackIndex>)> {
        let mut mask = 0;
        let mut tracks = SmallVec::new();
        for index in selection.tracks {
            let Some(track) = stream.track(index) else { continue };
            let bit = 1_u8 << index.0;
            if mask & bit == 0 {
                mask |= bit;
                tracks.push(SubTrack::new(index, track));
            }
        }
        if mask == 0 {
            return None;
        }
        let mut this = Self {
            stream: id,
            place: Place::Named,
            mask,
            cursor: stream.ring.end(),
            tracks,
            plan: None,
            pace: Pace::new(selection.pacing),
            audio_from: None,
        };
        let Some((anchor, track)) = this.anchor(stream) else { return Some((this, None)) };
        let Some(keyframe) = track.newest_keyframe() else { return Some((this, Some(anchor))) };
        this.jump(keyframe.index);
        this.plan_from(now, stream, track, keyframe);
        Some((this, None))
    }

    pub(super) fn selected(&self) -> impl Iterator<Item = TrackIndex> {
        self.tracks.iter().map(|track| track.track)
    }

    /// Whether this frame is to be sent when the cursor comes to it.
    pub(super) fn wants(&self, frame: &Frame) -> bool {
        let descriptor = &frame.descriptor;
        self.sub_track(descriptor.track).is_some_and(|track| {
            let starts = if track.video {
                descriptor.keyframe
            } else {
                self.audio_from.is_none_or(|from| descriptor.arrival.0 >= from)
            };
            !track.awaiting || starts
        })
    }

    /// The next wanted frame; moves the cursor to it, or to the ring's end.
    pub(super) fn head<'a>(&mut self, stream: &'a Stream) -> Option<&'a Arc<Frame>> {
        if self.cursor < stream.ring.start() {
            self.cursor = stream.ring.start();
            self.pace.abandon();
        }
        while let Some(frame) = stream.ring.get(self.cursor) {
            if self.wants(frame) {
                return Some(frame);
            }
            self.cursor += 1;
        }
        None
    }

    /// When the next packets of a frame are due: `None` is at once.
    pub(super) fn due(&self, frame: &Frame) -> Option<Instant> {
        self.planned_due(frame).max(self.pace.due())
    }

    /// When a plan wants a frame. A frame waits for those before it in the ring, so that one whose
    /// own time is earlier (a B-frame) goes right after them.
    fn planned_due(&self, frame: &Frame) -> Option<Instant> {
        let track = self.sub_track(frame.descriptor.track)?;
        self.raw_due(track, frame.descriptor.media_time)
    }

    /// Places what is due of the frame under the cursor on the viewer's timeline, and moves on when
    /// all of it is.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        epoch: Instant,
        stream: &Stream,
        frame: &Arc<Frame>,
    ) -> Option<Delivery> {
        let meter = stream.track(frame.descriptor.track).map(|track| &track.meter);
        let packets = self.pace.take(now, epoch, frame, meter);
        self.cursor += u64::from(packets.end == frame.payloads.len());
        let plan = self.plan;
        let track = self.tracks.iter_mut().find(|sub| sub.track == frame.descriptor.track)?;
        track.awaiting = false;
        let seq = track.number(frame);
        let timestamp = track.timestamp(plan.as_ref(), frame.descriptor.media_time);
        Some(Delivery {
            frame: Arc::clone(frame),
            track: frame.descriptor.track,
            seq: seq as u16,
            timestamp: timestamp.rtp(),
            packets,
        })
    }

    /// Whether the viewer is too far behind to go on frame by frame.
    pub(super) fn lags(&mut self, stream: &Stream, now: Instant) -> bool {
        if self.cursor < stream.ring.start() {
            return true;
        }
        if self.pace.sent() > 0 {
            return false;
        }
        let Some(head) = self.head(stream) else { return false };
        if let Some(due) = self.planned_due(head) {
            // Within a planned catch-up lag is lateness, and worth a skip only if that gains time.
            let newer = self.anchor(stream).and_then(|(_, track)| track.newest_keyframe());
            return now.saturating_duration_since(due) > MAX_LAG
                && newer.is_some_and(|keyframe| keyframe.index > self.cursor);
        }
        let descriptor = &head.descriptor;
        let Some(track) = stream.track(descriptor.track) else { return false };
        // Both clocks: a publisher that sends a backlog in one burst makes no viewer slow.
        track.newest.is_some_and(|newest| {
            let behind = newest.media.0.saturating_sub(descriptor.media_time.0);
            behind > ticks(MAX_LAG, track.rate())
                && newest.arrival.saturating_duration_since(descriptor.arrival.0) > MAX_LAG
        })
    }

    /// Leaves out what the viewer is too late for. No gap in its sequence numbers tells of it.
    pub(super) fn skip(&mut self, stream: &Stream, now: Instant) -> Skip {
        let Some((anchor, track)) = self.anchor(stream) else {
            self.jump(stream.ring.end().saturating_sub(1));
            return Skip::Skipped;
        };
        let newer = track.newest_keyframe().filter(|keyframe| keyframe.index >= self.cursor);
        let Some(keyframe) = newer else {
            self.jump(stream.ring.end());
            return Skip::Waits(anchor);
        };
        let fallen_out = self.cursor < stream.ring.start();
        let newest = track.newest.map_or(keyframe.media, |newest| newest.media);
        match self.planned(anchor, keyframe.media) {
            None if track.backlog(keyframe) > ticks(MAX_LAG, track.rate()) => {
                self.plan_from(now, stream, track, keyframe);
            }
            None => {}
            Some(timestamp) if newest >= timestamp => {
                self.plan_from(now, stream, track, keyframe);
            }
            Some(_) if fallen_out => {}
            Some(_) => return Skip::GoesOn,
        }
        self.jump(keyframe.index);
        Skip::Skipped
    }

    /// A packet sent at most [`RESEND_WINDOW`] ago, by the viewer's own number.
    pub(super) fn resend(
        &self,
        now: Instant,
        stream: &Stream,
        track: TrackIndex,
        seq: u16,
    ) -> Option<Resend> {
        let sub = self.sub_track(track)?;
        let canonical = sub.canonical(seq)?;
        let oldest = self.plan.map_or(0, |plan| plan.from);
        let begun = self.cursor + u64::from(self.pace.sent() > 0);
        let sent = (stream.ring.start().max(oldest)..begun).rev().take(MAX_RESEND_SCAN);
        for index in sent {
            let frame = stream.ring.get(index)?;
            if frame.descriptor.track != track || frame.first_seq > canonical {
                continue;
            }
            let arrival = frame.descriptor.arrival.0;
            let sent_at = self
                .raw_due(sub, frame.descriptor.media_time)
                .map_or(arrival, |due| due.max(arrival));
            if now.saturating_duration_since(sent_at) > RESEND_WINDOW {
                return None;
            }
            let at = usize::try_from(canonical - frame.first_seq).ok()?;
            if index == self.cursor && at >= self.pace.sent() {
                return None;
            }
            let payload = frame.payloads.get(at)?.clone();
            let timestamp = sub.timestamp(self.plan.as_ref(), frame.descriptor.media_time);
            let marker = frame.marker(at);
            return Some(Resend { payload, timestamp: timestamp.rtp(), marker });
        }
        None
    }

    /// The first selected video track.
    fn anchor<'a>(&self, stream: &'a Stream) -> Option<(TrackIndex, &'a Track)> {
        let anchor = self.tracks.iter().find(|track| track.video)?.track;
        Some((anchor, stream.track(anchor)?))
    }

    /// Goes on at `index`: pictures from their next keyframe on.
    fn jump(&mut self, index: u64) {
        self.cursor = index;
        self.pace.abandon();
        for track in &mut self.tracks {
            track.awaiting |= track.video;
            track.renumber = true;
        }
    }

    /// Plans the way from a keyframe to the live edge, or none if it is there.
    fn plan_from(&mut self, now: Instant, stream: &Stream, track: &Track, keyframe: Keyframe) {
        let backlog = track.backlog(keyframe);
        if backlog == 0 {
            return;
        }
        let rate = track.rate();
        let plan = CatchUp::new(now, keyframe.index, backlog, rate);
        for sub in &mut self.tracks {
            sub.awaiting = true;
            if sub.video {
                let newest = stream.track(sub.track).and_then(|track| track.newest);
                let newest = newest.map_or(MediaTime(0), |newest| newest.media);
                sub.live_from = MediaTime(newest.0 + ticks(plan.ahead(rate), sub.rate));
            }
        }
        self.audio_from = Some(plan.end);
        self.plan = Some(plan);
    }

    /// Timestamp that the running plan gives a frame; `None` beyond the plan.
    fn planned(&self, track: TrackIndex, media: MediaTime) -> Option<MediaTime> {
        let sub = self.sub_track(track)?;
        self.raw_due(sub, media)?;
        Some(sub.timestamp(self.plan.as_ref(), media))
    }

    fn raw_due(&self, sub: &SubTrack, media: MediaTime) -> Option<Instant> {
        self.plan.as_ref()?.due(media, sub.live_from, sub.rate)
    }

    fn sub_track(&self, track: TrackIndex) -> Option<&SubTrack> {
        self.tracks.iter().find(|sub| sub.track == track)
    }
}

impl SubTrack {
    fn new(index: TrackIndex, track: &Track) -> Self {
        Self {
            track: index,
            video: track.is_video(),
            awaiting: track.is_video(),
            renumber: false,
            rate: track.rate(),
            live_from: MediaTime(0),
            next_seq: None,
            numbering: Numbering::default(),
            earlier: SmallVec::new(),
        }
    }

    /// The viewer's number of a frame's first packet.
    fn number(&mut self, frame: &Frame) -> u64 {
        let canonical = frame.first_seq;
        match self.next_seq {
            None => self.numbering = Numbering { from: canonical, offset: 0 },
            Some(next)
                if self.renumber && canonical.wrapping_sub(self.numbering.offset) != next =>
            {
                if self.earlier.len() == KEPT_NUMBERINGS {
                    self.earlier.remove(0);
                }
                self.earlier.push(self.numbering);
                self.numbering = Numbering { from: next, offset: canonical.wrapping_sub(next) };
            }
            Some(_) => {}
        }
        self.renumber = false;
        let seq = canonical.wrapping_sub(self.numbering.offset);
        self.next_seq = Some(seq + frame.payloads.len() as u64);
        seq
    }

    /// The canonical number behind a number that was sent to the viewer.
    fn canonical(&self, seq: u16) -> Option<u64> {
        let next = self.next_seq?;
        let seq = extend_seq(next, seq);
        if seq >= next {
            return None;
        }
        let numbering = std::iter::once(&self.numbering)
            .chain(self.earlier.iter().rev())
            .find(|numbering| seq >= numbering.from)?;
        Some(seq.wrapping_add(numbering.offset))
    }

    fn timestamp(&self, plan: Option<&CatchUp>, media: MediaTime) -> MediaTime {
        plan.map_or(media, |plan| plan.timestamp(media, self.live_from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_to_one_picture_and_one_sound_is_smaller_than_512_bytes() {
        assert!(size_of::<Subscriber>() < 512, "{} bytes", size_of::<Subscriber>());
    }
}
