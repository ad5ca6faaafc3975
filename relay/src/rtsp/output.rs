//! What goes out on one connection: texts, and the frame that is being written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf as _, Bytes};
use sightline_relay_proto::hub::Delivery;
use sightline_relay_proto::wire::rtp;
use smallvec::SmallVec;

use super::wire::Wire;

/// Answers and RTCP that wait for a slow reader, bytes. A client that asks on without reading is cut.
pub(super) const MAX_QUEUED_TEXT: usize = 64 * 1024;
/// Queued bytes over which no report joins them.
const REPORT_BACKLOG: usize = 4096;
/// Packets handed to the kernel by one call.
const PACKETS_PER_WRITE: usize = 64;
/// `$`, channel, length, RTP header.
const HEAD: usize = 4 + rtp::HEADER_LEN;

/// RTP fields that are the same for every packet of a track.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TrackFields {
    pub(super) payload_type: u8,
    pub(super) ssrc: u32,
}

impl TrackFields {
    /// Header of a delivery's packet.
    pub(super) fn header(self, delivery: &Delivery, index: usize) -> [u8; rtp::HEADER_LEN] {
        let marker = delivery.frame.marker(index);
        let seq = delivery.seq.wrapping_add(index as u16);
        rtp::header(self.payload_type, marker, seq, delivery.timestamp, self.ssrc)
    }
}

/// A frame, or a chunk of one, on its way through an interleaved channel. The payloads stay shared;
/// a partial write is remembered as a place, not as a copy.
pub(super) struct FrameWriter {
    delivery: Delivery,
    channel: u8,
    fields: TrackFields,
    /// Next packet, and bytes of it that are gone.
    packet: usize,
    offset: usize,
}

impl FrameWriter {
    pub(super) fn new(delivery: Delivery, channel: u8, fields: TrackFields) -> Self {
        let packet = delivery.packets.start;
        Self { delivery, channel, fields, packet, offset: 0 }
    }

    /// Writes on; `true` when the frame is out.
    fn write(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let frame = std::sync::Arc::clone(&self.delivery.frame);
        while self.packet < self.delivery.packets.end {
            let end = self.delivery.packets.end.min(self.packet + PACKETS_PER_WRITE);
            let batch = &frame.payloads[self.packet..end];
            let heads: SmallVec<[[u8; HEAD]; PACKETS_PER_WRITE]> =
                (self.packet..end).map(|index| self.head(index)).collect();
            let mut slices: SmallVec<[IoSlice<'_>; PACKETS_PER_WRITE * 2]> = SmallVec::new();
            let mut skip = self.offset;
            for (head, payload) in heads.iter().zip(batch) {
                for part in [&head[..], &payload[..]] {
                    let gone = skip.min(part.len());
                    skip -= gone;
                    if gone < part.len() {
                        slices.push(IoSlice::new(&part[gone..]));
                    }
                }
            }
            let written = write(&slices)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written, batch);
        }
        Ok(true)
    }

    fn head(&self, index: usize) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        let len = rtp::HEADER_LEN + self.delivery.frame.payloads[index].len();
        head[0] = b'$';
        head[1] = self.channel;
        head[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        head[4..].copy_from_slice(&self.fields.header(&self.delivery, index));
        head
    }

    fn advance(&mut self, written: usize, batch: &[Bytes]) {
        self.offset += written;
        for payload in batch {
            let size = HEAD + payload.len();
            if self.offset < size {
                return;
            }
            self.offset -= size;
            self.packet += 1;
        }
    }
}

#[derive(Default)]
pub(super) struct Output {
    texts: VecDeque<Bytes>,
    queued: usize,
    frame: Option<FrameWriter>,
    /// Bytes handed to the wire so far.
    pub(super) written: u64,
}

impl Output {
    pub(super) fn push_text(&mut self, text: Bytes) {
        self.queued += text.len();
        self.texts.push_back(text);
    }

    /// RTCP on an interleaved channel; whole compounds are far below 64 KiB.
    pub(super) fn push_interleaved(&mut self, channel: u8, packet: &[u8]) {
        let Ok(len) = u16::try_from(packet.len()) else { return };
        let mut out = vec![b'$', channel];
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(packet);
        self.push_text(out.into());
    }

    /// The next frame. Only after [`Self::pump`] said that all is out.
    pub(super) fn set_frame(&mut self, frame: FrameWriter) {
        self.frame = Some(frame);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.frame.is_none()
    }

    /// Whether a report would go out at once; a late one would tell wrong times.
    pub(super) fn takes_reports(&self) -> bool {
        self.frame.is_none() && self.queued < REPORT_BACKLOG
    }

    /// Whether too many answers wait.
    pub(super) fn is_overfull(&self) -> bool {
        self.queued > MAX_QUEUED_TEXT
    }

    /// Writes as much as the wire takes; `true` when all is out.
    pub(super) fn pump(&mut self, wire: &mut Wire) -> io::Result<bool> {
        if !wire.flush()? {
            return Ok(false);
        }
        match self.write(|slices| wire.write_vectored(slices)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
            Ok(()) => wire.flush(),
        }
    }

    /// A begun frame goes first: nothing may stand inside it.
    fn write(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let written = &mut self.written;
        let mut counted = |slices: &[IoSlice<'_>]| loop {
            match write(slices) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => {
                    *written += *done.as_ref().unwrap_or(&0) as u64;
                    return done;
                }
            }
        };
        if let Some(frame) = &mut self.frame {
            frame.write(&mut counted)?;
            self.frame = None;
        }
        while let Some(text) = self.texts.front_mut() {
            let taken = counted(&[IoSlice::new(text)])?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.queued -= taken;
            text.advance(taken);
            if text.is_empty() {
                self.texts.pop_front();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtsp::tests;

    fn delivery(packets: usize) -> Delivery {
        let payload = |index: usize| Bytes::from(vec![index as u8; 1 + index % 1188]);
        tests::delivery(65_530, 7, (0..packets).map(payload).collect())
    }

    /// A sink that takes `chunk` bytes a call, and every third call nothing.
    fn written(packets: usize, chunk: usize) -> Vec<u8> {
        let mut output = Output::default();
        let fields = TrackFields { payload_type: 96, ssrc: 1 };
        output.set_frame(FrameWriter::new(delivery(packets), 2, fields));
        output.push_text(Bytes::from_static(b"RTSP/1.0 200 OK\r\n\r\n"));
        let mut sink = Vec::new();
        let mut calls = 0;
        while !output.is_empty() {
            let step = output.write(|slices| {
                calls += 1;
                if calls % 3 == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = all.len().min(chunk);
                sink.extend_from_slice(&all[..taken]);
                Ok(taken)
            });
            assert!(step.is_ok() || step.unwrap_err().kind() == io::ErrorKind::WouldBlock);
        }
        assert_eq!(output.written, sink.len() as u64);
        sink
    }

    #[test]
    fn partial_writes_at_every_size_give_the_same_bytes() {
        let whole = written(130, usize::MAX);
        for chunk in [1, 3, 4, 15, 16, 17, 1200, 1216, 5000] {
            assert_eq!(written(130, chunk), whole, "{chunk}");
        }
    }

    #[test]
    fn the_chunks_of_a_frame_are_the_frame() {
        let fields = TrackFields { payload_type: 96, ssrc: 1 };
        let mut sink = Vec::new();
        for packets in [0..70, 70..130] {
            let chunk = Delivery { packets, ..delivery(130) };
            let done = FrameWriter::new(chunk, 2, fields).write(|slices| {
                let before = sink.len();
                slices.iter().for_each(|slice| sink.extend_from_slice(slice));
                Ok(sink.len() - before)
            });
            assert!(done.unwrap());
        }
        let whole = written(130, usize::MAX);
        assert!(whole.starts_with(&sink) && whole.len() < sink.len() + 30);
    }

    #[test]
    fn packets_are_framed_numbered_and_only_the_last_is_marked() {
        let bytes = written(10, usize::MAX);
        let mut rest = &bytes[..];
        for index in 0..10u16 {
            let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            assert_eq!((rest[0], rest[1]), (b'$', 2));
            let header = rtp::parse(&rest[4..4 + len]).unwrap();
            assert_eq!(header.seq, 65_530u16.wrapping_add(index));
            assert_eq!((header.marker, header.timestamp), (index == 9, 7));
            rest = &rest[4 + len..];
        }
        assert_eq!(rest, b"RTSP/1.0 200 OK\r\n\r\n");
    }

    #[test]
    fn waiting_answers_are_bounded_on_both_sides() {
        let mut output = Output::default();
        output.push_text(vec![0; MAX_QUEUED_TEXT].into());
        assert!(!output.is_overfull());
        output.push_text(vec![0; 1].into());
        assert!(output.is_overfull());
    }
}
