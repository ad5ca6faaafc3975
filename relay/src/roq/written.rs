//! Frames as they stand on a stream, written once for all viewers at the same place of the timeline.
//!
//! Viewers at the live edge get the same sequence numbers and timestamps, so behind the flow
//! identifier their streams are equal byte for byte, and one copy serves the send buffers of all.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sightline_relay_proto::frame::Frame;
use sightline_relay_proto::hub::Delivery;
use sightline_relay_proto::roq::write;
use sightline_relay_proto::wire::{rtp, varint};

/// Frames kept: those that the viewers of a turn share, and some of viewers who are catching up.
const KEPT: usize = 8;

/// What RTP headers say beside the place of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fields {
    pub(super) payload_type: u8,
    pub(super) ssrc: u32,
}

struct Entry {
    /// Held, so that no other frame can take its address.
    frame: Arc<Frame>,
    seq: u16,
    timestamp: u32,
    fields: Fields,
    bytes: Bytes,
}

/// The frames that were written last.
#[derive(Default)]
pub(super) struct WrittenFrames {
    entries: [Option<Entry>; KEPT],
    /// The entry that makes way next.
    next: usize,
}

impl WrittenFrames {
    /// The packets of a frame, each behind its length.
    pub(super) fn packets(&mut self, delivery: &Delivery, fields: Fields) -> Bytes {
        let known = self.entries.iter().flatten().find(|entry| entry.is(delivery, fields));
        if let Some(entry) = known {
            return entry.bytes.clone();
        }
        let bytes = write_packets(delivery, fields);
        let entry = Entry {
            frame: Arc::clone(&delivery.frame),
            seq: delivery.seq,
            timestamp: delivery.timestamp,
            fields,
            bytes: bytes.clone(),
        };
        self.entries[self.next] = Some(entry);
        self.next = (self.next + 1) % KEPT;
        bytes
    }
}

impl Entry {
    fn is(&self, delivery: &Delivery, fields: Fields) -> bool {
        Arc::ptr_eq(&self.frame, &delivery.frame)
            && (self.seq, self.timestamp) == (delivery.seq, delivery.timestamp)
            && self.fields == fields
    }
}

/// The RTP header of the frame's packet `at`.
pub(super) fn header(delivery: &Delivery, fields: Fields, at: usize) -> [u8; rtp::HEADER_LEN] {
    let marker = delivery.frame.marker(at);
    let seq = delivery.seq.wrapping_add(at as u16);
    rtp::header(fields.payload_type, marker, seq, delivery.timestamp, fields.ssrc)
}

fn write_packets(delivery: &Delivery, fields: Fields) -> Bytes {
    let frame = &delivery.frame;
    let overhead = rtp::HEADER_LEN + write::MAX_OVERHEAD;
    let mut out = BytesMut::with_capacity(frame.bytes() + frame.payloads.len() * overhead);
    let mut length = Vec::with_capacity(write::MAX_OVERHEAD);
    for (at, payload) in frame.payloads.iter().enumerate() {
        length.clear();
        varint::write((rtp::HEADER_LEN + payload.len()) as u64, &mut length);
        out.extend_from_slice(&length);
        out.extend_from_slice(&header(delivery, fields, at));
        out.extend_from_slice(payload);
    }
    out.freeze()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use sightline_relay_proto::codec::Codec;
    use sightline_relay_proto::frame::{ArrivalTime, Descriptor, MediaTime, Protection};
    use sightline_relay_proto::ids::{Tier, TrackIndex};

    use super::*;

    const FIELDS: Fields = Fields { payload_type: 96, ssrc: 7 };

    fn delivery(frame: &Arc<Frame>, seq: u16) -> Delivery {
        let packets = 0..frame.payloads.len();
        let (frame, track) = (Arc::clone(frame), TrackIndex(0));
        Delivery { frame, track, seq, timestamp: 1000, packets }
    }

    /// A frame of three packets.
    pub(crate) fn frame() -> Arc<Frame> {
        let descriptor = Descriptor {
            track: TrackIndex(0),
            tier: Tier::Main,
            codec: Codec::H264,
            keyframe: true,
            discardable: false,
            discontinuity: false,
            protection: Protection::Open,
            media_time: MediaTime(1000),
            capture: None,
            arrival: ArrivalTime(Instant::now()),
        };
        let packet = |len: usize| Bytes::from([&[0x41][..], &vec![len as u8; len]].concat());
        let payloads = [100, 100, 60].map(packet).into();
        Arc::new(Frame { descriptor, first_seq: 1, payloads })
    }

    #[test]
    fn viewers_at_one_place_share_one_copy_and_others_have_their_own() {
        let mut written = WrittenFrames::default();
        let (frame, other) = (frame(), frame());
        let first = written.packets(&delivery(&frame, 1), FIELDS);
        let again = written.packets(&delivery(&frame, 1), FIELDS);
        assert_eq!(first.as_ptr(), again.as_ptr());
        let elsewhere = [
            written.packets(&delivery(&frame, 2), FIELDS),
            written.packets(&delivery(&other, 1), FIELDS),
            written.packets(&delivery(&frame, 1), Fields { ssrc: 8, ..FIELDS }),
        ];
        for bytes in elsewhere {
            assert_ne!(bytes.as_ptr(), first.as_ptr());
        }
    }

    #[test]
    fn every_packet_stands_behind_its_length_with_its_own_header() {
        let frame = frame();
        let bytes = WrittenFrames::default().packets(&delivery(&frame, u16::MAX), FIELDS);
        let mut rest = &bytes[..];
        for (at, payload) in frame.payloads.iter().enumerate() {
            let (len, used) = varint::read(rest).unwrap();
            let packet = &rest[used..used + len as usize];
            let header = rtp::parse(packet).unwrap();
            assert_eq!(header.seq, u16::MAX.wrapping_add(at as u16));
            assert_eq!((header.timestamp, header.ssrc), (1000, 7));
            assert_eq!(&packet[rtp::HEADER_LEN..], &payload[..]);
            rest = &rest[used + len as usize..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut written = WrittenFrames::default();
        let frame = frame();
        for seq in 0..2 * KEPT as u16 {
            written.packets(&delivery(&frame, seq), FIELDS);
        }
        assert_eq!(Arc::strong_count(&frame), 1 + KEPT);
    }
}
