//! The receiving half: a publisher's streams and datagrams in any mix.

use std::time::{Duration, Instant};

use quinn_proto::{Connection, Dir, ReadError, StreamId, VarInt};
use sightline_relay_proto::hub::{Hub, PublisherId};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::roq::{Action, Received, Receiver};
use sightline_relay_proto::wire::{rtcp, rtp};

use super::tls::{PUBLISHER_STREAMS, SLOW_PUBLISHER_STREAMS};
use super::viewer::{send_rtcp, send_rtcp_stream};
use crate::api::RoqTrack;

/// One publisher's connection.
pub(super) struct Feed {
    pub(super) publisher: PublisherId,
    pub(super) receiver: Receiver,
    flows: Vec<Flow>,
    /// Source of our RTCP.
    ssrc: u32,
    pace: Pace,
    /// It is to be told that its device stands differently, as soon as it allows a stream for it.
    news: bool,
}

/// How many streams a publisher opens, which tells how many it needs.
struct Pace {
    /// Begin of the second that counts.
    since: Instant,
    opened: u32,
    /// It has been fast, and may have [`PUBLISHER_STREAMS`] open from then on.
    fast: bool,
}

impl Pace {
    /// Counts streams; `true` once, when they are too many for a slow publisher.
    fn count(&mut self, now: Instant, opened: u32) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.opened) = (now, 0);
        }
        self.opened = self.opened.saturating_add(opened);
        if self.fast || self.opened < SLOW_PUBLISHER_STREAMS {
            return false;
        }
        self.fast = true;
        true
    }
}

struct Flow {
    id: u64,
    /// Source of the publisher's RTP on this track, once some came.
    media_ssrc: Option<u32>,
}

impl Feed {
    pub(super) fn new(
        now: Instant,
        publisher: PublisherId,
        tracks: &[RoqTrack],
        ssrc: u32,
    ) -> Self {
        let index = |(at, track): (usize, &RoqTrack)| (track.flow, TrackIndex(at as u8));
        Self {
            publisher,
            receiver: Receiver::new(tracks.iter().enumerate().map(index)),
            flows: tracks.iter().map(|t| Flow { id: t.flow, media_ssrc: None }).collect(),
            ssrc,
            pace: Pace { since: now, opened: 0, fast: false },
            news: false,
        }
    }

    /// Tells the camera that its device stands differently.
    pub(super) fn tell_news(&mut self, quic: &mut Connection) {
        self.news = true;
        self.tell_waiting(quic);
    }

    /// Tells it now, if that waits. One packet tells of all that happened before it.
    pub(super) fn tell_waiting(&mut self, quic: &mut Connection) {
        let Some(flow) = self.flows.first().filter(|_| self.news) else { return };
        let mut packet = Vec::with_capacity(12);
        rtcp::write_app(&mut packet, self.ssrc, rtcp::DEVICE_NEWS);
        self.news = !send_rtcp_stream(quic, flow.id, &packet);
    }

    /// Takes new streams and reads what they hold.
    pub(super) fn accept(&mut self, now: Instant, quic: &mut Connection) {
        let opened = accept_streams(now, quic, &mut self.receiver);
        if self.pace.count(now, opened) {
            let streams = VarInt::from_u32(PUBLISHER_STREAMS);
            quic.set_max_concurrent_streams(Dir::Uni, streams);
        }
    }

    /// Hands received packets to the hub.
    pub(super) fn feed(&mut self, now: Instant, hub: &mut Hub) {
        while let Some(Received { track, packet }) = self.receiver.poll_packet() {
            if rtp::is_rtcp(&packet) {
                let publisher = self.publisher;
                rtcp::parse(&packet, |packet| {
                    if let rtcp::Rtcp::SenderReport { info, .. } = packet {
                        hub.handle_sender_report(now, publisher, track, info);
                    }
                });
                continue;
            }
            if let (Some(flow), Some(ssrc)) =
                (self.flows.get_mut(usize::from(track.0)), packet.get(8..12))
            {
                let ssrc = ssrc.try_into().expect("four bytes were taken");
                flow.media_ssrc = Some(u32::from_be_bytes(ssrc));
            }
            hub.handle_rtp(now, self.publisher, track, packet);
        }
    }

    /// Asks the camera for a keyframe.
    pub(super) fn request_keyframe(&self, quic: &mut Connection, track: TrackIndex) {
        let Some(flow) = self.flows.get(usize::from(track.0)) else { return };
        let mut pli = Vec::with_capacity(12);
        rtcp::write_pli(&mut pli, self.ssrc, flow.media_ssrc.unwrap_or(0));
        send_rtcp(quic, flow.id, &pli);
    }
}

/// Reads every datagram that has arrived.
pub(super) fn read_datagrams(now: Instant, quic: &mut Connection, receiver: &mut Receiver) {
    while let Some(datagram) = quic.datagrams().recv() {
        receiver.handle_datagram(now, datagram);
    }
}

/// Takes new streams and reads what they hold; how many there were.
pub(super) fn accept_streams(now: Instant, quic: &mut Connection, receiver: &mut Receiver) -> u32 {
    let mut opened = 0;
    while let Some(stream) = quic.streams().accept(Dir::Uni) {
        read_stream(now, quic, receiver, stream);
        opened += 1;
    }
    opened
}

/// Reads what a stream holds.
pub(super) fn read_stream(
    now: Instant,
    quic: &mut Connection,
    receiver: &mut Receiver,
    stream: StreamId,
) {
    let name = VarInt::from(stream).into_inner();
    let mut incoming = quic.recv_stream(stream);
    let Ok(mut chunks) = incoming.read(true) else { return };
    let ended = loop {
        match chunks.next(usize::MAX) {
            Ok(Some(chunk)) => {
                receiver.handle_stream(now, name, chunk.bytes);
                if receiver.is_stopping() {
                    break false;
                }
            }
            Ok(None) | Err(ReadError::Reset(_)) => break true,
            Err(ReadError::Blocked) => break false,
        }
    };
    let _ = chunks.finalize();
    if ended {
        receiver.handle_stream_end(name);
    }
    act(quic, receiver);
}

/// Does what the receiver asks for on the connection.
pub(super) fn act(quic: &mut Connection, receiver: &mut Receiver) {
    while let Some(Action::Stop { stream, code }) = receiver.poll_action() {
        let Ok(number) = VarInt::from_u64(stream) else { continue };
        // A stream that has ended in the meantime needs no stop.
        let _ = quic.recv_stream(StreamId::from(number)).stop(VarInt::from_u32(code.wire()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_is_fast_once_it_opens_as_many_streams_in_a_second_as_a_slow_one_may_have() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace { since: start, opened: 0, fast: false };
        // As many, but over more than a second.
        assert!(!pace.count(at(900), SLOW_PUBLISHER_STREAMS - 1));
        assert!(!pace.count(at(1000), 1));
        assert!(!pace.count(at(1900), SLOW_PUBLISHER_STREAMS - 2));
        assert!(pace.count(at(1999), 1));
        assert!(!pace.count(at(1999), 1), "told once");
        assert!(!pace.count(at(5000), SLOW_PUBLISHER_STREAMS));
    }
}
