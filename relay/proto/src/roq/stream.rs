//! Packets out of the bytes of one uni stream.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::MAX_INGEST_PACKET;
use crate::pool::PacketPool;
use crate::wire::varint;

/// Longest packet for which memory is set aside once its length is known, bytes. For a longer one it
/// grows with what has come: a length is only a claim.
pub(super) const SET_ASIDE: usize = 2048;

/// Reassembles one stream. Chunks may end anywhere, also inside an integer.
#[derive(Default, Debug)]
pub struct Reassembler {
    flow: Option<u64>,
    /// Bytes of a split integer; at most 8.
    partial: Vec<u8>,
    /// Length of the packet in progress.
    wanted: Option<usize>,
    packet: BytesMut,
    input: Bytes,
}

/// The stream breaks the framing; nothing after the fault can be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum FramingError {
    /// A packet without bytes.
    #[error("a packet of length 0")]
    Empty,
    /// A packet over [`MAX_INGEST_PACKET`].
    #[error("a packet over {MAX_INGEST_PACKET} bytes")]
    TooLarge,
}

impl Reassembler {
    /// Reads the stream's flow, if it is complete now.
    pub fn begin(&mut self) -> Option<u64> {
        if self.flow.is_none() {
            self.flow = self.integer();
        }
        self.flow
    }

    /// The stream's flow, once its integer is complete.
    pub fn flow(&self) -> Option<u64> {
        self.flow
    }

    /// Bytes held for a packet in progress.
    pub fn held(&self) -> usize {
        self.packet.len()
    }

    /// Takes the next bytes of the stream. Call [`Self::poll`] until it is empty before the next.
    pub fn handle(&mut self, chunk: Bytes) {
        debug_assert!(self.input.is_empty(), "poll until empty comes first");
        self.input = chunk;
    }

    /// The next whole packet: a short one in memory of the pool, so that it pins no datagrams that it
    /// came in; a long one that lies within a chunk is a slice of it.
    pub fn poll(&mut self, pool: &mut PacketPool) -> Result<Option<Bytes>, FramingError> {
        if self.begin().is_none() {
            return Ok(None);
        }
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => {
                let Some(length) = self.integer() else { return Ok(None) };
                let wanted = checked_length(length)?;
                self.wanted = Some(wanted);
                wanted
            }
        };
        if self.packet.is_empty() && self.input.len() >= wanted {
            self.wanted = None;
            let packet = self.input.split_to(wanted);
            return Ok(Some(if wanted > SET_ASIDE { packet } else { pool.store(&packet) }));
        }
        if wanted <= SET_ASIDE && self.packet.capacity() < wanted {
            self.packet = pool.take(wanted);
        }
        let take = (wanted - self.packet.len()).min(self.input.len());
        self.packet.extend_from_slice(&self.input.split_to(take));
        if self.packet.len() < wanted {
            return Ok(None);
        }
        self.wanted = None;
        Ok(Some(mem::take(&mut self.packet).freeze()))
    }

    fn integer(&mut self) -> Option<u64> {
        if self.partial.is_empty()
            && let Some((value, len)) = varint::read(&self.input)
        {
            self.input.advance(len);
            return Some(value);
        }
        while self.input.has_remaining() {
            self.partial.push(self.input.get_u8());
            if let Some((value, _)) = varint::read(&self.partial) {
                self.partial.clear();
                return Some(value);
            }
        }
        None
    }
}

fn checked_length(length: u64) -> Result<usize, FramingError> {
    match usize::try_from(length) {
        Ok(0) => Err(FramingError::Empty),
        Ok(length) if length <= MAX_INGEST_PACKET => Ok(length),
        _ => Err(FramingError::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roq::write::stream_packet;

    fn drain(stream: &mut Reassembler, bytes: &[u8]) -> Vec<Bytes> {
        stream.handle(Bytes::copy_from_slice(bytes));
        let mut found = Vec::new();
        let mut pool = PacketPool::default();
        while let Some(packet) = stream.poll(&mut pool).expect("well framed") {
            found.push(packet);
        }
        found
    }

    fn framed(flow: u64, packets: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        varint::write(flow, &mut out);
        for packet in packets {
            stream_packet(packet, &mut out);
        }
        out
    }

    #[test]
    fn packets_survive_every_split_of_the_stream() {
        let long = vec![7; 16_400];
        let middle = vec![8; 70];
        for flow in [0, 63, 64, 16_383, 16_384, varint::MAX] {
            let bytes = framed(flow, &[&[1], &middle, &long, &[2]]);
            for cut in (0..100).chain(bytes.len() - 40..bytes.len()) {
                let mut stream = Reassembler::default();
                let mut found = drain(&mut stream, &bytes[..cut]);
                found.extend(drain(&mut stream, &bytes[cut..]));
                assert_eq!(stream.flow(), Some(flow));
                assert_eq!(found, [&[1][..], &middle, &long, &[2]], "flow {flow} cut {cut}");
            }
        }
    }

    #[test]
    fn a_stream_fed_byte_by_byte_yields_the_same_packets() {
        let mut stream = Reassembler::default();
        let mut found = Vec::new();
        for byte in framed(16_384, &[&[1; 100], &[2; 3]]) {
            found.extend(drain(&mut stream, &[byte]));
        }
        assert_eq!(found, [&[1; 100][..], &[2; 3]]);
        assert_eq!(stream.held(), 0);
    }

    #[test]
    fn a_packet_of_one_mebibyte_is_taken() {
        let packet = vec![9; 1 << 20];
        let bytes = framed(1, &[&packet]);
        let mut stream = Reassembler::default();
        let found: Vec<_> = bytes.chunks(1200).flat_map(|c| drain(&mut stream, c)).collect();
        assert_eq!(found, [packet]);
    }

    #[test]
    fn the_length_is_checked_on_both_sides_of_its_bounds() {
        let refused = |length: u64| {
            let mut head = vec![1];
            varint::write(length, &mut head);
            let mut stream = Reassembler::default();
            stream.handle(head.into());
            stream.poll(&mut PacketPool::default())
        };
        assert_eq!(refused(0), Err(FramingError::Empty));
        assert_eq!(refused(1), Ok(None));
        assert_eq!(refused(MAX_INGEST_PACKET as u64), Ok(None));
        assert_eq!(refused(MAX_INGEST_PACKET as u64 + 1), Err(FramingError::TooLarge));
        assert_eq!(refused(varint::MAX), Err(FramingError::TooLarge));
    }

    #[test]
    fn a_long_packet_within_one_chunk_is_not_copied_and_a_short_one_pins_nothing() {
        for len in [SET_ASIDE, SET_ASIDE + 1] {
            let bytes = Bytes::from(framed(1, &[&vec![5; len]]));
            let mut stream = Reassembler::default();
            stream.handle(bytes.clone());
            let packet = stream.poll(&mut PacketPool::default());
            let packet = packet.expect("well framed").expect("whole");
            let shared = bytes.as_ptr_range().contains(&packet.as_ptr());
            assert_eq!((packet.len(), shared), (len, len > SET_ASIDE));
        }
    }
}
