//! AV1 in RTP (AOMedia "RTP Payload Format For AV1", v1.0) and the low-overhead OBU stream
//! (AV1 specification, 5.2).

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use super::cut::cut;
use crate::limits::MAX_CANONICAL_PAYLOAD;

/// Sequence header.
pub const SEQUENCE_HEADER: u8 = 1;
/// Temporal delimiter; never sent in RTP.
pub const TEMPORAL_DELIMITER: u8 = 2;
/// Frame header.
pub const FRAME_HEADER: u8 = 3;
/// Tile group.
pub const TILE_GROUP: u8 = 4;
/// Frame header and tile group in one.
pub const FRAME: u8 = 6;
/// Redundant frame header.
pub const REDUNDANT_FRAME_HEADER: u8 = 7;
/// Tile list; never sent in RTP.
pub const TILE_LIST: u8 = 8;
/// Padding.
pub const PADDING: u8 = 15;

/// Most OBU elements taken from one RTP payload.
pub const MAX_ELEMENTS: usize = 512;

/// An OBU in pieces that follow each other: fragments, or a rewritten header and the shared body.
pub type Obu = SmallVec<[Bytes; 2]>;

/// OBU type of a header byte.
pub fn obu_type(header: u8) -> u8 {
    header >> 3 & 0x0f
}

/// Whether OBUs of this type are left out of RTP.
pub fn is_dropped(kind: u8) -> bool {
    matches!(kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING)
}

/// The aggregation header of an RTP payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aggregation {
    /// Z: the first element continues an OBU of the payload before.
    pub continues: bool,
    /// Y: the last element goes on in the next payload.
    pub unfinished: bool,
    /// W: number of elements if 1 to 3, else every element has its length.
    pub count: u8,
    /// N: first payload of a coded video sequence.
    pub new_sequence: bool,
}

impl Aggregation {
    fn read(byte: u8) -> Self {
        Self {
            continues: byte & 0x80 != 0,
            unfinished: byte & 0x40 != 0,
            count: byte >> 4 & 3,
            new_sequence: byte & 8 != 0,
        }
    }

    fn write(self) -> u8 {
        u8::from(self.continues) << 7
            | u8::from(self.unfinished) << 6
            | (self.count & 3) << 4
            | u8::from(self.new_sequence) << 3
    }
}

/// Takes an RTP payload apart: its header and its OBU elements, none empty, sharing its memory.
/// `None`: malformed, without element or with more than [`MAX_ELEMENTS`].
pub fn parse(payload: &Bytes) -> Option<(Aggregation, Vec<Bytes>)> {
    let header = Aggregation::read(*payload.first()?);
    let mut at = 1;
    let mut elements = Vec::new();
    while at < payload.len() {
        let number = elements.len() + 1;
        if header.count != 0 && number > usize::from(header.count) {
            return None;
        }
        let len = if number == usize::from(header.count) {
            payload.len() - at
        } else {
            let (len, used) = read_leb128(payload.get(at..)?)?;
            at += used;
            len
        };
        if len == 0 || len > payload.len() - at || elements.len() == MAX_ELEMENTS {
            return None;
        }
        elements.push(payload.slice(at..at + len));
        at += len;
    }
    let complete = header.count == 0 || elements.len() == usize::from(header.count);
    (complete && !elements.is_empty()).then_some((header, elements))
}

/// The OBUs of a low-overhead stream (a temporal unit as encoders give it), without their size
/// fields and without those that RTP leaves out. `None`: malformed.
pub fn obus(stream: &Bytes) -> Option<Vec<Obu>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let header = stream[at];
        if header & 0x80 != 0 {
            return None;
        }
        let header_len = if header & 4 != 0 { 2 } else { 1 };
        let body_at = at + header_len;
        let (len, used) = if header & 2 != 0 {
            read_leb128(stream.get(body_at..)?)?
        } else {
            (stream.len().checked_sub(body_at)?, 0)
        };
        let start = body_at + used;
        if len > stream.len() - start {
            return None;
        }
        if !is_dropped(obu_type(header)) {
            let mut head = BytesMut::with_capacity(2);
            head.put_u8(header & !2);
            head.put_slice(&stream[at + 1..body_at]);
            let mut obu: Obu = smallvec![head.freeze()];
            if len > 0 {
                obu.push(stream.slice(start..start + len));
            }
            found.push(obu);
        }
        at = start + len;
    }
    Some(found)
}

/// Appends the RTP payloads of one temporal unit: small OBUs together, long ones cut into fragments
/// of equal size. `new_sequence` sets N on the first payload.
pub fn push_obus(obus: &[Obu], new_sequence: bool, out: &mut Vec<Bytes>) {
    let begin = out.len();
    let mut group: Vec<&Obu> = Vec::new();
    let mut size = 1;
    for obu in obus {
        let len = obu_len(obu);
        if len == 0 {
            continue;
        }
        let with_length = len + leb128_len(len);
        if size + with_length > MAX_CANONICAL_PAYLOAD {
            push_group(&mut group, new_sequence && out.len() == begin, out);
            size = 1;
        }
        if len < MAX_CANONICAL_PAYLOAD {
            group.push(obu);
            size += with_length;
        } else {
            push_fragments(obu, new_sequence && out.len() == begin, out);
        }
    }
    push_group(&mut group, new_sequence && out.len() == begin, out);
}

fn push_fragments(obu: &Obu, new_sequence: bool, out: &mut Vec<Bytes>) {
    let header = |first: bool, last: bool| {
        let new_sequence = new_sequence && first;
        [Aggregation { continues: !first, unfinished: !last, count: 1, new_sequence }.write()]
    };
    cut(obu, MAX_CANONICAL_PAYLOAD, header, out);
}

fn push_group(group: &mut Vec<&Obu>, new_sequence: bool, out: &mut Vec<Bytes>) {
    let Some((last, earlier)) = group.split_last() else { return };
    let count = if group.len() <= 3 { group.len() as u8 } else { 0 };
    let header = Aggregation { continues: false, unfinished: false, count, new_sequence };
    let mut payload = BytesMut::with_capacity(MAX_CANONICAL_PAYLOAD);
    payload.put_u8(header.write());
    for obu in earlier {
        put_obu(obu, true, &mut payload);
    }
    put_obu(last, count == 0, &mut payload);
    out.push(Bytes::copy_from_slice(&payload));
    group.clear();
}

fn put_obu(obu: &Obu, with_length: bool, payload: &mut BytesMut) {
    if with_length {
        put_leb128(obu_len(obu), payload);
    }
    obu.iter().for_each(|piece| payload.put_slice(piece));
}

fn obu_len(obu: &Obu) -> usize {
    obu.iter().map(Bytes::len).sum()
}

/// Reads an unsigned LEB128 number of at most 32 bits in at most 8 bytes: value and length.
pub fn read_leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((value as usize, index + 1));
        }
    }
    None
}

/// Appends an unsigned LEB128 number.
pub fn put_leb128(mut value: usize, out: &mut BytesMut) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn leb128_len(value: usize) -> usize {
    (value.max(1).ilog2() as usize) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(payload: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (_, elements) = parse(&Bytes::copy_from_slice(payload))?;
        Some(elements.iter().map(|element| element.to_vec()).collect())
    }

    #[test]
    fn elements_with_and_without_count_are_taken_apart() {
        assert_eq!(elements(&[0x10, 0x30, 9]), Some(vec![vec![0x30, 9]]));
        assert_eq!(elements(&[0x20, 1, 8, 0x30, 9]), Some(vec![vec![8], vec![0x30, 9]]));
        assert_eq!(elements(&[0x00, 1, 8, 2, 0x30, 9]), Some(vec![vec![8], vec![0x30, 9]]));
        let (header, _) = parse(&Bytes::from_static(&[0xd8, 1])).expect("well-formed");
        assert!(header.continues && header.unfinished && header.new_sequence);
        assert_eq!((header.count, header.write()), (1, 0xd8));
    }

    #[test]
    fn malformed_payloads_are_refused() {
        let bad: [&[u8]; 7] =
            [&[], &[0x10], &[0x20, 1, 8], &[0x20, 0, 8], &[0, 5, 1], &[0, 0x80], &[0x30, 1, 8, 9]];
        for payload in bad {
            assert_eq!(elements(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn numbers_of_every_length_survive_a_round_trip() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX as usize] {
            let mut out = BytesMut::new();
            put_leb128(value, &mut out);
            assert_eq!(read_leb128(&out), Some((value, out.len())));
            assert_eq!(out.len(), leb128_len(value));
            assert_eq!(read_leb128(&out[..out.len() - 1]), None);
        }
        assert_eq!(read_leb128(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(read_leb128(&[0x80; 9]), None);
    }

    #[test]
    fn obu_streams_lose_sizes_and_delimiters_and_keep_extensions() {
        let stream = Bytes::from_static(&[0x12, 0, 0x36, 0x20, 1, 7, 0x30, 8, 9]);
        let found: Vec<_> =
            obus(&stream).expect("well-formed").iter().map(|obu| obu.concat()).collect();
        assert_eq!(found, [vec![0x34, 0x20, 7], vec![0x30, 8, 9]]);
        for bad in [&[0x80][..], &[0x32], &[0x32, 2, 1], &[0x36], &[0x34]] {
            assert_eq!(obus(&Bytes::copy_from_slice(bad)), None, "{bad:?}");
        }
    }
}
