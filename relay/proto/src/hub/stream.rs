//! One stream: its tracks, its publisher and the ring they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ceiling::RateCeiling;
use super::quality::Carried;
use super::ring::Ring;
use super::track::Track;
use super::{PublisherId, SenderInfo, SubscriberId};
use crate::codec::TrackInfo;
use crate::frame::{Frame, Mode};
use crate::ids::{StreamKey, Tier, TrackIndex};
use crate::limits::{MAX_CATCH_UP, MAX_LAG};

/// Frames younger than this stay in the ring whatever keyframe came after them: cursors that lag
/// or catch up, and retransmissions, still need them. All that an audio-only stream keeps.
pub(super) const RING_TAIL: Duration = Duration::from_millis(2500);
const _: () = assert!(
    RING_TAIL.as_millis() >= MAX_CATCH_UP.as_millis()
        && RING_TAIL.as_millis() >= MAX_LAG.as_millis(),
    "a viewer that catches up or lags within its bound never falls out of the ring"
);
/// Entries of subscribers that have left and are tolerated in an idle list.
const MAX_STALE_IDLE: usize = 64;

/// Who feeds a stream now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attached {
    pub(super) id: PublisherId,
    pub(super) takes_keyframe_requests: bool,
}

/// Where a stream's frames come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// A publisher's packets.
    Ingest,
    /// Another hub; `filled` once that hub's cache has come.
    Mirror { filled: bool },
}

pub(super) struct Stream {
    pub(super) key: StreamKey,
    pub(super) origin: Origin,
    /// What is stored is copied out for mirrors.
    pub(super) followed: bool,
    pub(super) tracks: Vec<Track>,
    /// The tracks as announced, in the same order.
    pub(super) infos: Vec<TrackInfo>,
    pub(super) mode: Mode,
    pub(super) publisher: Option<Attached>,
    /// Stays when the publisher changes: reconnecting gives no new allowance.
    pub(super) ceiling: RateCeiling,
    /// When the stream ends unless its publisher comes back.
    pub(super) resume_until: Option<Instant>,
    /// Whether `Presence { live: true }` was told.
    pub(super) announced: bool,
    pub(super) ring: Ring,
    pub(super) subscribers: BTreeSet<SubscriberId>,
    /// Arrival of the frame whose coming drove a track's last keyframe out of the ring. Viewers that
    /// started at that keyframe are still catching up for [`RING_TAIL`].
    keyframe_lost: Option<Instant>,
    /// Deadline as it stands in the schedule.
    pub(super) scheduled: Option<Instant>,
    /// Subscribers without work, by the set of tracks they take; may hold some that have left.
    idle: BTreeMap<u8, Vec<SubscriberId>>,
}

impl Stream {
    pub(super) fn new(key: StreamKey, mode: Mode, tracks: Vec<Track>) -> Self {
        let infos = tracks.iter().map(|track| track.info.clone()).collect();
        Self {
            key,
            origin: Origin::Ingest,
            followed: false,
            tracks,
            infos,
            mode,
            publisher: None,
            ceiling: RateCeiling::default(),
            resume_until: None,
            announced: false,
            ring: Ring::default(),
            subscribers: BTreeSet::new(),
            keyframe_lost: None,
            scheduled: None,
            idle: BTreeMap::new(),
        }
    }

    pub(super) fn is_mirror(&self) -> bool {
        matches!(self.origin, Origin::Mirror { .. })
    }

    /// A mirror whose home's cache has not come.
    pub(super) fn is_filling(&self) -> bool {
        self.origin == Origin::Mirror { filled: false }
    }

    /// Whether anybody watches, here or from a mirror.
    pub(super) fn has_audience(&self) -> bool {
        self.followed || !self.subscribers.is_empty()
    }

    /// A mirror is told the publisher's clock mapping.
    pub(super) fn hear(&mut self, track: TrackIndex, info: SenderInfo, at: Instant) {
        if let Some(track) = self.track_mut(track) {
            track.hear(info, at);
        }
    }

    /// A mirror missed something, or its home's publisher is another one.
    pub(super) fn lose(&mut self) {
        for track in &mut self.tracks {
            track.lose();
        }
    }

    pub(super) fn track(&self, track: TrackIndex) -> Option<&Track> {
        self.tracks.get(usize::from(track.0))
    }

    pub(super) fn track_mut(&mut self, track: TrackIndex) -> Option<&mut Track> {
        self.tracks.get_mut(usize::from(track.0))
    }

    /// Whether a publication with these tracks can go on as this stream.
    pub(super) fn continues_as(&self, tracks: &[TrackInfo], mode: Mode) -> bool {
        let same = |(a, b): (&TrackInfo, &TrackInfo)| {
            (a.codec, a.clock_rate, a.channels, a.tier)
                == (b.codec, b.clock_rate, b.channels, b.tier)
        };
        self.mode == mode
            && self.infos.len() == tracks.len()
            && self.infos.iter().zip(tracks).all(same)
    }

    /// The lower tier of a main picture: another track that one decoder takes in its place.
    pub(super) fn lower_tier(&self, main: TrackIndex) -> Option<TrackIndex> {
        let main = &self.track(main).filter(|track| track.is_video())?.info;
        let fits = |info: &TrackInfo| {
            (main.tier, info.tier) == (Tier::Main, Tier::Sub)
                && (info.codec, info.clock_rate) == (main.codec, main.clock_rate)
        };
        let (index, _) = (0..).zip(&self.infos).find(|(_, info)| fits(info))?;
        Some(TrackIndex(index))
    }

    /// What a track carries.
    pub(super) fn carried(&self, track: TrackIndex) -> Carried {
        self.track(track).map_or(Carried::default(), |track| {
            let all = track.meter.bits_per_second();
            Carried { all, needed: all - track.meter.needless_bits_per_second() }
        })
    }

    /// Stores a frame and returns its index. Frames that nobody can need any more go.
    pub(super) fn push_frame(&mut self, frame: Arc<Frame>) -> u64 {
        let descriptor = frame.descriptor;
        let index = self.ring.push(Arc::clone(&frame));
        if let Some(track) = self.track_mut(descriptor.track) {
            track.stored(index, &frame);
        }
        self.forget_trimmed();
        self.trim(descriptor.arrival.0);
        self.forget_trimmed();
        index
    }

    /// Drops the oldest frame, for the process-wide budget.
    pub(super) fn drop_oldest(&mut self) {
        self.ring.pop_front();
        self.forget_trimmed();
    }

    /// Keeps everything since the newest keyframe that is older than [`RING_TAIL`], for each video
    /// track that is alive, and the tail itself.
    fn trim(&mut self, newest: Instant) {
        let Some(before) = newest.checked_sub(RING_TAIL) else { return };
        if self.keyframe_lost.is_some_and(|lost| lost > before) {
            return;
        }
        let needed = self
            .tracks
            .iter()
            .filter(|track| track.newest.is_some_and(|newest| newest.arrival >= before))
            .filter_map(|track| track.keyframe_before(before))
            .map(|keyframe| keyframe.index)
            .min()
            .unwrap_or(u64::MAX);
        while self.ring.start() < needed
            && self.ring.front().is_some_and(|frame| frame.descriptor.arrival.0 < before)
        {
            self.ring.pop_front();
        }
    }

    fn forget_trimmed(&mut self) {
        let start = self.ring.start();
        for track in &mut self.tracks {
            if track.trimmed(start) {
                self.keyframe_lost = track.newest.map(|newest| newest.arrival);
            }
        }
    }

    /// Asks for a keyframe of a track on behalf of a viewer. `true`: tell the publisher now.
    pub(super) fn ask(&mut self, now: Instant, track: TrackIndex, insist: bool) -> bool {
        let takes = self.publisher.is_some_and(|publisher| publisher.takes_keyframe_requests);
        let waits = self.publisher.is_none() && insist;
        let Some(track) = self.track_mut(track).filter(|track| track.is_video()) else {
            return false;
        };
        match (takes, insist) {
            (true, true) => track.ask.insist(now),
            (true, false) => track.ask.request(now),
            (false, _) if waits => {
                track.ask.wait();
                false
            }
            (false, _) => false,
        }
    }

    /// Tracks whose waiting keyframe request is due now.
    pub(super) fn poll_asks(&mut self, now: Instant) -> Vec<TrackIndex> {
        let takes = self.publisher.is_some_and(|publisher| publisher.takes_keyframe_requests);
        let mut due = Vec::new();
        for (index, track) in (0..).zip(&mut self.tracks) {
            if takes && track.ask.poll(now) {
                due.push(TrackIndex(index));
            }
        }
        due
    }

    /// Voids every keyframe request.
    pub(super) fn clear_asks(&mut self) {
        for track in &mut self.tracks {
            track.ask.clear();
        }
    }

    /// When the stream next needs `handle_timeout`.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let takes = self.publisher.is_some_and(|publisher| publisher.takes_keyframe_requests);
        let asks = self.tracks.iter().filter(|_| takes).filter_map(|track| track.ask.deadline());
        let ingest = self.tracks.iter().filter_map(|track| track.ingest.poll_timeout());
        asks.chain(ingest).chain(self.resume_until).min()
    }

    /// Enters a subscriber that has run dry.
    pub(super) fn enter_idle(&mut self, mask: u8, id: SubscriberId) {
        self.idle.entry(mask).or_default().push(id);
    }

    /// Takes the idle subscribers of a track, to wake those that want its newest frame.
    pub(super) fn take_idle(&mut self, track: TrackIndex) -> Vec<(u8, Vec<SubscriberId>)> {
        let bit = 1 << track.0;
        let lists =
            self.idle.iter_mut().filter(|(mask, list)| **mask & bit != 0 && !list.is_empty());
        lists.map(|(mask, list)| (*mask, std::mem::take(list))).collect()
    }

    /// Gives back those that stay idle, keeping the list's memory.
    pub(super) fn return_idle(&mut self, mask: u8, still: Vec<SubscriberId>) {
        self.idle.insert(mask, still);
    }

    /// Takes every subscriber out of the idle lists.
    pub(super) fn clear_idle(&mut self) {
        self.idle.clear();
    }

    /// Drops entries of subscribers that have left when there are too many of them.
    pub(super) fn prune_idle(&mut self) {
        let entered: usize = self.idle.values().map(Vec::len).sum();
        if entered > 2 * self.subscribers.len() + MAX_STALE_IDLE {
            for list in self.idle.values_mut() {
                list.retain(|id| self.subscribers.contains(id));
            }
            self.idle.retain(|_, list| !list.is_empty());
        }
    }

    #[cfg(test)]
    pub(super) fn idle_entries(&self) -> usize {
        self.idle.values().map(Vec::len).sum()
    }

    /// Sender report facts of a track for a viewer of `selected`: the publisher's own clock when
    /// each of them has it, else arrivals, so that they never mix.
    pub(super) fn sender_info(
        &self,
        now: Instant,
        unix_now: Duration,
        selected: impl Iterator<Item = TrackIndex>,
        track: TrackIndex,
    ) -> Option<SenderInfo> {
        let reported = selected
            .filter_map(|selected| self.track(selected))
            .all(|selected| selected.reported(now).is_some());
        let track = self.track(track)?;
        if reported { track.reported(now) } else { track.arrived(now, unix_now) }
    }
}
