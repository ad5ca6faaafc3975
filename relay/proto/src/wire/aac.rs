//! AAC in RTP (RFC 3640, AAC-hbr: 13-bit sizes, 3-bit indices) and ADTS headers.

use bytes::{BufMut, Bytes, BytesMut};

use super::cut::cut;
use crate::limits::MAX_CANONICAL_PAYLOAD;

/// Largest access unit that a 13-bit size can tell, bytes.
pub const MAX_ACCESS_UNIT: usize = 0x1fff;
/// Samples of one access unit.
pub const SAMPLES_PER_UNIT: u32 = 1024;

/// One RTP payload, taken apart. All slices share the payload's memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AacPayload {
    /// Whole access units; at least one, none empty.
    Units(Vec<Bytes>),
    /// A part of one access unit that is `size` bytes long in all.
    Fragment {
        /// Bytes of the whole unit.
        size: usize,
        /// This part.
        body: Bytes,
    },
}

/// Takes an RTP payload apart. ADTS frames without AU headers, as some cameras send them, pass as
/// units. `None`: malformed.
pub fn parse(payload: &Bytes) -> Option<AacPayload> {
    if is_adts(payload) {
        return adts_units(payload).map(AacPayload::Units);
    }
    let bits: [u8; 2] = *payload.first_chunk()?;
    let bits = usize::from(u16::from_be_bytes(bits));
    if bits == 0 || !bits.is_multiple_of(16) {
        return None;
    }
    let headers = payload.get(2..2 + bits / 8)?;
    let data = payload.slice(2 + bits / 8..);
    let mut sizes =
        headers.chunks_exact(2).map(|h| usize::from(h[0]) << 5 | usize::from(h[1] >> 3));
    if bits == 16
        && let Some(size) = sizes.clone().next()
        && size > data.len()
        && !data.is_empty()
    {
        return Some(AacPayload::Fragment { size, body: data });
    }
    let mut at = 0;
    let mut units = Vec::with_capacity(bits / 16);
    sizes.try_for_each(|size| {
        if size == 0 || size > data.len() - at {
            return None;
        }
        units.push(without_adts(data.slice(at..at + size)));
        at += size;
        Some(())
    })?;
    Some(AacPayload::Units(units))
}

/// Appends the RTP payloads of one access unit: one, or fragments of equal size. An ADTS header in
/// front is taken off. Nothing is appended for an empty unit or one over [`MAX_ACCESS_UNIT`].
pub fn push_unit(unit: &Bytes, out: &mut Vec<Bytes>) {
    let unit = without_adts(unit.clone());
    if unit.len() > MAX_ACCESS_UNIT {
        return;
    }
    push_pieces(&[unit], out);
}

/// Appends the RTP payloads of one access unit of at most [`MAX_ACCESS_UNIT`] bytes, in pieces.
pub(crate) fn push_pieces(pieces: &[Bytes], out: &mut Vec<Bytes>) {
    let len: usize = pieces.iter().map(Bytes::len).sum();
    let size = (len.min(MAX_ACCESS_UNIT) as u16) << 3;
    let [high, low] = size.to_be_bytes();
    cut(pieces, MAX_CANONICAL_PAYLOAD, |_, _| [0, 16, high, low], out);
}

/// Whether the bytes begin with an ADTS header (ISO/IEC 13818-7, 6.2).
pub fn is_adts(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, second, ..] if second & 0xf6 == 0xf0)
}

/// Length of the ADTS header in front and of the whole ADTS frame.
fn adts_lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let head: &[u8; 7] = bytes.first_chunk()?;
    let frame =
        usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    let header = if head[1] & 1 == 0 { 9 } else { 7 };
    (is_adts(bytes) && frame > header && frame <= bytes.len()).then_some((header, frame))
}

/// Access units of a run of ADTS frames; `None`: malformed or empty.
pub fn adts_units(stream: &Bytes) -> Option<Vec<Bytes>> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let (header, frame) = adts_lengths(&stream[at..])?;
        units.push(stream.slice(at + header..at + frame));
        at += frame;
    }
    (!units.is_empty()).then_some(units)
}

/// The unit without an ADTS header that spans it wholly.
fn without_adts(unit: Bytes) -> Bytes {
    match adts_lengths(&unit) {
        Some((header, frame)) if frame == unit.len() => unit.slice(header..),
        _ => unit,
    }
}

/// An ADTS frame around one access unit, for decoders that want it. `None`: too long, or a sampling
/// rate that ADTS has no number for.
pub fn to_adts(unit: &[u8], sampling_rate: u32, channels: u8) -> Option<Bytes> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    let rate = RATES.iter().position(|&rate| rate == sampling_rate)? as u8;
    let len = unit.len() + 7;
    if len > MAX_ACCESS_UNIT || channels > 7 {
        return None;
    }
    let mut frame = BytesMut::with_capacity(len);
    frame.put_u8(0xff);
    frame.put_u8(0xf1);
    // Object type 2 (AAC-LC), written less one.
    frame.put_u8(1 << 6 | rate << 2 | channels >> 2);
    frame.put_u8((channels & 3) << 6 | (len >> 11) as u8);
    frame.put_u8((len >> 3) as u8);
    frame.put_u8((len as u8) << 5 | 0x1f);
    frame.put_u8(0xfc);
    frame.put_slice(unit);
    Some(frame.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8]) -> Option<AacPayload> {
        parse(&Bytes::copy_from_slice(payload))
    }

    #[test]
    fn units_and_fragments_are_taken_apart() {
        let units = vec![Bytes::from_static(&[1, 2]), Bytes::from_static(&[3])];
        assert_eq!(read(&[0, 32, 0, 16, 0, 8, 1, 2, 3]), Some(AacPayload::Units(units)));
        let fragment = AacPayload::Fragment { size: 5, body: Bytes::from_static(&[1, 2]) };
        assert_eq!(read(&[0, 16, 0, 40, 1, 2]), Some(fragment));
    }

    #[test]
    fn malformed_payloads_are_refused() {
        let bad: [&[u8]; 8] = [
            &[],
            &[0],
            &[0, 0],
            &[0, 15, 0, 8, 1],
            &[0, 16, 0],
            &[0, 16, 0, 40],
            &[0, 16, 0, 0, 1],
            &[0, 32, 0, 8, 0, 16, 1, 2],
        ];
        for payload in bad {
            assert_eq!(read(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn adts_frames_survive_a_round_trip_and_refuse_what_they_cannot_tell() {
        for (len, legal) in [(1, true), (MAX_ACCESS_UNIT - 7, true), (MAX_ACCESS_UNIT - 6, false)] {
            let unit = vec![5; len];
            let adts = to_adts(&unit, 44_100, 2);
            assert_eq!(adts.is_some(), legal);
            if let Some(adts) = adts {
                assert_eq!(adts_units(&adts), Some(vec![Bytes::from(unit)]));
                assert_eq!(adts_units(&adts.slice(..adts.len() - 1)), None);
            }
        }
        assert_eq!(to_adts(&[1], 44_000, 2), None);
        assert_eq!(to_adts(&[1], 44_100, 8), None);
    }
}
