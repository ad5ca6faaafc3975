//! The sending half: one uni stream a video frame, audio in datagrams.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use quinn_proto::{Connection, Dir, StreamId, VarInt};
use sightline_relay_proto::codec::MediaKind;
use sightline_relay_proto::hub::{Delivery, Hub, SubscriberId};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::MAX_LAG;
use sightline_relay_proto::report_clock::ReportClock;
use sightline_relay_proto::roq::{Code, Receiver, write};
use sightline_relay_proto::wire::{rtcp, rtp, varint};

use super::budget::Told;
use super::written::{Fields, WrittenFrames, header};
use crate::api::RoqTrack;

/// Streams of one viewer that are not wholly acknowledged, at most; then the hub is not asked for
/// more until some are.
pub(super) const MAX_OPEN_STREAMS: usize = 128;
/// CNAME of our sender reports.
const CNAME: &str = "sightline";

/// One viewer's connection.
pub(super) struct Viewer {
    pub(super) subscriber: SubscriberId,
    flows: Vec<Flow>,
    /// A frame whose stream is not open yet, or not wholly written.
    pending: Option<Pending>,
    /// Streams that are written but not acknowledged, oldest first.
    open: VecDeque<Open>,
    /// Rises at each keyframe: a newer group of pictures overtakes an older one.
    priority: i32,
    reports: ReportClock,
    told: Told,
    /// The hub was left unpolled because the connection was full.
    stalled: bool,
    /// Bytes given to the connection that its driver has not counted.
    pub(super) handed: u64,
    /// Some of that was taken back since the driver looked.
    pub(super) taken_back: bool,
    /// RTCP from the viewer.
    pub(super) receiver: Receiver,
}

struct Flow {
    track: TrackIndex,
    id: u64,
    fields: Fields,
    kind: MediaKind,
    packets: u32,
    octets: u32,
}

struct Pending {
    stream: Option<StreamId>,
    priority: i32,
    /// Flow identifier, then the packets, which other viewers share.
    chunks: [Bytes; 2],
    /// First chunk that is not written.
    at: usize,
    since: Instant,
}

struct Open {
    stream: StreamId,
    since: Instant,
}

impl Viewer {
    /// `indices` are the stream's tracks behind `tracks`.
    pub(super) fn new(
        now: Instant,
        subscriber: SubscriberId,
        tracks: &[(TrackIndex, RoqTrack)],
    ) -> Self {
        let flow = |(track, roq): &(TrackIndex, RoqTrack)| Flow {
            track: *track,
            id: roq.flow,
            fields: Fields { payload_type: roq.payload_type, ssrc: roq.ssrc },
            kind: roq.info.kind(),
            packets: 0,
            octets: 0,
        };
        let mut reports = ReportClock::default();
        reports.start(now);
        Self {
            subscriber,
            flows: tracks.iter().map(flow).collect(),
            pending: None,
            open: VecDeque::new(),
            priority: 0,
            reports,
            told: Told::new(now),
            stalled: false,
            handed: 0,
            taken_back: false,
            receiver: Receiver::new(tracks.iter().map(|(track, roq)| (roq.flow, *track))),
        }
    }

    /// Sends what is due, until nothing is or the connection is full.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        hub: &mut Hub,
        quic: &mut Connection,
        written: &mut WrittenFrames,
    ) {
        self.tell_budget(now, hub, quic);
        self.write_pending(quic);
        loop {
            if self.is_full() {
                self.stalled = true;
                return;
            }
            let Some(delivery) = hub.poll_delivery(now, self.subscriber) else { return };
            self.send(now, quic, &delivery, written);
        }
    }

    /// The connection can take more: goes on with the frame in progress, and tells the hub.
    pub(super) fn writable(&mut self, now: Instant, hub: &mut Hub, quic: &mut Connection) {
        self.write_pending(quic);
        if self.stalled && !self.is_full() {
            self.stalled = false;
            hub.resume(now, self.subscriber);
        }
    }

    /// The peer has a stream wholly, or does not want it.
    pub(super) fn stream_ended(&mut self, stream: StreamId) {
        self.open.retain(|open| open.stream != stream);
        if self.pending.as_ref().is_some_and(|pending| pending.stream == Some(stream)) {
            self.pending = None;
        }
    }

    /// The peer asked us to stop a stream. The next frame goes on another one.
    pub(super) fn stream_stopped(&mut self, quic: &mut Connection, stream: StreamId) {
        self.taken_back = true;
        // A stream that has ended in the meantime needs no reset.
        let _ = quic.send_stream(stream).reset(cancelled());
        self.stream_ended(stream);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let stale = self.oldest().filter(|_| self.stalled);
        self.reports.due().into_iter().chain(stale.map(|since| since + MAX_LAG)).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, hub: &mut Hub, quic: &mut Connection) {
        if self.stalled {
            self.drop_stale(now, quic);
            self.writable(now, hub, quic);
        }
        if self.reports.take(now) {
            self.report(now, hub, quic);
        }
        self.tell_budget(now, hub, quic);
    }

    /// Tells the hub what the connection carries, if that is a limit or was one.
    fn tell_budget(&mut self, now: Instant, hub: &mut Hub, quic: &Connection) {
        if let Some(budget) = self.told.news(now, self.oldest(), quic) {
            hub.set_budget(now, self.subscriber, budget);
        }
    }

    /// When the oldest frame that is not wholly acknowledged was handed over.
    fn oldest(&self) -> Option<Instant> {
        let oldest = self.open.front().map(|open| open.since);
        let waiting = self.pending.as_ref().map(|pending| pending.since);
        oldest.into_iter().chain(waiting).min()
    }

    /// Whether the connection takes all that it is given.
    pub(super) fn is_at_ease(&self) -> bool {
        !self.stalled && self.pending.is_none() && self.open.len() < MAX_OPEN_STREAMS / 2
    }

    fn is_full(&self) -> bool {
        self.pending.is_some() || self.open.len() >= MAX_OPEN_STREAMS
    }

    /// Resets frames that a blocked connection has held longer than the lag bound.
    fn drop_stale(&mut self, now: Instant, quic: &mut Connection) {
        let stale = |since: Instant| now >= since + MAX_LAG;
        while let Some(open) = self.open.pop_front_if(|open| stale(open.since)) {
            self.taken_back = true;
            let _ = quic.send_stream(open.stream).reset(cancelled());
        }
        if let Some(pending) = self.pending.take_if(|pending| stale(pending.since))
            && let Some(stream) = pending.stream
        {
            self.taken_back = true;
            let _ = quic.send_stream(stream).reset(cancelled());
        }
    }

    fn send(
        &mut self,
        now: Instant,
        quic: &mut Connection,
        delivery: &Delivery,
        written: &mut WrittenFrames,
    ) {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.track == delivery.track) else {
            return;
        };
        let frame = &delivery.frame;
        flow.packets = flow.packets.wrapping_add(frame.payloads.len() as u32);
        flow.octets = flow.octets.wrapping_add(frame.bytes() as u32);
        if flow.kind == MediaKind::Audio && send_datagrams(quic, flow, delivery) {
            self.handed += frame.bytes() as u64;
            return;
        }
        if frame.descriptor.keyframe && flow.kind == MediaKind::Video {
            self.priority = self.priority.saturating_add(1);
        }
        let mut head = Vec::with_capacity(write::MAX_OVERHEAD);
        varint::write(flow.id, &mut head);
        let chunks = [head.into(), written.packets(delivery, flow.fields)];
        let priority = self.priority;
        self.pending = Some(Pending { stream: None, priority, chunks, at: 0, since: now });
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
        }
        while pending.at < pending.chunks.len() {
            match out.write_chunks(&mut pending.chunks[pending.at..]) {
                Ok(written) => {
                    pending.at += written.chunks;
                    self.handed += written.bytes as u64;
                }
                Err(quinn_proto::WriteError::Blocked) => {
                    self.pending = Some(pending);
                    return;
                }
                // Stopped or closed: the frame is not wanted.
                Err(_) => {
                    let _ = out.reset(cancelled());
                    return;
                }
            }
        }
        if out.finish().is_ok() {
            self.open.push_back(Open { stream, since: pending.since });
        }
    }

    fn report(&mut self, now: Instant, hub: &Hub, quic: &mut Connection) {
        let unix_now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for flow in &self.flows {
            let Some(info) = hub.sender_info(now, unix_now, self.subscriber, flow.track) else {
                continue;
            };
            let mut report = Vec::with_capacity(80);
            let (packets, octets) = (flow.packets, flow.octets);
            rtcp::write_sender_report(&mut report, flow.fields.ssrc, info, packets, octets, CNAME);
            send_rtcp(quic, flow.id, &report);
        }
    }
}

/// Sends RTCP in a datagram, or on a stream of its own to a peer without datagrams. Lost if both
/// are full: a newer report follows.
pub(super) fn send_rtcp(quic: &mut Connection, flow: u64, packet: &[u8]) {
    let mut out = Vec::with_capacity(packet.len() + write::MAX_OVERHEAD);
    write::datagram(flow, packet, &mut out);
    if quic.datagrams().send(out.into(), true).is_ok() {
        return;
    }
    // Another one follows a lost one.
    let _ = send_rtcp_stream(quic, flow, packet);
}

/// Sends RTCP on a stream of its own, which brings it for certain while the connection lives. `false`
/// if the peer allows no stream now, or has no room for what is on it.
pub(super) fn send_rtcp_stream(quic: &mut Connection, flow: u64, packet: &[u8]) -> bool {
    let Some(stream) = quic.streams().open(Dir::Uni) else { return false };
    let mut out = Vec::with_capacity(packet.len() + write::MAX_OVERHEAD);
    varint::write(flow, &mut out);
    write::stream_packet(packet, &mut out);
    let mut stream = quic.send_stream(stream);
    if stream.write(&out).is_ok_and(|written| written == out.len()) {
        return stream.finish().is_ok();
    }
    let _ = stream.reset(cancelled());
    false
}

fn cancelled() -> VarInt {
    VarInt::from_u32(Code::FrameCancelled.wire())
}

/// `false` if a packet does not fit a datagram now, so that the frame goes on a stream.
fn send_datagrams(quic: &mut Connection, flow: &Flow, delivery: &Delivery) -> bool {
    let longest = delivery.frame.payloads.iter().map(Bytes::len).max().unwrap_or(0);
    let room = quic.datagrams().max_size().unwrap_or(0);
    if longest + rtp::HEADER_LEN + write::MAX_OVERHEAD > room {
        return false;
    }
    for (at, payload) in delivery.frame.payloads.iter().enumerate() {
        let mut out = Vec::with_capacity(payload.len() + rtp::HEADER_LEN + write::MAX_OVERHEAD);
        varint::write(flow.id, &mut out);
        out.extend_from_slice(&header(delivery, flow.fields, at));
        out.extend_from_slice(payload);
        // Room was checked, and older datagrams make way: an error means that the peer is gone.
        if quic.datagrams().send(out.into(), true).is_err() {
            return at > 0;
        }
    }
    true
}
