//! Frames as they are sent, written once for all viewers at the same place of the timeline.
//!
//! Viewers at the live edge get the same flow identifiers, sequence numbers and timestamps, so their
//! streams and datagrams are equal byte for byte, and one copy serves the send buffers of all.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sightline_relay_proto::frame::Frame;
use sightline_relay_proto::hub::Delivery;
use sightline_relay_proto::roq::write;
use sightline_relay_proto::wire::{rtp, varint};

/// Frames kept: those that the viewers of a turn share, and some of viewers who are catching up.
const KEPT: usize = 8;

/// What stands in front of a packet beside its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fields {
    pub(super) flow: u64,
    pub(super) payload_type: u8,
    pub(super) ssrc: u32,
}

/// How a frame is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// On a stream of its own: the flow identifier, then each packet behind its length.
    Stream,
    /// Each packet in a datagram, behind the flow identifier.
    Datagrams,
}

/// A frame as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// All of it.
    pub(super) bytes: Bytes,
    /// Where each packet ends.
    ends: Arc<[usize]>,
}

impl Written {
    /// The packet `at` and what stands in front of it, if the frame has as many.
    pub(super) fn packet(&self, at: usize) -> Option<Bytes> {
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(self.bytes.slice(start..end))
    }

    /// Bytes of the longest packet with what stands in front of it.
    pub(super) fn longest(&self) -> usize {
        let starts = std::iter::once(&0).chain(self.ends.iter());
        starts.zip(self.ends.iter()).map(|(start, end)| end - start).max().unwrap_or(0)
    }
}

struct Entry {
    /// Held, so that no other frame can take its address.
    frame: Arc<Frame>,
    seq: u16,
    timestamp: u32,
    fields: Fields,
    form: Form,
    written: Written,
}

/// The frames that were written last.
#[derive(Default)]
pub(super) struct WrittenFrames {
    entries: [Option<Entry>; KEPT],
    /// The entry that makes way next.
    next: usize,
}

impl WrittenFrames {
    /// A frame in this form.
    pub(super) fn frame(&mut self, delivery: &Delivery, fields: Fields, form: Form) -> Written {
        let known = self.entries.iter().flatten().find(|entry| entry.is(delivery, fields, form));
        if let Some(entry) = known {
            return entry.written.clone();
        }
        let written = write_frame(delivery, fields, form);
        let entry = Entry {
            frame: Arc::clone(&delivery.frame),
            seq: delivery.seq,
            timestamp: delivery.timestamp,
            fields,
            form,
            written: written.clone(),
        };
        self.entries[self.next] = Some(entry);
        self.next = (self.next + 1) % KEPT;
        written
    }
}

impl Entry {
    fn is(&self, delivery: &Delivery, fields: Fields, form: Form) -> bool {
        Arc::ptr_eq(&self.frame, &delivery.frame)
            && (self.seq, self.timestamp) == (delivery.seq, delivery.timestamp)
            && (self.fields, self.form) == (fields, form)
    }
}

/// The RTP header of the frame's packet `at`.
fn header(delivery: &Delivery, fields: Fields, at: usize) -> [u8; rtp::HEADER_LEN] {
    let marker = delivery.frame.marker(at);
    let seq = delivery.seq.wrapping_add(at as u16);
    rtp::header(fields.payload_type, marker, seq, delivery.timestamp, fields.ssrc)
}

fn write_frame(delivery: &Delivery, fields: Fields, form: Form) -> Written {
    let frame = &delivery.frame;
    let overhead = rtp::HEADER_LEN + write::MAX_OVERHEAD;
    let mut out = BytesMut::with_capacity(frame.bytes() + (frame.payloads.len() + 1) * overhead);
    let mut head = Vec::with_capacity(write::MAX_OVERHEAD);
    varint::write(fields.flow, &mut head);
    if form == Form::Stream {
        out.extend_from_slice(&head);
    }
    let mut ends = Vec::with_capacity(frame.payloads.len());
    for (at, payload) in frame.payloads.iter().enumerate() {
        if form == Form::Stream {
            head.clear();
            varint::write((rtp::HEADER_LEN + payload.len()) as u64, &mut head);
        }
        out.extend_from_slice(&head);
        out.extend_from_slice(&header(delivery, fields, at));
        out.extend_from_slice(payload);
        ends.push(out.len());
    }
    Written { bytes: out.freeze(), ends: ends.into() }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use sightline_relay_proto::codec::Codec;
    use sightline_relay_proto::frame::{ArrivalTime, Descriptor, MediaTime, Protection};
    use sightline_relay_proto::ids::{Tier, TrackIndex};

    use super::*;

    const FIELDS: Fields = Fields { flow: 900, payload_type: 96, ssrc: 7 };

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
        for form in [Form::Stream, Form::Datagrams] {
            let mut address = |frame: &Arc<Frame>, seq: u16, fields: Fields| {
                written.frame(&delivery(frame, seq), fields, form).bytes.as_ptr()
            };
            let first = address(&frame, 1, FIELDS);
            assert_eq!(address(&frame, 1, FIELDS), first);
            assert_ne!(address(&frame, 2, FIELDS), first);
            assert_ne!(address(&other, 1, FIELDS), first);
            assert_ne!(address(&frame, 1, Fields { ssrc: 8, ..FIELDS }), first);
            assert_ne!(address(&frame, 1, Fields { flow: 901, ..FIELDS }), first);
        }
    }

    /// The packet `at` of the test's frame, as every viewer gets it.
    fn check(packet: &[u8], frame: &Frame, at: usize) {
        let header = rtp::parse(packet).unwrap();
        assert_eq!(header.seq, u16::MAX.wrapping_add(at as u16));
        assert_eq!((header.timestamp, header.ssrc), (1000, 7));
        assert_eq!(&packet[rtp::HEADER_LEN..], &frame.payloads[at][..]);
    }

    #[test]
    fn on_a_stream_every_packet_stands_behind_its_length_with_its_own_header() {
        let frame = frame();
        let place = delivery(&frame, u16::MAX);
        let written = WrittenFrames::default().frame(&place, FIELDS, Form::Stream);
        let (flow, used) = varint::read(&written.bytes).unwrap();
        assert_eq!(flow, FIELDS.flow);
        let mut rest = &written.bytes[used..];
        for at in 0..frame.payloads.len() {
            let (len, used) = varint::read(rest).unwrap();
            check(&rest[used..used + len as usize], &frame, at);
            rest = &rest[used + len as usize..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn in_datagrams_every_packet_stands_behind_the_flow_identifier() {
        let frame = frame();
        let place = delivery(&frame, u16::MAX);
        let written = WrittenFrames::default().frame(&place, FIELDS, Form::Datagrams);
        let mut longest = 0;
        for at in 0..frame.payloads.len() {
            let datagram = written.packet(at).unwrap();
            let (flow, used) = varint::read(&datagram).unwrap();
            assert_eq!(flow, FIELDS.flow);
            check(&datagram[used..], &frame, at);
            longest = longest.max(datagram.len());
        }
        assert_eq!((written.packet(frame.payloads.len()), written.longest()), (None, longest));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut written = WrittenFrames::default();
        let frame = frame();
        for seq in 0..2 * KEPT as u16 {
            written.frame(&delivery(&frame, seq), FIELDS, Form::Stream);
        }
        assert_eq!(Arc::strong_count(&frame), 1 + KEPT);
    }
}
