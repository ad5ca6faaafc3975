//! The sending half of a WebTransport session: a uni stream for each group of pictures, one for
//! each track of sound.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{Connection, Dir, StreamId, WriteError};
use sightline_relay_proto::codec::MediaKind;
use sightline_relay_proto::gop_stream;
use sightline_relay_proto::hub::{Delivery, Hub, SubscriberId};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::MAX_LAG;

use super::h3::{SessionCode, stream_prefix};
use crate::items::Items;
use crate::roq::budget::Told;

/// Streams of one viewer that are finished and not wholly acknowledged, at most; then the hub is not
/// asked for more until some are.
pub(super) const MAX_OPEN_STREAMS: usize = 16;
/// Bytes of unacknowledged stream data kept for one viewer: what it lags is known when this is full.
pub(super) const SEND_WINDOW: u64 = 512 * 1024;
/// Sound goes out before pictures.
const SOUND_PRIORITY: i32 = i32::MAX;

/// One session's media.
pub(in crate::roq) struct Viewer {
    pub(in crate::roq) subscriber: SubscriberId,
    /// Before the first byte of each of our streams.
    prefix: Vec<u8>,
    tracks: Vec<Track>,
    /// An item that is not wholly written.
    pending: Option<Pending>,
    /// Streams that are finished but not acknowledged, oldest first.
    open: VecDeque<(StreamId, Instant)>,
    /// Rises at each keyframe: a newer group of pictures overtakes an older one.
    priority: i32,
    told: Told,
    /// The hub was left unpolled because the connection was full.
    stalled: bool,
    /// Since when the connection has had more than it could send.
    behind: Option<Instant>,
    /// Bytes given to the connection that its driver has not counted.
    pub(super) handed: u64,
    /// Some of that was taken back since the driver looked.
    pub(super) taken_back: bool,
}

struct Track {
    index: TrackIndex,
    kind: MediaKind,
    /// Stream of the group of pictures in progress, or of the sound.
    stream: Option<StreamId>,
}

struct Pending {
    /// Place of its track.
    track: usize,
    /// `None`: no stream could be opened yet.
    stream: Option<StreamId>,
    priority: i32,
    chunks: [Bytes; 2],
    /// First chunk that is not written.
    at: usize,
    since: Instant,
}

impl Viewer {
    /// For the session on stream `session`.
    pub(super) fn new(
        now: Instant,
        session: StreamId,
        subscriber: SubscriberId,
        tracks: impl Iterator<Item = (TrackIndex, MediaKind)>,
    ) -> Self {
        Self {
            subscriber,
            prefix: stream_prefix(session),
            tracks: tracks.map(|(index, kind)| Track { index, kind, stream: None }).collect(),
            pending: None,
            open: VecDeque::new(),
            priority: 0,
            told: Told::new(now),
            stalled: false,
            behind: None,
            handed: 0,
            taken_back: false,
        }
    }

    /// Sends what is due, until nothing is or the connection is full.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        hub: &mut Hub,
        quic: &mut Connection,
        items: &mut Items<Bytes>,
    ) {
        self.tell_budget(now, hub, quic);
        self.write_pending(quic);
        loop {
            if self.is_full() {
                self.stalled = true;
                return;
            }
            let Some(delivery) = hub.poll_delivery(now, self.subscriber) else { return };
            self.send(now, quic, &delivery, items);
        }
    }

    /// The connection can take more: goes on with the item in progress, and tells the hub.
    pub(super) fn writable(&mut self, now: Instant, hub: &mut Hub, quic: &mut Connection) {
        self.write_pending(quic);
        if self.stalled && !self.is_full() {
            self.stalled = false;
            hub.resume(now, self.subscriber);
        }
    }

    /// The peer has a stream wholly.
    pub(super) fn stream_finished(&mut self, stream: StreamId) {
        self.open.retain(|(open, _)| *open != stream);
    }

    /// The peer does not want the rest of a stream: of a picture, the next group comes on another.
    pub(super) fn stream_stopped(&mut self, quic: &mut Connection, stream: StreamId) {
        self.reset(quic, stream);
        self.open.retain(|(open, _)| *open != stream);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let stalled = self.oldest().filter(|_| self.stalled);
        stalled.into_iter().chain(self.behind).min().map(|since| since + MAX_LAG)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, hub: &mut Hub, quic: &mut Connection) {
        self.drop_stale(now, quic);
        if self.stalled {
            self.writable(now, hub, quic);
        }
        self.tell_budget(now, hub, quic);
    }

    /// Takes back all that is on its way.
    pub(in crate::roq) fn abandon(&mut self, quic: &mut Connection) {
        let current = self.tracks.iter().filter_map(|track| track.stream);
        let all: Vec<_> = current.chain(self.open.drain(..).map(|(stream, _)| stream)).collect();
        for stream in all {
            self.reset(quic, stream);
        }
    }

    fn tell_budget(&mut self, now: Instant, hub: &mut Hub, quic: &Connection) {
        if let Some(budget) = self.told.news(now, self.oldest(), quic) {
            hub.set_budget(now, self.subscriber, budget);
        }
    }

    /// Since when the connection has been behind, if it is.
    fn oldest(&self) -> Option<Instant> {
        let oldest = self.open.front().map(|(_, since)| *since);
        let waiting = self.pending.as_ref().map(|pending| pending.since);
        oldest.into_iter().chain(waiting).chain(self.behind).min()
    }

    /// Whether the connection takes all that it is given.
    pub(super) fn is_at_ease(&self) -> bool {
        !self.stalled && self.pending.is_none() && self.open.len() < MAX_OPEN_STREAMS / 2
    }

    fn is_full(&self) -> bool {
        self.pending.is_some() || self.open.len() >= MAX_OPEN_STREAMS
    }

    /// Hears how much of what was handed over is not sent.
    pub(super) fn note_unsent(&mut self, now: Instant, bytes: u64) {
        self.behind = (bytes > 0).then(|| self.behind.unwrap_or(now));
    }

    /// Resets streams that the connection has held longer than the lag bound.
    fn drop_stale(&mut self, now: Instant, quic: &mut Connection) {
        let stale = |since: Instant| now >= since + MAX_LAG;
        if self.behind.take_if(|since| stale(*since)).is_some() {
            self.abandon(quic);
        }
        while let Some((stream, _)) = self.open.pop_front_if(|(_, since)| stale(*since)) {
            self.reset(quic, stream);
        }
        let Some(pending) = self.pending.take_if(|pending| stale(pending.since)) else { return };
        if let Some(stream) = pending.stream {
            self.reset(quic, stream);
        }
    }

    /// Gives a stream up. Whose group of pictures it was waits for a keyframe.
    fn reset(&mut self, quic: &mut Connection, stream: StreamId) {
        self.taken_back = true;
        // A stream that has ended in the meantime needs no reset.
        let _ = quic.send_stream(stream).reset(SessionCode::Skipped.wire());
        if self.pending.as_ref().is_some_and(|pending| pending.stream == Some(stream)) {
            self.pending = None;
        }
        for track in &mut self.tracks {
            track.stream = track.stream.filter(|current| *current != stream);
        }
    }

    fn send(
        &mut self,
        now: Instant,
        quic: &mut Connection,
        delivery: &Delivery,
        items: &mut Items<Bytes>,
    ) {
        let found = self.tracks.iter().position(|track| track.index == delivery.track);
        let Some(at) = found else { return };
        let track = &mut self.tracks[at];
        let sound = track.kind == MediaKind::Audio;
        if delivery.frame.descriptor.keyframe && !sound {
            if let Some(last) = track.stream.take()
                && quic.send_stream(last).finish().is_ok()
            {
                self.open.push_back((last, now));
            }
            self.priority = self.priority.saturating_add(1);
        } else if track.stream.is_none() && !sound {
            // The rest of a group whose stream was given up.
            return;
        }
        let Some(item) = items.item(&delivery.frame) else { return };
        let mut head = Vec::new();
        if track.stream.is_none() {
            head.extend_from_slice(&self.prefix);
            gop_stream::stream_head(track.index, &mut head);
        }
        let priority = if sound { SOUND_PRIORITY } else { self.priority };
        self.pending = Some(Pending {
            track: at,
            stream: track.stream,
            priority,
            chunks: [head.into(), item],
            at: 0,
            since: now,
        });
        self.write_pending(quic);
    }

    fn write_pending(&mut self, quic: &mut Connection) {
        let Some(mut pending) = self.pending.take() else { return };
        let Some(stream) = pending.stream.or_else(|| quic.streams().open(Dir::Uni)) else {
            self.pending = Some(pending);
            return;
        };
        let mut out = quic.send_stream(stream);
        if pending.stream.is_none() {
            let _ = out.set_priority(pending.priority);
            pending.stream = Some(stream);
            self.tracks[pending.track].stream = Some(stream);
        }
        while pending.at < pending.chunks.len() {
            match out.write_chunks(&mut pending.chunks[pending.at..]) {
                Ok(written) => {
                    pending.at += written.chunks;
                    self.handed += written.bytes as u64;
                }
                Err(WriteError::Blocked) => {
                    self.pending = Some(pending);
                    return;
                }
                // Stopped or closed: the rest of the group is not wanted.
                Err(_) => return self.reset(quic, stream),
            }
        }
    }
}
