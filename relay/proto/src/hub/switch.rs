//! Which frames a viewer with a limited way gets: the change from one level to another.
//!
//! A change takes effect between two frames. To another tier it waits for that tier's next
//! keyframe, and the viewer stays where it is until then. Its numbers go on without a gap, its
//! timestamps go on by the arrival times of both tiers, and the source stays the same one.

use std::time::Instant;

use super::line::SubTrack;
use super::quality::{Carried, Level, Pictures, Quality, Rates};
use super::stream::Stream;
use super::subscriber::Subscriber;
use crate::frame::Frame;
use crate::ids::TrackIndex;

/// What came of weighing a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Assessed {
    pub(super) lowered: bool,
    pub(super) raised: bool,
    /// The track whose keyframe the viewer waits for.
    pub(super) wants_keyframe: Option<TrackIndex>,
}

impl Subscriber {
    /// Takes a budget; `false` if there is nothing to weigh.
    pub(super) fn set_budget(&mut self, now: Instant, stream: &Stream, bits: Option<u64>) -> bool {
        if bits.is_some() && self.quality.is_none() {
            let lower = self.only_picture().and_then(|only| stream.lower_tier(only.track));
            self.quality = Some(Box::new(Quality::new(now, lower)));
        }
        let Some(quality) = &mut self.quality else { return false };
        quality.set_budget(now, bits);
        true
    }

    /// Weighs the budget against what its tracks carry now.
    pub(super) fn assess(&mut self, now: Instant, stream: &Stream) -> Option<Assessed> {
        let quality = self.quality.as_deref()?;
        if quality.is_over(now) {
            self.quality = None;
            return None;
        }
        let rates = self.rates(stream, quality.lower);
        let before = quality.level;
        let quality = self.quality.as_deref_mut()?;
        let changed = quality.assess(now, rates);
        let (level, lower) = (quality.level, quality.lower);
        let lacks = quality.lacks_keyframe(now);
        let raised = level < before;
        let from = self.tracks.iter().find(|track| track.video)?;
        let to = source(from.track, lower, level);
        let starts = before == Level::Keyframes || to != from.source();
        let waits = lacks || changed && starts;
        Some(Assessed { lowered: changed && !raised, raised, wants_keyframe: waits.then_some(to) })
    }

    /// Lets the level of the quality take effect. Call only while the viewer is not idle.
    pub(super) fn adapt(&mut self, now: Instant) {
        if self.pace.sent() > 0 || self.catches_up(now) {
            return;
        }
        let Some(quality) = self.quality.as_deref_mut() else { return };
        let (level, lower) = (quality.level, quality.lower);
        let before = std::mem::replace(&mut quality.applied, level);
        if before == level {
            return;
        }
        let tier =
            self.only_picture().map(|only| (source(only.track, lower, level), only.source()));
        self.switches_to = tier.filter(|(to, from)| to != from).map(|(to, _)| to);
        if self.switches_to.is_none() {
            self.show(level.pictures());
        } else if level > before {
            // Until the other tier begins it does with less of this one.
            self.show(level.pictures().max(self.pictures));
        }
        self.look();
    }

    /// The tier that the viewer waits for begins with this frame.
    pub(super) fn switch(&mut self, now: Instant, stream: &Stream, frame: &Frame) {
        let applied = self.quality.as_ref().map_or(Level::Full, |quality| quality.applied);
        self.switches_to = None;
        let Some(track) = self.tracks.iter_mut().find(|track| track.video) else { return };
        let edge = |track| Some(stream.track(track)?.edge(now)?.0);
        let to = frame.descriptor.track;
        // The viewer's line is that of the track that it selected.
        let shift = match edge(track.track).zip(edge(to)) {
            Some((line, other)) if to != track.track => line.wrapping_sub(other),
            _ => 0,
        };
        track.take_source(frame, shift);
        self.pictures = applied.pictures();
        self.look();
    }

    /// From now on these pictures are sent; from the next keyframe on if it were keyframes alone.
    fn show(&mut self, pictures: Pictures) {
        let before = std::mem::replace(&mut self.pictures, pictures);
        if before == pictures {
            return;
        }
        for track in self.tracks.iter_mut().filter(|track| track.video) {
            track.awaiting |= before == Pictures::Keyframes;
            track.renumber = true;
        }
    }

    /// Brings the set of tracks that it looks at up to date.
    fn look(&mut self) {
        let sources = self.tracks.iter().map(SubTrack::source);
        self.mask = sources.chain(self.switches_to).fold(0, |mask, track| mask | 1 << track.0);
    }

    /// The selected picture, if there is just one: else nobody knows which of them to change.
    fn only_picture(&self) -> Option<&SubTrack> {
        let mut pictures = self.tracks.iter().filter(|track| track.video);
        pictures.next().filter(|_| pictures.next().is_none())
    }

    fn rates(&self, stream: &Stream, lower: Option<TrackIndex>) -> Rates {
        let tracks = self.selected().map(|track| stream.carried(track));
        let full = tracks.fold(Carried::default(), Carried::plus);
        let picture = self.only_picture().map(|only| stream.carried(only.track));
        let rest = full.minus(picture.unwrap_or_default());
        Rates { full, lower: lower.map(|lower| rest.plus(stream.carried(lower))) }
    }
}

/// Where the frames of a selected picture come from at a level.
fn source(selected: TrackIndex, lower: Option<TrackIndex>, level: Level) -> TrackIndex {
    lower.filter(|_| level.is_lower()).unwrap_or(selected)
}
