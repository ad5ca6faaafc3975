//! One subscriber: a cursor into its stream's ring and its own numbering of packets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::catch_up::CatchUp;
use super::clock::ticks;
use super::line::SubTrack;
use super::pace::Pace;
use super::quality::{Pictures, Quality};
use super::schedule::Place;
use super::stream::Stream;
use super::track::{Keyframe, Track};
use super::{Delivery, Resend, Selection};
use crate::frame::{Frame, MediaTime};
use crate::ids::TrackIndex;
use crate::limits::{MAX_LAG, MAX_WHOLE_LAG};

/// Age up to which a sent packet is sent again.
pub(super) const RESEND_WINDOW: Duration = Duration::from_millis(1000);
/// Frames looked through for one packet to send again.
const MAX_RESEND_SCAN: usize = 512;

/// A viewer's place in one stream.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) stream: u64,
    pub(super) place: Place,
    /// Set of tracks whose frames it looks at, a bit each. Changes only while it is not idle: the
    /// streams list their idle subscribers by it.
    pub(super) mask: u8,
    /// Ring index of the next frame to look at.
    pub(super) cursor: u64,
    pub(super) tracks: SmallVec<[SubTrack; 2]>,
    pub(super) quality: Option<Box<Quality>>,
    /// Which of its pictures it gets.
    pub(super) pictures: Pictures,
    /// The track that its picture comes from, from that track's next keyframe on.
    pub(super) switches_to: Option<TrackIndex>,
    plan: Option<CatchUp>,
    pub(super) pace: Pace,
    /// Audio that arrived before this is not sent: it belongs to the time being caught up.
    audio_from: Option<Instant>,
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
            quality: None,
            pictures: Pictures::All,
            switches_to: None,
            plan: None,
            pace: Pace::new(selection.pacing),
            audio_from: None,
        };
        let waits_for = this.start(now, stream);
        Some((this, waits_for))
    }

    /// Starts at the newest keyframe of the first picture; names the track whose keyframe it must
    /// wait for.
    pub(super) fn start(&mut self, now: Instant, stream: &Stream) -> Option<TrackIndex> {
        let (anchor, track) = self.anchor(stream)?;
        let Some(keyframe) = track.newest_keyframe() else { return Some(anchor) };
        self.jump(keyframe.index);
        self.plan_from(now, stream, track, keyframe);
        None
    }

    pub(super) fn selected(&self) -> impl Iterator<Item = TrackIndex> {
        self.tracks.iter().map(|track| track.track)
    }

    /// Whether this frame is to be sent when the cursor comes to it.
    pub(super) fn wants(&self, frame: &Frame) -> bool {
        let descriptor = &frame.descriptor;
        let Some(track) = self.fed_by(descriptor.track) else {
            return self.switches_to == Some(descriptor.track) && descriptor.keyframe;
        };
        if track.video {
            descriptor.keyframe || !track.awaiting && self.pictures.include(descriptor)
        } else {
            !track.awaiting || self.audio_from.is_none_or(|from| descriptor.arrival.0 >= from)
        }
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

    /// The next wanted frame that is worth sending: late ones that no other refers to are passed over,
    /// and counted.
    pub(super) fn next<'a>(
        &mut self,
        now: Instant,
        stream: &'a Stream,
        passed_over: &mut u64,
    ) -> Option<&'a Arc<Frame>> {
        loop {
            let frame = self.head(stream)?;
            let begun = self.pace.sent() > 0;
            if begun
                || !frame.descriptor.is_needless()
                || !self.is_late(now, stream, frame, MAX_WHOLE_LAG)
            {
                return Some(frame);
            }
            let source = frame.descriptor.track;
            self.tracks.iter_mut().filter(|sub| sub.source() == source).for_each(SubTrack::pass);
            self.cursor += 1;
            *passed_over += 1;
        }
    }

    /// When the next packets of a frame are due: `None` is at once.
    pub(super) fn due(&self, frame: &Frame) -> Option<Instant> {
        self.planned_due(frame).max(self.pace.due())
    }

    /// When a plan wants a frame. A frame waits for those before it in the ring, so that one whose
    /// own time is earlier (a B-frame) goes right after them.
    fn planned_due(&self, frame: &Frame) -> Option<Instant> {
        let track = self.fed_by(frame.descriptor.track)?;
        self.raw_due(track, track.place(frame.descriptor.media_time))
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
        let source = frame.descriptor.track;
        if self.switches_to == Some(source) {
            self.switch(now, stream, frame);
        }
        let track = self.tracks.iter_mut().find(|sub| sub.source() == source)?;
        track.awaiting = false;
        let sparse = self.pictures != Pictures::All;
        track.renumber |= sparse && track.video && packets.start == 0;
        let seq = track.number(frame);
        let place = track.place(frame.descriptor.media_time);
        let timestamp = track.timestamp(plan.as_ref(), place);
        if let Some(quality) = &mut self.quality
            && track.video
        {
            track.sent_until = track.sent_until.max(place);
            if frame.descriptor.keyframe {
                quality.keyframe_at = now;
            }
        }
        Some(Delivery {
            frame: Arc::clone(frame),
            track: track.track,
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
        if !self.is_late(now, stream, head, MAX_LAG) {
            return false;
        }
        // Within a planned catch-up it is worth a skip only if that gains time.
        let newer = self.anchor(stream).and_then(|(_, track)| track.newest_keyframe());
        self.planned_due(head).is_none()
            || newer.is_some_and(|keyframe| keyframe.index > self.cursor)
    }

    /// Whether a frame that is to be sent now is later than this: behind its time in a planned
    /// catch-up, else behind the newest one.
    fn is_late(&self, now: Instant, stream: &Stream, frame: &Frame, bound: Duration) -> bool {
        if let Some(due) = self.planned_due(frame) {
            return now.saturating_duration_since(due) > bound;
        }
        let descriptor = &frame.descriptor;
        let Some(track) = stream.track(descriptor.track) else { return false };
        // Both clocks: a publisher that sends a backlog in one burst makes no viewer slow.
        track.newest.is_some_and(|newest| {
            let behind = newest.media.0.saturating_sub(descriptor.media_time.0);
            behind > ticks(bound, track.rate())
                && newest.arrival.saturating_duration_since(descriptor.arrival.0) > bound
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
        let newest = self.fed_by(anchor).map_or(newest, |sub| sub.place(newest));
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
        let sub = self.tracks.iter().find(|sub| sub.track == track)?;
        let (canonical, numbering) = sub.canonical(seq)?;
        let oldest = self.plan.map_or(0, |plan| plan.from);
        let begun = self.cursor + u64::from(self.pace.sent() > 0);
        let sent = (stream.ring.start().max(oldest)..begun).rev().take(MAX_RESEND_SCAN);
        for index in sent {
            let frame = stream.ring.get(index)?;
            if frame.descriptor.track != numbering.source || frame.first_seq > canonical {
                continue;
            }
            let arrival = frame.descriptor.arrival.0;
            let place = numbering.place(frame.descriptor.media_time);
            let sent_at = self.raw_due(sub, place).map_or(arrival, |due| due.max(arrival));
            if now.saturating_duration_since(sent_at) > RESEND_WINDOW {
                return None;
            }
            let at = usize::try_from(canonical - frame.first_seq).ok()?;
            if index == self.cursor && at >= self.pace.sent() {
                return None;
            }
            let payload = frame.payloads.get(at)?.clone();
            let timestamp = sub.timestamp(self.plan.as_ref(), place);
            let marker = frame.marker(at);
            return Some(Resend { payload, timestamp: timestamp.rtp(), marker });
        }
        None
    }

    /// The track that the first selected picture comes from.
    fn anchor<'a>(&self, stream: &'a Stream) -> Option<(TrackIndex, &'a Track)> {
        let anchor = self.tracks.iter().find(|track| track.video)?.source();
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
                let newest = stream.track(sub.source()).and_then(|track| track.newest);
                let newest = newest.map_or(MediaTime(0), |newest| sub.place(newest.media));
                sub.live_from = MediaTime(newest.0 + ticks(plan.ahead(rate), sub.rate));
            }
        }
        self.audio_from = Some(plan.end);
        self.plan = Some(plan);
    }

    /// Timestamp that the running plan gives a frame; `None` beyond the plan.
    fn planned(&self, track: TrackIndex, media: MediaTime) -> Option<MediaTime> {
        let sub = self.fed_by(track)?;
        let place = sub.place(media);
        self.raw_due(sub, place)?;
        Some(sub.timestamp(self.plan.as_ref(), place))
    }

    fn raw_due(&self, sub: &SubTrack, place: MediaTime) -> Option<Instant> {
        self.plan.as_ref()?.due(place, sub.live_from, sub.rate)
    }

    /// The selected track that gets the frames of `source`.
    pub(super) fn fed_by(&self, source: TrackIndex) -> Option<&SubTrack> {
        self.tracks.iter().find(|sub| sub.source() == source)
    }

    /// The track that the frames of a selected one come from.
    pub(super) fn source_of(&self, selected: TrackIndex) -> Option<TrackIndex> {
        self.tracks.iter().find(|sub| sub.track == selected).map(SubTrack::source)
    }

    /// Whether it still catches up with the live edge.
    pub(super) fn catches_up(&self, now: Instant) -> bool {
        self.plan.is_some_and(|plan| plan.end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_to_one_picture_and_one_sound_is_smaller_than_384_bytes() {
        assert!(size_of::<Subscriber>() < 384, "{} bytes", size_of::<Subscriber>());
    }
}
