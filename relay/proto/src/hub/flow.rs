//! How frames and wake-ups go through the hub.

use std::sync::Arc;
use std::time::Instant;

use super::mirror::Copied;
use super::schedule::Place;
use super::stream::{Origin, Stream};
use super::subscriber::Skip;
use super::track::Track;
use super::{EndReason, Hub, HubEvent, Publication, StreamId, SubscriberId};
use crate::frame::{Frame, Mode};
use crate::ids::{StreamKey, TrackIndex};
use crate::ingest::{SealedBy, TrackIngest};

impl Hub {
    pub(super) fn stream(&self, key: &StreamKey) -> Option<&Stream> {
        self.streams.get(*self.by_key.get(key)?)
    }

    /// The stream that a publication feeds: the one that stands, or a new one.
    pub(super) fn stream_for(&mut self, now: Instant, publication: &Publication) -> u64 {
        let Some(&id) = self.by_key.get(&publication.key) else {
            return self.create_stream(publication, false);
        };
        if self.streams.get(id).is_none_or(Stream::is_mirror) {
            self.end_stream(id, EndReason::TracksChanged);
            return self.create_stream(publication, false);
        }
        let Some(stream) = self.streams.get_mut(id) else { return id };
        if let Some(old) = stream.publisher.take() {
            self.publishers.remove(old.id.0);
            self.events.push_back(HubEvent::PublisherReplaced { publisher: old.id });
        }
        if !stream.continues_as(&publication.tracks, publication.mode) {
            let announced = stream.announced;
            self.end_stream(id, EndReason::TracksChanged);
            return self.create_stream(publication, announced);
        }
        for (track, info) in stream.tracks.iter_mut().zip(&publication.tracks) {
            track.resume(now, info, publication.unordered);
        }
        if stream.followed {
            self.copied.push((StreamId(id), Copied::Resumed));
        }
        stream.infos.clone_from(&publication.tracks);
        id
    }

    fn create_stream(&mut self, publication: &Publication, announced: bool) -> u64 {
        let mut ssrcs = Vec::new();
        // Exactly: a stream of one track is the rule, and a track is large.
        let mut tracks = Vec::with_capacity(publication.tracks.len());
        for (index, info) in (0..).zip(&publication.tracks) {
            let ssrc = loop {
                let ssrc = self.random.next() as u32;
                if ssrc != 0 && !ssrcs.contains(&ssrc) {
                    break ssrc;
                }
            };
            ssrcs.push(ssrc);
            // The upper bit stays clear, so that the first wrap is far from a viewer's SRTP start.
            let first_seq = self.random.next() as u16 & 0x7fff;
            let first_time = self.random.next() as u32;
            let (track, unordered) = (TrackIndex(index), publication.unordered);
            let ingest = match publication.mode {
                Mode::Open => {
                    TrackIngest::new(track, info.clone(), unordered, first_seq, first_time)
                }
                Mode::Sealed => {
                    let by = Some(SealedBy::of(&publication.key));
                    let start = (first_seq, first_time);
                    TrackIngest::sealed(track, info.clone(), by, unordered, start)
                }
            };
            tracks.push(Track::new(info.clone(), ingest, ssrc));
        }
        let mut stream = Stream::new(publication.key.clone(), publication.mode, tracks);
        stream.announced = announced;
        self.sealed += usize::from(publication.mode.is_sealed());
        let id = self.streams.insert(stream);
        self.by_key.insert(publication.key.clone(), id);
        self.by_size.insert((0, id));
        id
    }

    /// Removes a stream and ends its subscribers.
    pub(super) fn end_stream(&mut self, id: u64, reason: EndReason) {
        let Some(mut stream) = self.streams.remove(id) else { return };
        self.schedule.set_stream(id, &mut stream.scheduled, None);
        self.by_key.remove(&stream.key);
        self.by_size.remove(&(stream.ring.bytes(), id));
        self.cached_bytes -= stream.ring.bytes();
        if !stream.is_mirror() && stream.mode.is_sealed() {
            self.sealed -= 1;
        }
        for subscriber in stream.subscribers {
            self.remove_subscriber(subscriber);
            self.events.push_back(HubEvent::SubscriberEnded { subscriber, reason });
        }
        if matches!(stream.origin, Origin::Mirror { .. }) {
            self.mirrors -= 1;
            if let Some(publisher) = stream.publisher {
                self.publishers.remove(publisher.id.0);
            }
        }
        let (key, stream_id) = (stream.key.clone(), StreamId(id));
        self.events.push_back(HubEvent::StreamEnded { key, stream: stream_id, reason });
        if stream.announced && reason == EndReason::PublisherGone {
            self.events.push_back(HubEvent::Presence { key: stream.key, live: false });
        }
    }

    /// Takes a subscriber out of all books but its stream's, and names that stream.
    pub(super) fn remove_subscriber(&mut self, id: SubscriberId) -> Option<u64> {
        let mut subscriber = self.subscribers.remove(id.0)?;
        self.schedule.set(id, &mut subscriber.place, Place::Idle);
        Some(subscriber.stream)
    }

    /// Takes finished frames out of a track's ingest.
    pub(super) fn drain_track(&mut self, now: Instant, id: u64, track: TrackIndex) {
        while let Some(entry) = self.streams.get_mut(id).and_then(|s| s.track_mut(track)) {
            let frame = entry.ingest.poll_frame(now);
            self.counters.frames_lost += entry.newly_lost();
            let wanted = entry.ingest.take_keyframe_wish();
            if wanted && self.streams.get(id).is_some_and(Stream::has_audience) {
                self.ask_keyframe(now, id, track, false);
            }
            let Some(frame) = frame else { return };
            self.handle_frame(now, id, frame);
        }
    }

    /// Ingest has made a frame.
    pub(super) fn handle_frame(&mut self, now: Instant, id: u64, frame: Frame) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let frame = Arc::new(frame);
        self.counters.frames_in += 1;
        if !stream.announced {
            stream.announced = true;
            let key = stream.key.clone();
            self.events.push_back(HubEvent::Presence { key, live: true });
        }
        if stream.followed {
            self.copied.push((StreamId(id), Copied::Frame(Arc::clone(&frame))));
        }
        self.store_frame(now, id, frame);
    }

    /// Stores a frame and wakes whoever waits for it.
    pub(super) fn store_frame(&mut self, now: Instant, id: u64, frame: Arc<Frame>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let track = frame.descriptor.track;
        let before = stream.ring.bytes();
        let index = stream.push_frame(Arc::clone(&frame));
        let broken = stream.track_mut(track).is_some_and(|t| t.is_broken(&frame.descriptor))
            && !stream.subscribers.is_empty();
        self.account(id, before);
        self.keep_budget();
        if broken {
            self.ask_keyframe(now, id, track, false);
        }
        self.wake_idle(now, id, index, &frame);
    }

    /// Books the change of one ring's size.
    pub(super) fn account(&mut self, id: u64, before: usize) {
        let Some(stream) = self.streams.get(id) else { return };
        let bytes = stream.ring.bytes();
        self.cached_bytes = self.cached_bytes - before + bytes;
        self.by_size.remove(&(before, id));
        self.by_size.insert((bytes, id));
    }

    /// Trims the longest rings until all of them together keep the budget.
    pub(super) fn keep_budget(&mut self) {
        while self.cached_bytes > self.cache_budget {
            let Some(&(before, id)) = self.by_size.last() else { return };
            let Some(stream) = self.streams.get_mut(id) else { return };
            stream.drop_oldest();
            self.account(id, before);
        }
    }

    /// Wakes those idle subscribers that want the frame just stored under `index`.
    fn wake_idle(&mut self, now: Instant, id: u64, index: u64, frame: &Frame) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        for (mask, mut idle) in stream.take_idle(frame.descriptor.track) {
            idle.retain(|&subscriber_id| {
                let Some(subscriber) = self.subscribers.get_mut(subscriber_id.0) else {
                    return false;
                };
                if !subscriber.wants(frame) {
                    return true;
                }
                subscriber.cursor = index;
                let due = subscriber.due(frame).filter(|due| *due > now);
                let place = due.map_or(Place::Queued, Place::Timed);
                self.schedule.set(subscriber_id, &mut subscriber.place, place);
                false
            });
            stream.return_idle(mask, idle);
        }
    }

    /// Finds a subscriber's next work and its place in the schedule.
    pub(super) fn settle(&mut self, now: Instant, id: SubscriberId) {
        let Some(subscriber) = self.subscribers.get_mut(id.0) else { return };
        let Some(stream) = self.streams.get_mut(subscriber.stream) else { return };
        // A cursor that fell out of the ring keeps its place: polling counts and mends it.
        if subscriber.cursor < stream.ring.start() {
            self.schedule.set(id, &mut subscriber.place, Place::Queued);
            return;
        }
        let place = match subscriber.head(stream) {
            None => Place::Idle,
            Some(frame) => match subscriber.due(frame).filter(|due| *due > now) {
                Some(due) => Place::Timed(due),
                None => Place::Queued,
            },
        };
        if place == Place::Idle {
            stream.enter_idle(subscriber.mask, id);
        }
        self.schedule.set(id, &mut subscriber.place, place);
    }

    /// Queues the subscribers whose time has come.
    pub(super) fn wake_timed(&mut self, now: Instant) {
        while let Some(id) = self.schedule.first_timed(now) {
            let Some(subscriber) = self.subscribers.get_mut(id.0) else { return };
            self.schedule.set(id, &mut subscriber.place, Place::Queued);
        }
    }

    /// Lets a viewer that is too far behind skip.
    pub(super) fn skip_if_late(&mut self, now: Instant, id: SubscriberId) {
        let Some(subscriber) = self.subscribers.get_mut(id.0) else { return };
        let stream_id = subscriber.stream;
        let Some(stream) = self.streams.get(stream_id) else { return };
        if !subscriber.lags(stream, now) {
            return;
        }
        match subscriber.skip(stream, now) {
            Skip::GoesOn => return,
            Skip::Skipped => {}
            Skip::Waits(track) => {
                self.ask_keyframe(now, stream_id, track, true);
                self.reschedule(stream_id);
            }
        }
        self.counters.skips += 1;
    }

    /// Weighs a limited viewer's budget, and asks for the keyframe that its next level begins at.
    pub(super) fn assess(&mut self, now: Instant, id: SubscriberId) {
        let Some(subscriber) = self.subscribers.get_mut(id.0) else { return };
        let stream_id = subscriber.stream;
        let Some(stream) = self.streams.get(stream_id) else { return };
        let Some(assessed) = subscriber.assess(now, stream) else { return };
        self.counters.lowered += u64::from(assessed.lowered);
        self.counters.raised += u64::from(assessed.raised);
        if let Some(track) = assessed.wants_keyframe {
            self.ask_keyframe(now, stream_id, track, false);
            self.reschedule(stream_id);
        }
    }

    /// Brings what a limited viewer gets up to date with its budget, between two frames.
    pub(super) fn adapt(&mut self, now: Instant, id: SubscriberId) {
        self.assess(now, id);
        if let Some(subscriber) = self.subscribers.get_mut(id.0) {
            subscriber.adapt(now);
        }
    }

    /// Asks the publisher of a stream for a keyframe, merged with earlier requests.
    pub(super) fn ask_keyframe(&mut self, now: Instant, id: u64, track: TrackIndex, insist: bool) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.ask(now, track, insist)
            && let Some(publisher) = stream.publisher
        {
            self.events.push_back(HubEvent::KeyframeNeeded { publisher: publisher.id, track });
        }
    }

    /// Tells the publisher of the requests whose time has come.
    pub(super) fn ask_waiting(&mut self, now: Instant, id: u64) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let Some(publisher) = stream.publisher.map(|attached| attached.id) else { return };
        for track in stream.poll_asks(now) {
            self.events.push_back(HubEvent::KeyframeNeeded { publisher, track });
        }
    }

    /// A stream's deadline has come: missing packets, keyframe requests, or its end.
    pub(super) fn handle_stream_timeout(&mut self, now: Instant, id: u64) {
        let Some(stream) = self.streams.get(id) else { return };
        if stream.resume_until.is_some_and(|until| until <= now) {
            self.end_stream(id, EndReason::PublisherGone);
            return;
        }
        for index in 0..stream.tracks.len() {
            self.drain_track(now, id, TrackIndex(index as u8));
        }
        self.ask_waiting(now, id);
        self.reschedule(id);
    }

    /// Brings a stream's deadline in the schedule up to date.
    pub(super) fn reschedule(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let deadline = stream.deadline();
        self.schedule.set_stream(id, &mut stream.scheduled, deadline);
    }

    /// Panics in debug builds when the hub's books contradict each other.
    pub(super) fn check_invariants(&self) {
        #[cfg(debug_assertions)]
        self.check_books();
    }

    #[cfg(debug_assertions)]
    fn check_books(&self) {
        let mut bytes = 0;
        for (id, stream) in self.streams.iter() {
            stream.ring.check();
            bytes += stream.ring.bytes();
            assert_eq!(self.by_key.get(&stream.key), Some(&id), "each key names its stream");
            assert!(self.by_size.contains(&(stream.ring.bytes(), id)), "sizes are booked");
            let waits = stream.publisher.is_none();
            assert_eq!(waits, stream.resume_until.is_some(), "a stream is fed or waits");
        }
        assert_eq!(bytes, self.cached_bytes, "cached bytes are the sum over the rings");
        assert!(bytes <= self.cache_budget, "the cache keeps its budget");
        assert_eq!(self.by_size.len(), self.by_key.len(), "no size outlives its stream");
        let mut timed = 0;
        for (id, subscriber) in self.subscribers.iter() {
            let id = SubscriberId(id);
            let stream = self.streams.get(subscriber.stream).expect("a subscriber has a stream");
            assert!(stream.subscribers.contains(&id), "a stream knows its subscribers");
            assert!(subscriber.cursor <= stream.ring.end(), "no cursor is beyond the ring");
            if let Place::Timed(due) = subscriber.place {
                timed += 1;
                assert!(self.schedule.is_timed(due, id), "a timed subscriber has its timer");
            }
        }
        assert_eq!(timed, self.schedule.timed_len(), "no timer outlives its subscriber");
    }
}
