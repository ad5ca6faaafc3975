//! The sending half: one uni stream a video frame, audio in datagrams. A viewer that allows us no
//! streams gets the picture in datagrams too.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use quinn_proto::{Connection, Dir, StreamId, VarInt};
use sightline_relay_proto::codec::MediaKind;
use sightline_relay_proto::hub::{Delivery, Hub, SubscriberId};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::limits::MAX_LAG;
use sightline_relay_proto::report_clock::ReportClock;
use sightline_relay_proto::roq::{Code, Receiver, write};
use sightline_relay_proto::wire::{rtcp, varint};

use super::budget::Told;
use super::written::{Fields, Form, Written, WrittenFrames};
use crate::api::RoqTrack;

/// Streams of one viewer that are not wholly acknowledged, at most; then the hub is not asked for
/// more until some are.
pub(super) const MAX_OPEN_STREAMS: usize = 128;
/// Bytes of a connection's queue of datagrams that pictures leave to sound and reports.
const SOUND_ROOM: usize = 8 * 1024;
/// CNAME of our sender reports.
const CNAME: &str = "sightline";

/// One viewer's connection.
pub(super) struct Viewer {
    pub(super) subscriber: SubscriberId,
    flows: Vec<Flow>,
    /// How pictures are sent.
    form: Form,
    /// A stream that is open and has nothing on it.
    spare: Option<StreamId>,
    /// A frame that the connection has not taken wholly.
    pending: Option<Pending>,
    /// Streams that are written but not acknowledged, oldest first.
    open: VecDeque<Open>,
    /// Rises at each keyframe: a newer group of pictures overtakes an older one.
    priority: i32,
    /// Datagrams that wait, and since when some do.
    queue: Queue,
    reports: ReportClock,
    told: Told,
    /// The hub was left unpolled because the connection was full.
    stalled: bool,
    /// Bytes given to the connection that its driver has not counted.
    pub(super) handed: u64,
    /// Some of that was taken back since the driver looked.
    pub(super) taken_back: bool,
    /// A picture fits no datagram of the path, and there is no stream for it.
    pub(super) too_long: bool,
    /// RTCP from the viewer.
    pub(super) receiver: Receiver,
}

struct Flow {
    track: TrackIndex,
    fields: Fields,
    kind: MediaKind,
    packets: u32,
    octets: u32,
}

struct Pending {
    form: Form,
    stream: Option<StreamId>,
    priority: i32,
    /// What is not written yet of a stream; all of what goes in datagrams.
    frame: Written,
    /// First packet that is not in a datagram.
    at: usize,
    since: Instant,
}

/// What is seen of a connection's queue of datagrams, whose acknowledgements nobody tells us.
struct Queue {
    /// Bytes of room when nothing waits.
    room: usize,
    /// When a picture was put in last.
    last: Instant,
    /// The picture from which on something has always waited.
    since: Option<Instant>,
}

impl Queue {
    /// Another picture comes.
    fn look(&mut self, now: Instant, quic: &mut Connection) {
        let waits = quic.datagrams().send_buffer_space() < self.room;
        self.since = waits.then(|| self.since.unwrap_or(self.last));
        self.last = now;
    }

    /// No picture comes, but what waited may be gone.
    fn look_again(&mut self, quic: &mut Connection) {
        self.since = self.since.filter(|_| quic.datagrams().send_buffer_space() < self.room);
    }
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
        quic: &mut Connection,
    ) -> Self {
        let flow = |(track, roq): &(TrackIndex, RoqTrack)| Flow {
            track: *track,
            fields: Fields { flow: roq.flow, payload_type: roq.payload_type, ssrc: roq.ssrc },
            kind: roq.info.kind(),
            packets: 0,
            octets: 0,
        };
        let mut reports = ReportClock::default();
        reports.start(now);
        let spare = quic.streams().open(Dir::Uni);
        Self {
            subscriber,
            flows: tracks.iter().map(flow).collect(),
            form: if spare.is_some() { Form::Stream } else { Form::Datagrams },
            spare,
            pending: None,
            open: VecDeque::new(),
            priority: 0,
            queue: Queue { room: quic.datagrams().send_buffer_space(), last: now, since: None },
            reports,
            told: Told::new(now),
            stalled: false,
            handed: 0,
            taken_back: false,
            too_long: false,
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

    /// The peer allows streams now: the next picture goes on one.
    pub(super) fn allow_streams(&mut self) {
        (self.form, self.queue.since) = (Form::Stream, None);
    }

    /// What was queued has been sent: goes on with a picture that had no room. Whether some of it did.
    pub(super) fn refill(&mut self, now: Instant, hub: &mut Hub, quic: &mut Connection) -> bool {
        self.queue.look_again(quic);
        let waits = |pending: &Pending| pending.form == Form::Datagrams;
        let before = self.handed;
        if self.pending.as_ref().is_some_and(waits) {
            self.writable(now, hub, quic);
        }
        self.handed > before
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
        let stale = self.oldest_frame().filter(|_| self.stalled);
        self.reports.due().into_iter().chain(stale.map(|since| since + MAX_LAG)).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, hub: &mut Hub, quic: &mut Connection) {
        if self.stalled {
            self.drop_stale(now, quic);
            self.writable(now, hub, quic);
        }
        // Before the report, which waits in the same queue.
        self.tell_budget(now, hub, quic);
        if self.reports.take(now) {
            self.report(now, hub, quic);
        }
    }

    /// Tells the hub what the connection carries, if that is a limit or was one.
    fn tell_budget(&mut self, now: Instant, hub: &mut Hub, quic: &mut Connection) {
        self.queue.look_again(quic);
        if let Some(budget) = self.told.news(now, self.oldest(), quic) {
            hub.set_budget(now, self.subscriber, budget);
        }
    }

    /// When the oldest frame was handed over that is not wholly acknowledged, or not sent if it goes in
    /// datagrams.
    fn oldest(&self) -> Option<Instant> {
        self.oldest_frame().into_iter().chain(self.queue.since).min()
    }

    /// The same of the frames that can be taken back.
    fn oldest_frame(&self) -> Option<Instant> {
        let open = self.open.front().map(|open| open.since);
        open.into_iter().chain(self.pending.as_ref().map(|pending| pending.since)).min()
    }

    /// Whether the connection takes all that it is given.
    pub(super) fn is_at_ease(&self) -> bool {
        let waits = self.stalled || self.pending.is_some() || self.queue.since.is_some();
        !waits && self.open.len() < MAX_OPEN_STREAMS / 2
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
        if flow.kind == MediaKind::Audio {
            let sound = written.frame(delivery, flow.fields, Form::Datagrams);
            // Older sound makes way for newer, but sound not for pictures that wait.
            if let Some(queued) = send_sound(quic, &sound, self.form == Form::Stream) {
                self.handed += queued;
                return;
            }
        }
        if frame.descriptor.keyframe && flow.kind == MediaKind::Video {
            self.priority = self.priority.saturating_add(1);
        }
        if self.form == Form::Datagrams {
            self.queue.look(now, quic);
        }
        let (form, priority) = (self.form, self.priority);
        let frame = written.frame(delivery, flow.fields, form);
        self.pending = Some(Pending { form, stream: None, priority, frame, at: 0, since: now });
        self.write_pending(quic);
    }

    fn write_pending(&mut self, quic: &mut Connection) {
        let Some(pending) = self.pending.take() else { return };
        match pending.form {
            Form::Stream => self.write_stream(quic, pending),
            Form::Datagrams => self.queue_datagrams(quic, pending),
        }
    }

    fn write_stream(&mut self, quic: &mut Connection, mut pending: Pending) {
        let free = || self.spare.take().or_else(|| quic.streams().open(Dir::Uni));
        let Some(stream) = pending.stream.or_else(free) else {
            self.pending = Some(pending);
            return;
        };
        let mut out = quic.send_stream(stream);
        if pending.stream.is_none() {
            let _ = out.set_priority(pending.priority);
            pending.stream = Some(stream);
        }
        while !pending.frame.bytes.is_empty() {
            match out.write_chunks(std::slice::from_mut(&mut pending.frame.bytes)) {
                Ok(written) => self.handed += written.bytes as u64,
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

    /// Queues as many packets of a picture as there is room for.
    fn queue_datagrams(&mut self, quic: &mut Connection, mut pending: Pending) {
        while let Some(packet) = pending.frame.packet(pending.at) {
            let len = packet.len();
            if quic.datagrams().send_buffer_space() < len + SOUND_ROOM {
                self.pending = Some(pending);
                return;
            }
            if quic.datagrams().send(packet, false).is_err() {
                // There is room, so the path or the peer takes none of this length.
                self.too_long = true;
                return;
            }
            self.handed += len as u64;
            pending.at += 1;
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
            send_rtcp(quic, flow.fields.flow, &report);
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

/// How many bytes were queued; `None` if a packet does not fit a datagram now, so that the frame goes on a
/// stream. With `makes_way` the oldest datagrams make way, else sound without room is lost: newer sound
/// follows.
fn send_sound(quic: &mut Connection, sound: &Written, makes_way: bool) -> Option<u64> {
    if sound.longest() > quic.datagrams().max_size().unwrap_or(0) {
        return None;
    }
    let mut queued = 0;
    for packet in (0..).map_while(|at| sound.packet(at)) {
        let len = packet.len() as u64;
        if quic.datagrams().send(packet, makes_way).is_ok() {
            queued += len;
        }
    }
    Some(queued)
}
