//! Mirrors: how viewers in one hub watch a stream that another hub is fed with.
//!
//! Workers share nothing but frames. The hub that has the publisher is the stream's home; it copies
//! what it stores of a followed stream out through [`Hub::take_copied`], and another worker's hub puts
//! it into a mirror. A mirror has the SSRCs, the numbering and the clock of its home, so a viewer
//! cannot tell where it is served. Until the home's cache has come a mirror only fills: its viewers
//! start when it has.

use std::sync::Arc;
use std::time::Instant;

use super::stream::{Attached, Origin, Stream};
use super::track::Track;
use super::{EndReason, Hub, HubEvent, PublisherId, SenderInfo, StreamId, SubscriberId};
use crate::codec::TrackInfo;
use crate::frame::{Frame, Mode};
use crate::ids::{StreamKey, TrackIndex};
use crate::ingest::TrackIngest;

/// What a mirror must know of a stream before any frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamFacts {
    /// Its tracks.
    pub tracks: Vec<TrackInfo>,
    /// SSRC of each track's canonical timeline.
    pub ssrcs: Vec<u32>,
    /// Open or sealed.
    pub mode: Mode,
    /// Whether its publisher understands keyframe requests.
    pub takes_keyframe_requests: bool,
}

/// Something that happened in a followed stream.
#[derive(Clone, Debug)]
pub enum Copied {
    /// A frame was stored.
    Frame(Arc<Frame>),
    /// The publisher's clock mapping of a track, on the canonical timeline, as of `at`.
    Report {
        /// The track.
        track: TrackIndex,
        /// The mapping.
        info: SenderInfo,
        /// When it was told.
        at: Instant,
    },
    /// Another publisher goes on with the stream: the clock mapping is void, and pictures refer to
    /// nothing that came before.
    Resumed,
}

impl Hub {
    /// The stream that a publisher feeds.
    pub fn stream_of(&self, publisher: PublisherId) -> Option<StreamId> {
        self.publishers.get(publisher.0).map(|id| StreamId(*id))
    }

    /// What a mirror of this stream must know.
    pub fn facts(&self, stream: StreamId) -> Option<StreamFacts> {
        let stream = self.streams.get(stream.0)?;
        Some(StreamFacts {
            tracks: stream.infos.clone(),
            ssrcs: stream.tracks.iter().map(|track| track.ssrc).collect(),
            mode: stream.mode,
            takes_keyframe_requests: stream.publisher.is_some_and(|it| it.takes_keyframe_requests),
        })
    }

    /// What is cached of a stream and its clock mappings, to fill a mirror with; from now on the
    /// stream is copied out. `None` if it has ended.
    pub fn follow(&mut self, stream: StreamId) -> Option<Vec<Copied>> {
        let stream = self.streams.get_mut(stream.0)?;
        stream.followed = true;
        let frames = (stream.ring.start()..stream.ring.end()).filter_map(|at| stream.ring.get(at));
        let mut backlog: Vec<_> = frames.map(|frame| Copied::Frame(Arc::clone(frame))).collect();
        for (index, track) in (0..).zip(&stream.tracks) {
            if let Some((info, at)) = track.report() {
                backlog.push(Copied::Report { track: TrackIndex(index), info, at });
            }
        }
        Some(backlog)
    }

    /// Nobody follows a stream any more.
    pub fn unfollow(&mut self, stream: StreamId) {
        if let Some(stream) = self.streams.get_mut(stream.0) {
            stream.followed = false;
        }
    }

    /// What happened in followed streams since the last call, in order.
    pub fn take_copied(&mut self) -> std::vec::Drain<'_, (StreamId, Copied)> {
        self.copied.drain(..)
    }

    /// A viewer of a mirror wants a keyframe of this stream.
    pub fn request_keyframe_for_mirror(
        &mut self,
        now: Instant,
        stream: StreamId,
        track: TrackIndex,
    ) {
        self.ask_keyframe(now, stream.0, track, false);
        self.reschedule(stream.0);
    }

    /// Ends a stream whose device now publishes into another hub.
    pub fn give_up(&mut self, stream: StreamId) {
        if let Some(publisher) = self.streams.get(stream.0).and_then(|stream| stream.publisher) {
            self.publishers.remove(publisher.id.0);
            self.events.push_back(HubEvent::PublisherReplaced { publisher: publisher.id });
        }
        self.end_stream(stream.0, EndReason::TracksChanged);
        self.check_invariants();
    }

    /// Makes a mirror, which then fills. A stream of that key must not be in this hub.
    pub fn mirror(&mut self, key: StreamKey, facts: &StreamFacts) -> StreamId {
        let tracks = (0..).zip(facts.tracks.iter().zip(&facts.ssrcs));
        let tracks = tracks.map(|(index, (info, ssrc))| {
            // Frames come whole: this ingest never sees a packet.
            let index = TrackIndex(index);
            let ingest = TrackIngest::new(index, info.clone(), false, 0, 0);
            Track::new(info.clone(), ingest, *ssrc)
        });
        let mut stream = Stream::new(key.clone(), facts.mode, tracks.collect());
        stream.origin = Origin::Mirror { filled: false };
        let id = self.streams.insert(stream);
        let publisher = PublisherId(self.publishers.insert(id));
        if let Some(stream) = self.streams.get_mut(id) {
            let takes_keyframe_requests = facts.takes_keyframe_requests;
            stream.publisher = Some(Attached { id: publisher, takes_keyframe_requests });
        }
        self.by_key.insert(key, id);
        self.by_size.insert((0, id));
        self.mirrors += 1;
        self.check_invariants();
        StreamId(id)
    }

    /// The home's cache has come: viewers start as they would have started there.
    pub fn fill(&mut self, now: Instant, mirror: StreamId, backlog: Vec<Copied>) {
        let Some(stream) = self.streams.get_mut(mirror.0).filter(|stream| stream.is_filling())
        else {
            return;
        };
        stream.origin = Origin::Mirror { filled: true };
        let before = stream.ring.bytes();
        for item in backlog {
            match item {
                Copied::Frame(frame) => drop(stream.push_frame(frame)),
                Copied::Report { track, info, at } => stream.hear(track, info, at),
                Copied::Resumed => {}
            }
        }
        stream.clear_idle();
        let viewers: Vec<SubscriberId> = stream.subscribers.iter().copied().collect();
        self.account(mirror.0, before);
        self.keep_budget();
        for viewer in viewers {
            self.begin(now, viewer);
        }
        self.reschedule(mirror.0);
        self.check_invariants();
    }

    /// Something happened in the stream that this mirror copies.
    pub fn handle_copied(&mut self, now: Instant, mirror: StreamId, item: Copied) {
        let Some(stream) = self.streams.get_mut(mirror.0).filter(|stream| stream.is_mirror())
        else {
            return;
        };
        match item {
            Copied::Frame(frame) => {
                self.store_frame(now, mirror.0, frame);
                self.reschedule(mirror.0);
            }
            Copied::Report { track, info, at } => stream.hear(track, info, at),
            Copied::Resumed => stream.lose(),
        }
        self.check_invariants();
    }

    /// Frames on their way to this mirror were lost.
    pub fn handle_gap(&mut self, mirror: StreamId) {
        if let Some(stream) = self.streams.get_mut(mirror.0).filter(|stream| stream.is_mirror()) {
            stream.lose();
        }
    }

    /// The mirrored stream has ended, or nobody watches the mirror.
    pub fn end_mirror(&mut self, mirror: StreamId, reason: EndReason) {
        if self.streams.get(mirror.0).is_some_and(Stream::is_mirror) {
            self.end_stream(mirror.0, reason);
        }
        self.check_invariants();
    }

    /// Whether a stream has viewers here.
    pub fn is_watched(&self, stream: StreamId) -> bool {
        self.streams.get(stream.0).is_some_and(|stream| !stream.subscribers.is_empty())
    }

    /// Whether a mirror still waits for its home's cache.
    pub fn is_filling(&self, mirror: StreamId) -> bool {
        self.streams.get(mirror.0).is_some_and(Stream::is_filling)
    }

    /// The stream of a key in this hub: its own, or a mirror.
    pub fn stream_id(&self, key: &StreamKey) -> Option<StreamId> {
        self.by_key.get(key).map(|id| StreamId(*id))
    }

    /// Starts a viewer that waited for a mirror to fill.
    fn begin(&mut self, now: Instant, id: SubscriberId) {
        let Some(subscriber) = self.subscribers.get_mut(id.0) else { return };
        let stream_id = subscriber.stream;
        let Some(stream) = self.streams.get(stream_id) else { return };
        subscriber.cursor = stream.ring.end();
        if let Some(track) = subscriber.start(now, stream) {
            self.ask_keyframe(now, stream_id, track, true);
        }
        self.settle(now, id);
    }
}
