//! H.264 in RTP (RFC 6184, packetization-mode 1): single NAL unit, STAP-A, FU-A.

use bytes::Bytes;

use super::annexb;
use super::bits::BitReader;
use super::cut::cut;
use super::nal::{Fragment, NalClass, NalPayload, Reference, split_lengths};
use crate::limits::MAX_CANONICAL_PAYLOAD;

/// Coded slice of an IDR picture.
pub const IDR: u8 = 5;
/// Sequence parameter set.
pub const SPS: u8 = 7;
/// Picture parameter set.
pub const PPS: u8 = 8;
/// Access unit delimiter.
pub const AUD: u8 = 9;
/// Filler data.
pub const FILLER: u8 = 12;
/// Single-time aggregation packet.
pub const STAP_A: u8 = 24;
/// Fragmentation unit.
pub const FU_A: u8 = 28;

/// `nal_unit_type` of a header byte.
pub fn nal_type(header: u8) -> u8 {
    header & 0x1f
}

/// Takes an RTP payload apart. A payload with a start code in front passes as a single unit.
/// `None`: malformed, or one of the interleaved kinds (STAP-B, MTAP, FU-B).
pub fn parse(payload: &Bytes) -> Option<NalPayload> {
    let header = *payload.first()?;
    match nal_type(header) {
        1..=23 => Some(NalPayload::Single(payload.clone())),
        0 if annexb::starts_with_code(payload) => Some(NalPayload::Single(payload.clone())),
        STAP_A => split_lengths(payload, 1).map(NalPayload::Aggregate),
        FU_A => {
            let fu = *payload.get(1)?;
            let body = payload.slice(2..);
            if body.is_empty() || !(1..=23).contains(&nal_type(fu)) {
                return None;
            }
            Some(NalPayload::Fragment(Fragment {
                start: fu & 0x80 != 0,
                end: fu & 0x40 != 0,
                header: [header & 0xe0 | nal_type(fu), 0],
                body,
            }))
        }
        _ => None,
    }
}

/// Class of a NAL unit from its first two bytes.
pub fn class(nal: &[u8]) -> NalClass {
    let Some(&header) = nal.first() else { return NalClass::Delimiter };
    match nal_type(header) {
        kind @ 1..=5 => NalClass::Slice {
            keyframe: kind == IDR,
            reference: if header & 0x60 == 0 { Reference::None } else { Reference::Any },
            // first_mb_in_slice is 0 when its Exp-Golomb code is a single one bit; data
            // partitions B and C (3, 4) never come first.
            first: !matches!(kind, 3 | 4) && nal.get(1).is_some_and(|byte| byte & 0x80 != 0),
        },
        SPS => NalClass::ParameterSet(0),
        PPS => NalClass::ParameterSet(1),
        AUD | FILLER => NalClass::Delimiter,
        _ => NalClass::Other,
    }
}

/// `seq_parameter_set_id` of an SPS, `pic_parameter_set_id` of a PPS.
pub fn parameter_set_id(nal: &[u8]) -> Option<u32> {
    match nal_type(*nal.first()?) {
        SPS => BitReader::new(nal.get(4..)?).exp_golomb(),
        PPS => BitReader::new(&nal[1..]).exp_golomb(),
        _ => None,
    }
}

/// `profile-level-id` of an SPS: profile, constraints, level.
pub fn profile_level_id(sps: &[u8]) -> Option<[u8; 3]> {
    match sps {
        [header, profile, constraints, level, ..] if nal_type(*header) == SPS => {
            Some([*profile, *constraints, *level])
        }
        _ => None,
    }
}

/// Appends FU-A payloads of equal size.
pub fn push_fragments(header: u8, body: &[Bytes], out: &mut Vec<Bytes>) {
    let indicator = header & 0xe0 | FU_A;
    let fu =
        |first, last| [indicator, nal_type(header) | u8::from(first) << 7 | u8::from(last) << 6];
    cut(body, MAX_CANONICAL_PAYLOAD, fu, out);
}

/// STAP-A header over `nals`: the highest `nal_ref_idc`, any forbidden bit (RFC 6184, 5.7).
pub fn aggregation_header(nals: &[Bytes]) -> u8 {
    let headers = || nals.iter().filter_map(|nal| nal.first());
    let reference = headers().map(|header| header & 0x60).max().unwrap_or(0);
    headers().fold(0, |bits, header| bits | header & 0x80) | reference | STAP_A
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(data: &[u8]) -> Bytes {
        Bytes::copy_from_slice(data)
    }

    #[test]
    fn payloads_of_each_kind_are_taken_apart() {
        let single = bytes(&[0x65, 0x88]);
        assert_eq!(parse(&single), Some(NalPayload::Single(single.clone())));
        let nals = vec![bytes(&[0x67, 1]), bytes(&[0x68])];
        assert_eq!(
            parse(&bytes(&[0x78, 0, 2, 0x67, 1, 0, 1, 0x68])),
            Some(NalPayload::Aggregate(nals))
        );
        let part = Fragment { start: true, end: false, header: [0x65, 0], body: bytes(&[9]) };
        assert_eq!(parse(&bytes(&[0x7c, 0x85, 9])), Some(NalPayload::Fragment(part)));
    }

    #[test]
    fn malformed_and_interleaved_payloads_are_refused() {
        let bad: [&[u8]; 10] = [
            &[],
            &[0],
            &[0x78],
            &[0x78, 0],
            &[0x78, 0, 0],
            &[0x78, 0, 2, 0x67],
            &[0x7c, 0x85],
            &[0x7c, 0x9c, 1],
            &[0x79, 0, 0, 0, 1, 9],
            &[0x7d, 0x85, 0, 0, 9],
        ];
        for payload in bad {
            assert_eq!(parse(&bytes(payload)), None, "{payload:?}");
        }
    }

    #[test]
    fn slices_tell_keyframe_reference_and_first() {
        let slice = |keyframe, reference, first| NalClass::Slice { keyframe, reference, first };
        assert_eq!(class(&[0x65, 0x88]), slice(true, Reference::Any, true));
        assert_eq!(class(&[0x41, 0x48]), slice(false, Reference::Any, false));
        assert_eq!(class(&[0x01, 0x80]), slice(false, Reference::None, true));
        assert_eq!(class(&[0x09, 0xf0]), NalClass::Delimiter);
        assert_eq!(class(&[0x06, 5]), NalClass::Other);
        assert_eq!(class(&[]), NalClass::Delimiter);
    }

    #[test]
    fn parameter_sets_tell_their_numbers() {
        assert_eq!(parameter_set_id(&[0x67, 0x42, 0xc0, 30, 0x95]), Some(0));
        assert_eq!(parameter_set_id(&[0x68, 0b0110_0000]), Some(2));
        assert_eq!(parameter_set_id(&[0x67, 0x42]), None);
        assert_eq!(profile_level_id(&[0x67, 0x42, 0xc0, 30]), Some([0x42, 0xc0, 30]));
        assert_eq!(profile_level_id(&[0x68, 0x42, 0xc0, 30]), None);
    }

    #[test]
    fn an_aggregate_takes_the_highest_importance() {
        assert_eq!(aggregation_header(&[bytes(&[0x06]), bytes(&[0x41])]), 0x58);
    }
}
