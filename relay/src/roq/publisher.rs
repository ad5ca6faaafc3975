//! The receiving half: a publisher's streams and datagrams in any mix.

use std::time::Instant;

use quinn_proto::{Connection, Dir, ReadError, StreamId, VarInt};
use sightline_relay_proto::hub::{Hub, PublisherId};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::roq::{Action, Received, Receiver};
use sightline_relay_proto::wire::{rtcp, rtp};

use super::viewer::send_rtcp;
use crate::api::RoqTrack;

/// One publisher's connection.
pub(super) struct Feed {
    pub(super) publisher: PublisherId,
    pub(super) receiver: Receiver,
    flows: Vec<Flow>,
    /// Source of our RTCP.
    ssrc: u32,
}

struct Flow {
    id: u64,
    /// Source of the publisher's RTP on this track, once some came.
    media_ssrc: Option<u32>,
}

impl Feed {
    pub(super) fn new(publisher: PublisherId, tracks: &[RoqTrack], ssrc: u32) -> Self {
        let index = |(at, track): (usize, &RoqTrack)| (track.flow, TrackIndex(at as u8));
        Self {
            publisher,
            receiver: Receiver::new(tracks.iter().enumerate().map(index)),
            flows: tracks.iter().map(|t| Flow { id: t.flow, media_ssrc: None }).collect(),
            ssrc,
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

/// Takes new streams and reads what they hold.
pub(super) fn accept_streams(now: Instant, quic: &mut Connection, receiver: &mut Receiver) {
    while let Some(stream) = quic.streams().accept(Dir::Uni) {
        read_stream(now, quic, receiver, stream);
    }
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
