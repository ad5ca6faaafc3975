//! Streams, their publishers and their subscribers.
//!
//! The hub owns every stream of one worker. Transports put RTP in with [`Hub::handle_rtp`]; the hub
//! tells through [`Hub::poll_ready`] which subscribers have frames due, and [`Hub::poll_delivery`]
//! hands them out one by one. Nothing is queued per subscriber: a subscriber is a cursor into the
//! stream's ring, so a slow one costs its own lag and nothing else.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::codec::TrackInfo;
use crate::frame::{Frame, Protection};
use crate::ids::{StreamKey, TrackIndex};

/// A publisher's place in the hub. Never reused within one hub's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PublisherId(pub u64);

/// A subscriber's place in the hub. Never reused within one hub's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SubscriberId(pub u64);

/// What a publisher announces.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The stream it feeds.
    pub key: StreamKey,
    /// Its tracks, at most [`crate::limits::MAX_TRACKS`].
    pub tracks: Vec<TrackInfo>,
    /// Open, or sealed with its first generation.
    pub protection: Protection,
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
}

/// Sender report facts: a wall clock and the RTP timestamp of the same instant (RFC 3550, 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// NTP time, seconds since 1900 in the upper 32 bits.
    pub ntp: u64,
    /// RTP timestamp of that instant.
    pub rtp: u32,
}

/// One frame for one subscriber, placed on the subscriber's own timeline.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The shared frame.
    pub frame: Arc<Frame>,
    /// Track in the stream.
    pub track: TrackIndex,
    /// RTP sequence number of the first packet for this subscriber.
    pub seq: u16,
    /// RTP timestamp for this subscriber.
    pub timestamp: u32,
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
    /// A stream went live (first frame) or offline (no publisher any more, resume time over).
    Presence {
        /// Which.
        key: StreamKey,
        /// Live or not.
        live: bool,
    },
}

/// Which tracks a subscriber wants, by index; at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Tracks to deliver.
    pub tracks: Vec<TrackIndex>,
}

/// Plain counters, exported by the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HubStats {
    /// Streams with a publisher or waiting for one to come back.
    pub streams: u64,
    /// Subscribers.
    pub subscribers: u64,
    /// RTP packets taken in.
    pub packets_in: u64,
    /// RTP packets refused as malformed, late or too large.
    pub packets_dropped: u64,
    /// Frames stored.
    pub frames_in: u64,
    /// Frames lost before ingest could complete them.
    pub frames_lost: u64,
    /// Times a slow subscriber skipped to a keyframe.
    pub skips: u64,
    /// Bytes held in rings.
    pub cached_bytes: u64,
}

/// Every stream of one worker.
#[derive(Default)]
pub struct Hub {}

#[allow(unused_variables, reason = "signatures stand before their bodies")]
impl Hub {
    /// An empty hub. `seed` drives every random choice (SSRCs, first sequence numbers).
    pub fn new(seed: u64) -> Self {
        todo!()
    }
    /// Starts a publication, or resumes one whose stream waits for its publisher.
    pub fn publish(
        &mut self,
        now: Instant,
        publication: Publication,
    ) -> Result<PublisherId, PublishError> {
        todo!()
    }
    /// The publisher's transport has ended; the stream waits [`crate::limits::PUBLISHER_RESUME`].
    pub fn unpublish(&mut self, now: Instant, publisher: PublisherId) {
        todo!()
    }
    /// One RTP packet (header and payload) of a publisher's track.
    pub fn handle_rtp(
        &mut self,
        now: Instant,
        publisher: PublisherId,
        track: TrackIndex,
        packet: Bytes,
    ) {
        todo!()
    }
    /// A publisher's sender report for a track.
    pub fn handle_sender_report(
        &mut self,
        now: Instant,
        publisher: PublisherId,
        track: TrackIndex,
        info: SenderInfo,
    ) {
        todo!()
    }
    /// Tracks of a live stream.
    pub fn tracks(&self, key: &StreamKey) -> Option<&[TrackInfo]> {
        todo!()
    }
    /// SSRC of a track's canonical timeline.
    pub fn ssrc(&self, key: &StreamKey, track: TrackIndex) -> Option<u32> {
        todo!()
    }
    /// Attaches a viewer at the newest cached keyframe.
    pub fn subscribe(
        &mut self,
        now: Instant,
        key: &StreamKey,
        selection: Selection,
    ) -> Result<SubscriberId, SubscribeError> {
        todo!()
    }
    /// Detaches a viewer.
    pub fn unsubscribe(&mut self, subscriber: SubscriberId) {
        todo!()
    }
    /// A subscriber with frames due now; each is named once until it is polled dry and has new work.
    pub fn poll_ready(&mut self, now: Instant) -> Option<SubscriberId> {
        todo!()
    }
    /// The next due frame of a subscriber, skipping to a keyframe if it lags too far.
    pub fn poll_delivery(&mut self, now: Instant, subscriber: SubscriberId) -> Option<Delivery> {
        todo!()
    }
    /// A frame that a viewer's transport could not take wholly is not given back; a full transport
    /// simply stops polling and calls this when it is writable again.
    pub fn resume(&mut self, now: Instant, subscriber: SubscriberId) {
        todo!()
    }
    /// A packet that this subscriber was sent lately, by its own sequence number.
    pub fn resend(
        &self,
        now: Instant,
        subscriber: SubscriberId,
        track: TrackIndex,
        seq: u16,
    ) -> Option<Resend> {
        todo!()
    }
    /// What an RTCP sender report to this subscriber says now; `unix_now` is the wall clock.
    pub fn sender_info(
        &self,
        now: Instant,
        unix_now: std::time::Duration,
        subscriber: SubscriberId,
        track: TrackIndex,
    ) -> Option<SenderInfo> {
        todo!()
    }
    /// A viewer asks for a keyframe of a track.
    pub fn request_keyframe(&mut self, now: Instant, subscriber: SubscriberId, track: TrackIndex) {
        todo!()
    }
    /// Next thing the shell must know.
    pub fn poll_event(&mut self) -> Option<HubEvent> {
        todo!()
    }
    /// When [`Hub::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    /// Counters.
    pub fn stats(&self) -> HubStats {
        todo!()
    }
}
