//! From canonical RTP payloads back to what a decoder takes: one access unit a frame.

use bytes::{BufMut, Bytes, BytesMut};

use super::aac::{self, AacPayload};
use super::av1;
use super::nal::{NalFormat, NalPayload};
use crate::codec::Codec;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// OBU header bit: a size follows.
const OBU_HAS_SIZE: u8 = 2;
/// OBU header bit: an extension byte follows.
const OBU_HAS_EXTENSION: u8 = 4;

/// The access unit of one frame's payloads: with start codes (H.264, H.265), as OBUs with sizes
/// behind a temporal delimiter (AV1), or the bare unit (sound). `None`: a payload is malformed, or
/// holds several units of sound.
pub fn access_unit(codec: Codec, payloads: &[Bytes]) -> Option<Bytes> {
    match codec {
        Codec::H264 => nal_units(NalFormat::H264, payloads),
        Codec::H265 => nal_units(NalFormat::H265, payloads),
        Codec::Av1 => temporal_unit(payloads),
        Codec::Aac => aac_unit(payloads),
        Codec::Opus | Codec::Pcmu | Codec::Pcma => match payloads {
            [payload] => Some(payload.clone()),
            _ => Some(payloads.concat().into()),
        },
    }
}

fn nal_units(format: NalFormat, payloads: &[Bytes]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(payloads.iter().map(Bytes::len).sum::<usize>() + 64);
    for payload in payloads {
        match format.parse(payload)? {
            NalPayload::Single(unit) => put_unit(&mut out, &unit),
            NalPayload::Aggregate(units) => units.iter().for_each(|unit| put_unit(&mut out, unit)),
            NalPayload::Fragment(fragment) => {
                if fragment.start {
                    put_unit(&mut out, &fragment.header[..format.header_len()]);
                }
                out.put_slice(&fragment.body);
            }
        }
    }
    Some(out.freeze())
}

fn put_unit(out: &mut BytesMut, unit: &[u8]) {
    out.put_slice(&START_CODE);
    out.put_slice(unit);
}

fn temporal_unit(payloads: &[Bytes]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(payloads.iter().map(Bytes::len).sum::<usize>() + 64);
    out.put_slice(&[av1::TEMPORAL_DELIMITER << 3 | OBU_HAS_SIZE, 0]);
    let mut begun: Vec<u8> = Vec::new();
    let mut open = false;
    for payload in payloads {
        let (header, elements) = av1::parse(payload)?;
        if header.continues != open {
            return None;
        }
        let last = elements.len() - 1;
        for (at, element) in elements.iter().enumerate() {
            open = at == last && header.unfinished;
            begun.extend_from_slice(element);
            if !open {
                put_obu(&mut out, &begun)?;
                begun.clear();
            }
        }
    }
    (!open).then(|| out.freeze())
}

/// Appends an OBU with its size. RTP leaves the size out.
fn put_obu(out: &mut BytesMut, obu: &[u8]) -> Option<()> {
    let header = *obu.first()?;
    if header & OBU_HAS_SIZE != 0 {
        out.put_slice(obu);
        return Some(());
    }
    let body = if header & OBU_HAS_EXTENSION != 0 { 2 } else { 1 };
    let (head, body) = obu.split_at_checked(body)?;
    out.put_u8(header | OBU_HAS_SIZE);
    out.put_slice(&head[1..]);
    av1::put_leb128(body.len(), out);
    out.put_slice(body);
    Some(())
}

fn aac_unit(payloads: &[Bytes]) -> Option<Bytes> {
    let mut joined = BytesMut::new();
    for payload in payloads {
        match aac::parse(payload)? {
            AacPayload::Units(mut units) if payloads.len() == 1 && units.len() == 1 => {
                return units.pop();
            }
            AacPayload::Units(_) => return None,
            AacPayload::Fragment { body, .. } => joined.put_slice(&body),
        }
    }
    (!joined.is_empty()).then(|| joined.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packetize::packetize;

    /// What comes back from packets of `unit`.
    fn back(codec: Codec, unit: &Bytes) -> Option<Bytes> {
        access_unit(codec, &packetize(codec, unit))
    }

    #[test]
    fn pictures_survive_packets_of_every_kind() {
        let mut unit = BytesMut::new();
        put_unit(&mut unit, &[0x67, 0x42, 0xe0, 0x1f, 0xda]);
        put_unit(&mut unit, &[0x68, 0xce, 0x3c, 0x80]);
        put_unit(&mut unit, &[&[0x65, 0x88][..], &[0x5a; 4000]].concat());
        put_unit(&mut unit, &[0x65, 0x11, 0x22]);
        let unit = unit.freeze();
        assert!(packetize(Codec::H264, &unit).len() > 4);
        assert_eq!(back(Codec::H264, &unit), Some(unit));

        let mut unit = BytesMut::new();
        put_unit(&mut unit, &[0x40, 1, 0x0c, 1]);
        put_unit(&mut unit, &[&[0x26, 1][..], &[0x5a; 4000]].concat());
        let unit = unit.freeze();
        assert_eq!(back(Codec::H265, &unit), Some(unit));
    }

    #[test]
    fn a_temporal_unit_survives_fragments() {
        let mut unit = BytesMut::new();
        unit.put_slice(&[av1::TEMPORAL_DELIMITER << 3 | OBU_HAS_SIZE, 0]);
        for (kind, len) in [(av1::SEQUENCE_HEADER, 11), (av1::FRAME, 4000)] {
            unit.put_u8(kind << 3 | OBU_HAS_SIZE);
            av1::put_leb128(len, &mut unit);
            unit.put_bytes(0x5a, len);
        }
        let unit = unit.freeze();
        assert!(packetize(Codec::Av1, &unit).len() > 3);
        assert_eq!(back(Codec::Av1, &unit), Some(unit));
    }

    #[test]
    fn sound_comes_back_bare() {
        let unit = Bytes::from(vec![7; 300]);
        for codec in [Codec::Opus, Codec::Pcma, Codec::Aac] {
            assert_eq!(back(codec, &unit), Some(unit.clone()), "{codec:?}");
        }
        let long = Bytes::from(vec![7; 3000]);
        assert_eq!(back(Codec::Aac, &long), Some(long.clone()));
    }

    #[test]
    fn what_is_malformed_gives_nothing() {
        let cut =
            packetize(Codec::Av1, &Bytes::from([&[0x32, 0xb8, 0x17][..], &[1; 3000]].concat()));
        assert!(cut.len() > 1);
        assert_eq!(access_unit(Codec::Av1, &cut[..1]), None, "unfinished");
        assert_eq!(access_unit(Codec::Av1, &cut[1..]), None, "without its start");
        for codec in Codec::ALL {
            // No payload of any codec is empty; whatever comes of it, nothing panics.
            let _ = access_unit(codec, &[Bytes::new()]);
            let _ = access_unit(codec, &[]);
        }
        assert_eq!(access_unit(Codec::H264, &[Bytes::new()]), None);
    }
}
