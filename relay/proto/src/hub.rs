//! Streams, their publishers and their subscribers.
//!
//! The hub owns every stream of one worker. Transports put RTP in with [`Hub::handle_rtp`]; the hub
//! tells through [`Hub::poll_ready`] which subscribers have frames due, and [`Hub::poll_delivery`]
//! hands them out one by one. Nothing is queued per subscriber: a subscriber is a cursor into the
//! stream's ring, so a slow one costs its own lag and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::handed::HandedOut;
pub use self::pace::{CHUNK_INTERVAL, CHUNK_PACKETS, MAX_STAGGER, PACE_TICK, Pacing};
pub use self::quality::{
    BUDGET_LIFE, HEADROOM_PERCENT, KEYFRAME_PATIENCE, MAX_PLENTY, MAX_SHORTAGE, PLENTY, RELAPSE,
    SHORTAGE,
};
use self::random::SplitMix;
use self::schedule::{Place, Schedule};
use self::slots::Slots;
use self::stream::{Attached, Stream};
use self::subscriber::Subscriber;
use crate::codec::TrackInfo;
use crate::frame::{Frame, Mode};
use crate::ids::{DeviceId, StreamKey, TrackIndex};
use crate::limits::{MAX_CACHE_BYTES, MAX_TRACKS, PUBLISHER_RESUME};

mod catch_up;
mod ceiling;
mod clock;
mod flow;
mod handed;
mod keyframe;
mod line;
mod meter;
mod mirror;
mod pace;
mod quality;
mod random;
mod ring;
mod schedule;
mod slots;
mod stream;
mod subscriber;
mod switch;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod track;

pub use self::handed::Handed;
pub use self::mirror::{Copied, StreamFacts};

/// A publisher's place in the hub. Never reused within one hub's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PublisherId(pub u64);

/// A stream's place in the hub. Never reused within one hub's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamId(pub u64);

/// A subscriber's place in the hub. Never reused within one hub's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SubscriberId(pub u64);

impl SubscriberId {
    /// Place among the subscribers of its hub, for tables beside the hub. Places are few and used
    /// again: another id may have had this one.
    pub fn slot(self) -> usize {
        slots::slot(self.0)
    }
}

/// What a publisher announces.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The stream it feeds.
    pub key: StreamKey,
    /// Its tracks, at most [`crate::limits::MAX_TRACKS`].
    pub tracks: Vec<TrackInfo>,
    /// Whether its media is sealed.
    pub mode: Mode,
    /// Whether it understands PLI/FIR, so that asking for a keyframe makes sense.
    pub takes_keyframe_requests: bool,
    /// Whether the transport may lose or reorder packets (UDP); else no reorder wait.
    pub unordered: bool,
}

/// Why a publication is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// No track, or more than the bound.
    #[error("a stream has 1 to {max} tracks", max = crate::limits::MAX_TRACKS)]
    TrackCount,
}

/// Why a subscription is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SubscribeError {
    /// Nobody publishes this stream now.
    #[error("the stream is not live")]
    NotLive,
    /// None of the wanted tracks exists.
    #[error("the stream has none of the wanted tracks")]
    NoTrack,
    /// The subscriber was promised open frames and the stream is sealed, or the reverse.
    #[error("the stream is {}, and the session is not for that", .stream.name())]
    OtherMode {
        /// What the stream is.
        stream: Mode,
    },
}

/// Sender report facts: a wall clock and the RTP timestamp of the same instant (RFC 3550, 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// NTP time, seconds since 1900 in the upper 32 bits.
    pub ntp: u64,
    /// RTP timestamp of that instant.
    pub rtp: u32,
}

/// One frame for one subscriber, or a chunk of it, placed on the subscriber's own timeline.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The shared frame.
    pub frame: Arc<Frame>,
    /// Track in the stream.
    pub track: TrackIndex,
    /// RTP sequence number of the frame's first packet for this subscriber; the others count on.
    pub seq: u16,
    /// RTP timestamp for this subscriber.
    pub timestamp: u32,
    /// The frame's payloads to send now; all of them unless the frame is paced.
    pub packets: Range<usize>,
}

impl Delivery {
    /// The payloads to send now, each with its place in the frame.
    pub fn payloads(&self) -> impl Iterator<Item = (usize, &Bytes)> {
        self.packets.clone().zip(self.frame.payloads.get(self.packets.clone()).unwrap_or_default())
    }

    /// Payload bytes to send now.
    pub fn bytes(&self) -> usize {
        self.payloads().map(|(_, payload)| payload.len()).sum()
    }

    /// Whether the frame is out with this.
    pub fn ends_frame(&self) -> bool {
        self.packets.end == self.frame.payloads.len()
    }
}

/// One packet of an earlier delivery, for a retransmission.
#[derive(Clone, Debug)]
pub struct Resend {
    /// The payload.
    pub payload: Bytes,
    /// Its RTP timestamp for this subscriber.
    pub timestamp: u32,
    /// Whether it carried the marker.
    pub marker: bool,
}

/// Why a stream or a subscription came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndReason {
    /// The publisher left and did not come back in time.
    PublisherGone,
    /// The publisher came back with other tracks; the viewer must set up anew.
    TracksChanged,
}

/// What the hub tells its shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HubEvent {
    /// Ask this publisher for a keyframe (already merged and rate-limited).
    KeyframeNeeded {
        /// Whom to ask.
        publisher: PublisherId,
        /// Which track.
        track: TrackIndex,
    },
    /// This subscriber gets no more frames.
    SubscriberEnded {
        /// Who.
        subscriber: SubscriberId,
        /// Why.
        reason: EndReason,
    },
    /// Another publisher took the stream over (same device, new connection).
    PublisherReplaced {
        /// Who must be closed.
        publisher: PublisherId,
    },
    /// A stream, or a mirror of one, is in this hub no more.
    StreamEnded {
        /// Its name.
        key: StreamKey,
        /// Which.
        stream: StreamId,
        /// Why.
        reason: EndReason,
    },
    /// A stream went live (first frame) or offline (no publisher any more, resume time over).
    Presence {
        /// Which.
        key: StreamKey,
        /// Live or not.
        live: bool,
    },
}

/// What a subscriber wants, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Tracks to deliver, by index; at least one.
    pub tracks: Vec<TrackIndex>,
    /// How its transport takes frames.
    pub pacing: Pacing,
    /// What its session was set up for: a stream of the other mode is refused.
    pub mode: Mode,
}

/// Plain counters, exported by the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HubStats {
    /// Streams with a publisher or waiting for one to come back.
    pub streams: u64,
    /// Of these, sealed ones.
    pub sealed: u64,
    /// Streams of other hubs that are copied here.
    pub mirrors: u64,
    /// Subscribers.
    pub subscribers: u64,
    /// RTP packets taken in.
    pub packets_in: u64,
    /// RTP packets refused as malformed, late or too large.
    pub packets_dropped: u64,
    /// Of these, packets over [`crate::limits::MAX_PUBLISHER_PACKETS`] or
    /// [`crate::limits::MAX_PUBLISHER_BYTES`].
    pub packets_over_rate: u64,
    /// Frames stored.
    pub frames_in: u64,
    /// Frames handed to subscribers.
    pub frames_out: u64,
    /// Frames lost before ingest could complete them.
    pub frames_lost: u64,
    /// Times a slow subscriber skipped to a keyframe.
    pub skips: u64,
    /// Frames that no other refers to, left out for a viewer that was late.
    pub needless_left_out: u64,
    /// Times a viewer was given less, since its way carried less than its stream.
    pub lowered: u64,
    /// Times a viewer was given more again.
    pub raised: u64,
    /// Bytes held in rings.
    pub cached_bytes: u64,
}

/// Every stream of one worker.
///
/// Methods are of three kinds: those named after what a peer does (`publish`, `subscribe`,
/// `handle_*`, `request_keyframe`, `resume`) change state; `poll_*` hand work out until `None`;
/// the rest only look. After anything that changes state, poll `poll_event`, then `poll_ready`
/// with `poll_delivery` for each subscriber it names, then arm a timer for `poll_timeout`.
pub struct Hub {
    streams: Slots<Stream>,
    by_key: BTreeMap<StreamKey, u64>,
    /// Stream that each live publisher feeds.
    publishers: Slots<u64>,
    subscribers: Slots<Subscriber>,
    schedule: Schedule,
    /// Streams by the bytes that they hold.
    by_size: BTreeSet<(usize, u64)>,
    cached_bytes: usize,
    cache_budget: usize,
    random: SplitMix,
    events: VecDeque<HubEvent>,
    handed: HandedOut,
    /// What happened in followed streams.
    copied: Vec<(StreamId, Copied)>,
    /// How many of the streams are mirrors.
    mirrors: usize,
    /// How many of the others are sealed.
    sealed: usize,
    counters: HubStats,
}

impl Default for Hub {
    /// An empty hub of seed 0.
    fn default() -> Self {
        Self::new(0)
    }
}

impl Hub {
    /// An empty hub. `seed` drives every random choice (SSRCs, first sequence numbers).
    pub fn new(seed: u64) -> Self {
        Self::with_cache_budget(seed, MAX_CACHE_BYTES)
    }

    /// An empty hub whose streams hold at most `bytes` together: a worker's share of
    /// [`crate::limits::MAX_CACHE_BYTES`].
    pub fn with_cache_budget(seed: u64, bytes: usize) -> Self {
        Self {
            streams: Slots::default(),
            by_key: BTreeMap::new(),
            publishers: Slots::default(),
            subscribers: Slots::default(),
            schedule: Schedule::default(),
            by_size: BTreeSet::new(),
            cached_bytes: 0,
            cache_budget: bytes,
            random: SplitMix::new(seed),
            events: VecDeque::new(),
            handed: HandedOut::default(),
            copied: Vec::new(),
            mirrors: 0,
            sealed: 0,
            counters: HubStats::default(),
        }
    }

    /// Starts a publication, or resumes one whose stream waits for its publisher. While another
    /// publisher of the same key is live, the newcomer takes over; the caller has authenticated
    /// both as the same device. Viewers notice nothing if codecs, clocks and mode are the
    /// same as before; else they end with [`EndReason::TracksChanged`].
    pub fn publish(
        &mut self,
        now: Instant,
        publication: Publication,
    ) -> Result<PublisherId, PublishError> {
        if publication.tracks.is_empty() || publication.tracks.len() > MAX_TRACKS {
            return Err(PublishError::TrackCount);
        }
        let stream = self.stream_for(now, &publication);
        let id = PublisherId(self.publishers.insert(stream));
        let takes = publication.takes_keyframe_requests;
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.publisher = Some(Attached { id, takes_keyframe_requests: takes });
            entry.resume_until = None;
        }
        self.ask_waiting(now, stream);
        self.reschedule(stream);
        self.check_invariants();
        Ok(id)
    }

    /// The publisher's transport has ended; the stream waits [`PUBLISHER_RESUME`].
    pub fn unpublish(&mut self, now: Instant, publisher: PublisherId) {
        let Some(id) = self.publishers.remove(publisher.0) else { return };
        if let Some(stream) = self.streams.get_mut(id)
            && stream.publisher.is_some_and(|attached| attached.id == publisher)
        {
            stream.publisher = None;
            stream.resume_until = Some(now + PUBLISHER_RESUME);
        }
        self.reschedule(id);
        self.check_invariants();
    }

    /// Ends every stream and mirror of a device that is not of this mode: the device may send
    /// nothing else any more. Their viewers end with [`EndReason::PublisherGone`].
    pub fn end_other_mode(&mut self, device: &DeviceId, mode: Mode) {
        let other = |stream: &Stream| stream.key.device == *device && stream.mode != mode;
        let ended: Vec<_> =
            self.streams.iter().filter(|(_, stream)| other(stream)).map(|(id, _)| id).collect();
        for id in ended {
            if let Some(attached) = self.streams.get(id).and_then(|stream| stream.publisher) {
                self.publishers.remove(attached.id.0);
            }
            self.end_stream(id, EndReason::PublisherGone);
        }
        self.check_invariants();
    }

    /// One RTP packet (header and payload) of a publisher's track.
    pub fn handle_rtp(
        &mut self,
        now: Instant,
        publisher: PublisherId,
        track: TrackIndex,
        packet: Bytes,
    ) {
        self.counters.packets_in += 1;
        let id = self.publishers.get(publisher.0).copied();
        let Some((id, stream)) = id.and_then(|id| Some((id, self.streams.get_mut(id)?))) else {
            self.counters.packets_dropped += 1;
            return;
        };
        if !stream.ceiling.admits(now, packet.len()) {
            self.counters.packets_dropped += 1;
            self.counters.packets_over_rate += 1;
            return;
        }
        let Some(track_entry) = stream.track_mut(track) else {
            self.counters.packets_dropped += 1;
            return;
        };
        if !track_entry.ingest.handle_rtp(now, packet) {
            self.counters.packets_dropped += 1;
        }
        self.drain_track(now, id, track);
        self.reschedule(id);
        self.check_invariants();
    }

    /// A publisher's sender report for a track.
    pub fn handle_sender_report(
        &mut self,
        now: Instant,
        publisher: PublisherId,
        track: TrackIndex,
        info: SenderInfo,
    ) {
        let Some(&id) = self.publishers.get(publisher.0) else { return };
        let Some(stream) = self.streams.get_mut(id) else { return };
        let followed = stream.followed;
        let Some(entry) = stream.track_mut(track) else { return };
        entry.handle_sender_report(now, info);
        if let Some((info, at)) = entry.report().filter(|_| followed) {
            self.copied.push((StreamId(id), Copied::Report { track, info, at }));
        }
    }

    /// Tracks of a live stream, or of one that waits for its publisher to come back.
    pub fn tracks(&self, key: &StreamKey) -> Option<&[TrackInfo]> {
        Some(&self.stream(key)?.infos)
    }

    /// Whether a live stream, or one that waits for its publisher, is open or sealed.
    pub fn mode(&self, key: &StreamKey) -> Option<Mode> {
        Some(self.stream(key)?.mode)
    }

    /// SSRC of a track's canonical timeline.
    pub fn ssrc(&self, key: &StreamKey, track: TrackIndex) -> Option<u32> {
        Some(self.stream(key)?.track(track)?.ssrc)
    }

    /// Attaches a viewer at the newest cached keyframe. Unknown and repeated tracks of the
    /// selection are left out.
    pub fn subscribe(
        &mut self,
        now: Instant,
        key: &StreamKey,
        selection: Selection,
    ) -> Result<SubscriberId, SubscribeError> {
        let &id = self.by_key.get(key).ok_or(SubscribeError::NotLive)?;
        let stream = self.streams.get_mut(id).ok_or(SubscribeError::NotLive)?;
        if selection.mode != stream.mode {
            return Err(SubscribeError::OtherMode { stream: stream.mode });
        }
        let (subscriber, waits_for) =
            Subscriber::join(now, id, stream, selection).ok_or(SubscribeError::NoTrack)?;
        let subscriber_id = SubscriberId(self.subscribers.insert(subscriber));
        stream.subscribers.insert(subscriber_id);
        let filling = stream.is_filling();
        if let Some(track) = waits_for.filter(|_| !filling) {
            self.ask_keyframe(now, id, track, true);
        }
        self.settle(now, subscriber_id);
        self.reschedule(id);
        self.check_invariants();
        Ok(subscriber_id)
    }

    /// Detaches a viewer.
    pub fn unsubscribe(&mut self, subscriber: SubscriberId) {
        let Some(id) = self.remove_subscriber(subscriber) else { return };
        let subscribers = &self.subscribers;
        self.schedule.prune_ready(subscribers.len(), |id| subscribers.get(id.0).is_some());
        if let Some(stream) = self.streams.get_mut(id) {
            stream.subscribers.remove(&subscriber);
            stream.prune_idle();
            if stream.subscribers.is_empty() {
                stream.clear_asks();
            }
        }
        self.reschedule(id);
        self.check_invariants();
    }

    /// A subscriber with frames due now; each is named once until it is polled dry and has new work.
    pub fn poll_ready(&mut self, now: Instant) -> Option<SubscriberId> {
        self.wake_timed(now);
        while let Some(id) = self.schedule.pop_ready() {
            let Some(subscriber) = self.subscribers.get_mut(id.0) else { continue };
            if subscriber.place == Place::Queued {
                self.schedule.set(id, &mut subscriber.place, Place::Named);
                return Some(id);
            }
        }
        None
    }

    /// The next due frame of a subscriber, or chunk of one, skipping to a keyframe if it lags too
    /// far.
    pub fn poll_delivery(&mut self, now: Instant, subscriber: SubscriberId) -> Option<Delivery> {
        let entry = self.subscribers.get(subscriber.0)?;
        if entry.place == Place::Idle {
            return None;
        }
        let limited = entry.quality.is_some();
        self.skip_if_late(now, subscriber);
        if limited {
            self.adapt(now, subscriber);
        }
        let entry = self.subscribers.get_mut(subscriber.0)?;
        let stream = self.streams.get_mut(entry.stream)?;
        let Some(frame) = entry.next(now, stream, &mut self.counters.needless_left_out) else {
            self.schedule.set(subscriber, &mut entry.place, Place::Idle);
            stream.enter_idle(entry.mask, subscriber);
            return None;
        };
        let due = entry.due(frame);
        if let Some(due) = due.filter(|due| *due > now) {
            self.schedule.set(subscriber, &mut entry.place, Place::Timed(due));
            return None;
        }
        let frame = Arc::clone(frame);
        let delivery = entry.deliver(now, self.schedule.epoch(now), stream, &frame);
        // Mostly this was the newest frame, and the shell's next question needs no second look.
        let place = if entry.cursor == stream.ring.end() { Place::Idle } else { Place::Named };
        self.schedule.set(subscriber, &mut entry.place, place);
        if place == Place::Idle {
            stream.enter_idle(entry.mask, subscriber);
        }
        self.counters.frames_out += u64::from(delivery.as_ref().is_some_and(Delivery::ends_frame));
        // Frames and chunks with a due time are late on purpose.
        if delivery.is_some() && due.is_none() {
            self.handed.note(frame.descriptor.arrival.0);
        }
        delivery
    }

    /// A frame that a viewer's transport could not take wholly is not given back; a full transport
    /// simply stops polling and calls this when it is writable again.
    pub fn resume(&mut self, now: Instant, subscriber: SubscriberId) {
        let entry = self.subscribers.get(subscriber.0);
        if entry.is_some_and(|entry| entry.place == Place::Named) {
            self.settle(now, subscriber);
        }
        self.check_invariants();
    }

    /// What a subscriber's way carries, bits per second, as its feedback or its transport tells;
    /// `None`: no limit is known. Told again at least every [`BUDGET_LIFE`] while it stands. A viewer
    /// whose budget stays too low does without frames that no other refers to, or gets the lower
    /// tier, or keyframes, until there is plenty again.
    pub fn set_budget(&mut self, now: Instant, subscriber: SubscriberId, bits: Option<u64>) {
        let Some(entry) = self.subscribers.get_mut(subscriber.0) else { return };
        let Some(stream) = self.streams.get(entry.stream) else { return };
        if entry.set_budget(now, stream, bits) {
            self.assess(now, subscriber);
        }
        self.check_invariants();
    }

    /// A packet that this subscriber was sent within the last second, by its own sequence number.
    pub fn resend(
        &self,
        now: Instant,
        subscriber: SubscriberId,
        track: TrackIndex,
        seq: u16,
    ) -> Option<Resend> {
        let entry = self.subscribers.get(subscriber.0)?;
        entry.resend(now, self.streams.get(entry.stream)?, track, seq)
    }

    /// What an RTCP sender report to this subscriber says now; `unix_now` is the wall clock. All
    /// tracks of a subscriber are on one clock: the publisher's when its sender reports cover all
    /// of them, else `unix_now` at arrival. The same mapping holds while catching up, since the
    /// squeezed timestamps follow the live edge.
    pub fn sender_info(
        &self,
        now: Instant,
        unix_now: Duration,
        subscriber: SubscriberId,
        track: TrackIndex,
    ) -> Option<SenderInfo> {
        let entry = self.subscribers.get(subscriber.0)?;
        let stream = self.streams.get(entry.stream)?;
        stream.sender_info(now, unix_now, entry.selected(), track)
    }

    /// A viewer asks for a keyframe of a track that it takes.
    pub fn request_keyframe(&mut self, now: Instant, subscriber: SubscriberId, track: TrackIndex) {
        let Some(entry) = self.subscribers.get(subscriber.0) else { return };
        let id = entry.stream;
        if let Some(track) = entry.source_of(track) {
            self.ask_keyframe(now, id, track, false);
            self.reschedule(id);
        }
        self.check_invariants();
    }

    /// Next thing the shell must know.
    pub fn poll_event(&mut self) -> Option<HubEvent> {
        self.events.pop_front()
    }

    /// When [`Hub::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.poll_timeout()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.wake_timed(now);
        for id in self.schedule.due_streams(now) {
            self.handle_stream_timeout(now, id);
        }
        self.check_invariants();
    }

    /// Frames that viewers at the live edge were given since the last call.
    pub fn handed_out(&mut self) -> std::vec::Drain<'_, Handed> {
        self.handed.take()
    }

    /// Counters.
    pub fn stats(&self) -> HubStats {
        HubStats {
            streams: (self.streams.len() - self.mirrors) as u64,
            sealed: self.sealed as u64,
            mirrors: self.mirrors as u64,
            subscribers: self.subscribers.len() as u64,
            cached_bytes: self.cached_bytes as u64,
            ..self.counters
        }
    }
}
