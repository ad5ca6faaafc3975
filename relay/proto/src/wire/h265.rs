//! H.265 in RTP (RFC 7798, without DONL): single NAL unit, AP, FU.

use bytes::Bytes;

use super::annexb;
use super::bits::BitReader;
use super::cut::cut;
use super::nal::{Fragment, NalClass, NalPayload, Reference, split_lengths};
use crate::limits::MAX_CANONICAL_PAYLOAD;

/// Video parameter set.
pub const VPS: u8 = 32;
/// Sequence parameter set.
pub const SPS: u8 = 33;
/// Picture parameter set.
pub const PPS: u8 = 34;
/// Access unit delimiter.
pub const AUD: u8 = 35;
/// Filler data.
pub const FILLER: u8 = 38;
/// Aggregation packet.
pub const AP: u8 = 48;
/// Fragmentation unit.
pub const FU: u8 = 49;

/// `nal_unit_type` of a header's first byte.
pub fn nal_type(header: u8) -> u8 {
    header >> 1 & 0x3f
}

fn with_type(header: [u8; 2], kind: u8) -> [u8; 2] {
    [header[0] & 0x81 | kind << 1, header[1]]
}

/// Takes an RTP payload apart. A payload with a start code in front passes as a single unit.
/// `None`: malformed, or a kind that is not used (PACI, reserved).
pub fn parse(payload: &Bytes) -> Option<NalPayload> {
    let header: [u8; 2] = *payload.first_chunk()?;
    match nal_type(header[0]) {
        0 if annexb::starts_with_code(payload) => Some(NalPayload::Single(payload.clone())),
        _ if header[1] & 7 == 0 => None,
        0..=47 => Some(NalPayload::Single(payload.clone())),
        AP => split_lengths(payload, 2).map(NalPayload::Aggregate),
        FU => {
            let fu = *payload.get(2)?;
            let body = payload.slice(3..);
            if body.is_empty() || fu & 0x3f >= AP {
                return None;
            }
            Some(NalPayload::Fragment(Fragment {
                start: fu & 0x80 != 0,
                end: fu & 0x40 != 0,
                header: with_type(header, fu & 0x3f),
                body,
            }))
        }
        _ => None,
    }
}

/// Class of a NAL unit from its first three bytes.
pub fn class(nal: &[u8]) -> NalClass {
    let Some(&header) = nal.first() else { return NalClass::Delimiter };
    match nal_type(header) {
        kind @ 0..=31 => NalClass::Slice {
            keyframe: (16..=21).contains(&kind),
            reference: reference(nal),
            first: nal.get(2).is_some_and(|byte| byte & 0x80 != 0),
        },
        kind @ VPS..=PPS => NalClass::ParameterSet(kind - VPS),
        AUD | FILLER => NalClass::Delimiter,
        _ => NalClass::Other,
    }
}

/// Whether others refer to the picture of a slice. The even types below 16 are pictures that no
/// other of their own sub-layer refers to (ITU-T H.265, 7.4.2.2).
fn reference(nal: &[u8]) -> Reference {
    let Some(&header) = nal.first_chunk::<2>() else { return Reference::Any };
    let kind = nal_type(header[0]);
    if kind >= 16 || !kind.is_multiple_of(2) || layer_id(header) != 0 {
        return Reference::Any;
    }
    (header[1] & 7).checked_sub(1).map_or(Reference::Any, Reference::Above)
}

fn layer_id(header: [u8; 2]) -> u8 {
    (header[0] & 1) << 5 | header[1] >> 3
}

/// `sps_max_sub_layers_minus1` of an SPS.
pub fn top_sub_layer(sps: &[u8]) -> Option<u8> {
    match sps {
        [high, _, counts, ..] if nal_type(*high) == SPS => Some(counts >> 1 & 7),
        _ => None,
    }
}

/// Number of a VPS, SPS or PPS among those of its kind.
pub fn parameter_set_id(nal: &[u8]) -> Option<u32> {
    let mut body = BitReader::new(nal.get(2..)?);
    match nal_type(nal[0]) {
        VPS => body.bits(4),
        SPS => {
            body.skip(4)?;
            let sub_layers = body.bits(3)?;
            body.skip(1)?;
            skip_profile_tier_level(&mut body, sub_layers)?;
            body.exp_golomb()
        }
        PPS => body.exp_golomb(),
        _ => None,
    }
}

/// Passes over `profile_tier_level(1, sub_layers)` (ITU-T H.265, 7.3.3).
fn skip_profile_tier_level(body: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    const PROFILE: u32 = 88;
    const LEVEL: u32 = 8;
    body.skip(PROFILE + LEVEL)?;
    if sub_layers == 0 {
        return Some(());
    }
    let mut present = [(0, 0); 7];
    for flags in present.iter_mut().take(sub_layers as usize) {
        *flags = (body.bit()?, body.bit()?);
    }
    body.skip(2 * 8u32.saturating_sub(sub_layers))?;
    present.iter().try_for_each(|(profile, level)| body.skip(profile * PROFILE + level * LEVEL))
}

/// Appends FU payloads of equal size.
pub fn push_fragments(header: [u8; 2], body: &[Bytes], out: &mut Vec<Bytes>) {
    let [high, low] = with_type(header, FU);
    let kind = nal_type(header[0]);
    let fu = |first, last| [high, low, kind | u8::from(first) << 7 | u8::from(last) << 6];
    cut(body, MAX_CANONICAL_PAYLOAD, fu, out);
}

/// AP header over `nals`: lowest layer, lowest temporal id, any forbidden bit (RFC 7798, 4.4.2).
pub fn aggregation_header(nals: &[Bytes]) -> [u8; 2] {
    let mut forbidden = 0;
    let (mut layer, mut temporal) = (0x3f, 7);
    for nal in nals {
        let Some(&[high, low]) = nal.first_chunk::<2>() else { continue };
        forbidden |= high & 0x80;
        layer = layer.min(layer_id([high, low]));
        temporal = temporal.min(low & 7);
    }
    [forbidden | AP << 1 | layer >> 5, layer << 3 | temporal]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(data: &[u8]) -> Bytes {
        Bytes::copy_from_slice(data)
    }

    #[test]
    fn payloads_of_each_kind_are_taken_apart() {
        let single = bytes(&[0x26, 1, 0x88]);
        assert_eq!(parse(&single), Some(NalPayload::Single(single.clone())));
        let nals = vec![bytes(&[0x40, 1]), bytes(&[0x42, 1, 7])];
        assert_eq!(
            parse(&bytes(&[0x60, 1, 0, 2, 0x40, 1, 0, 3, 0x42, 1, 7])),
            Some(NalPayload::Aggregate(nals))
        );
        let part = Fragment { start: false, end: true, header: [0x26, 1], body: bytes(&[9]) };
        assert_eq!(parse(&bytes(&[0x62, 1, 0x53, 9])), Some(NalPayload::Fragment(part)));
    }

    #[test]
    fn malformed_and_unused_payloads_are_refused() {
        let bad: [&[u8]; 8] = [
            &[],
            &[0x26],
            &[0x26, 0, 1],
            &[0x60, 1],
            &[0x60, 1, 0, 9, 1],
            &[0x62, 1, 0x93],
            &[0x62, 1, 0xb1, 9],
            &[0x64, 1, 0, 0],
        ];
        for payload in bad {
            assert_eq!(parse(&bytes(payload)), None, "{payload:?}");
        }
    }

    #[test]
    fn every_irap_type_is_a_keyframe_and_no_other() {
        for kind in 0..32u8 {
            let found = class(&[kind << 1, 1, 0x80]);
            let keyframe = (16..=21).contains(&kind);
            let loose = kind < 16 && kind % 2 == 0;
            let reference = if loose { Reference::Above(0) } else { Reference::Any };
            assert_eq!(found, NalClass::Slice { keyframe, reference, first: true });
        }
        assert_eq!(class(&[PPS << 1, 1]), NalClass::ParameterSet(2));
        assert_eq!(class(&[AUD << 1, 1]), NalClass::Delimiter);
        assert_eq!(class(&[39 << 1, 1]), NalClass::Other);
    }

    #[test]
    fn a_picture_may_serve_higher_sub_layers_and_other_layers() {
        let reference = |head: &[u8]| match class(head) {
            NalClass::Slice { reference, .. } => reference,
            other => panic!("{other:?}"),
        };
        assert_eq!(reference(&[4, 3, 0x80]), Reference::Above(2));
        for head in [&[4][..], &[4, 0, 0x80], &[4, 1 << 3 | 1, 0x80], &[5, 1, 0x80]] {
            assert_eq!(reference(head), Reference::Any, "{head:?}");
        }
        assert_eq!(top_sub_layer(&[0x42, 1, 2 << 1 | 1]), Some(2));
        for nal in [&[0x42, 1][..], &[0x40, 1, 0x0c], &[]] {
            assert_eq!(top_sub_layer(nal), None, "{nal:?}");
        }
    }

    #[test]
    fn an_sps_tells_its_number_behind_its_sub_layers() {
        // One sub-layer more with profile and level: 88 + 8 bits; 16 bits of flags.
        for (sub_layers, extra) in [(0u8, 0), (1, 2 + 12)] {
            let mut sps = vec![0x42, 1, sub_layers << 1 | 1];
            sps.extend([0x11; 12]);
            if sub_layers == 1 {
                sps.extend([0xc0, 0]);
                sps.extend([0x11; 12]);
            }
            assert_eq!(sps.len(), 15 + extra);
            sps.push(0b0101_0000);
            assert_eq!(parameter_set_id(&sps), Some(1));
            assert_eq!(parameter_set_id(&sps[..sps.len() - 1]), None);
        }
    }

    #[test]
    fn an_aggregate_takes_the_lowest_layer_and_temporal_id() {
        let nals = [bytes(&[0x03, 0x0a]), bytes(&[0x02, 0x13])];
        assert_eq!(aggregation_header(&nals), [0x60, 0x12]);
    }
}
