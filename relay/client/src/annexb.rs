//! From canonical RTP payloads back to an Annex-B access unit.

use bytes::Bytes;
use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::wire::access_unit;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The access unit of one frame's payloads, with start codes. `None`: not H.264 or H.265, or a
/// payload is malformed.
pub fn access_unit(codec: Codec, payloads: &[Bytes]) -> Option<Bytes> {
    match codec {
        Codec::H264 | Codec::H265 => access_unit::access_unit(codec, payloads),
        _ => None,
    }
}

/// Appends a NAL unit with its start code.
pub(crate) fn push_unit(out: &mut Vec<u8>, unit: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(unit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sightline_relay_proto::wire::packetize::packetize;

    #[test]
    fn an_access_unit_survives_packets_of_every_kind() {
        let mut unit = Vec::new();
        push_unit(&mut unit, &[0x67, 0x42, 0xe0, 0x1f, 0xda]);
        push_unit(&mut unit, &[0x68, 0xce, 0x3c, 0x80]);
        push_unit(&mut unit, &[&[0x65, 0x88][..], &[0x5a; 4000]].concat());
        push_unit(&mut unit, &[0x65, 0x11, 0x22]);
        let unit = Bytes::from(unit);
        let payloads = packetize(Codec::H264, &unit);
        assert!(payloads.len() > 4);
        assert_eq!(access_unit(Codec::H264, &payloads), Some(unit));
        assert_eq!(access_unit(Codec::Opus, &payloads), None);
    }
}
