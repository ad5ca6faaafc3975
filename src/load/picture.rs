//! The frames that the cameras send: no decoder likes them, but every size is as asked.

use bytes::Bytes;
use sightline_relay_proto::limits::{
    MAX_CANONICAL_PACKET, MAX_FRAME, MAX_PUBLISHER_BYTES, MAX_PUBLISHER_PACKETS,
};
use sightline_relay_proto::wire::rtp::HEADER_LEN;

use super::stamp::{MAX_STAMP, Stamp};

/// Bytes of FU-A's indicator and header (RFC 6184, 5.8).
const FU: usize = 2;
/// Header of an IDR slice and of another one, each with the first bytes of a slice header whose
/// first macroblock is 0.
const KEYFRAME_HEAD: [u8; 3] = [0x65, 0x88, 0x84];
const FRAME_HEAD: [u8; 3] = [0x41, 0x9a, 0x24];
/// NAL header byte and slice bytes before the stamp.
const SLICE_HEAD: usize = 2;
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Parameter sets that go before a keyframe: they make one small packet more.
const SPS: [u8; 11] = [0, 0, 0, 1, 0x67, 0x42, 0x00, 0x1f, 0xf8, 0x41, 0xa2];
const PPS: [u8; 8] = [0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80];
/// What the rest of a frame is filled with.
const FILL: u8 = 0x5a;

/// Sizes of a camera's frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sizes {
    frame: usize,
    keyframe: usize,
}

/// A slice as the first packet of a frame shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SliceStart<'a> {
    /// Of an IDR picture.
    pub(super) keyframe: bool,
    /// What follows the first bytes of the slice: the stamp, then filling.
    pub(super) body: &'a [u8],
}

impl Sizes {
    /// Sizes for `bitrate` (bits a second of RTP with its headers) at `fps`. Keyframes are `factor`
    /// times as large. The packets of a frame are all of the same size, so that a frame may be some
    /// bytes shorter than its share.
    pub(super) fn new(bitrate: u64, fps: u32, factor: f64) -> Result<Self, String> {
        let share = bitrate as f64 / 8.0 / f64::from(fps);
        let largest = share * factor.max(1.0);
        let least = HEADER_LEN + 1 + SLICE_HEAD + MAX_STAMP;
        if share * factor.min(1.0) < least as f64 {
            return Err(format!("a frame must have {least} bytes or more: raise --bitrate"));
        }
        let packets = (share / MAX_CANONICAL_PACKET as f64).ceil() * f64::from(fps);
        let too_fast = bitrate / 8 > MAX_PUBLISHER_BYTES / 2
            || packets > MAX_PUBLISHER_PACKETS as f64 / 2.0
            || largest > MAX_FRAME as f64 / 2.0;
        if too_fast {
            return Err(
                "the server takes 50 Mbit/s, 10 000 packets a second and frames of 2 MiB of \
                 a camera: lower --bitrate, --fps or --keyframe-factor"
                    .into(),
            );
        }
        let unit = |bytes: f64| unit_len(bytes as usize);
        Ok(Self { frame: unit(share), keyframe: unit(share * factor) })
    }

    /// The access unit of a frame, in Annex B.
    pub(super) fn unit(&self, stamp: &Stamp<'_>, keyframe: bool) -> Bytes {
        let len = if keyframe { self.keyframe } else { self.frame };
        let mut out = Vec::with_capacity(len + SPS.len() + PPS.len() + START_CODE.len());
        if keyframe {
            out.extend_from_slice(&SPS);
            out.extend_from_slice(&PPS);
        }
        out.extend_from_slice(&START_CODE);
        let slice = out.len();
        out.extend_from_slice(if keyframe { &KEYFRAME_HEAD } else { &FRAME_HEAD });
        stamp.write(&mut out);
        out.resize(slice + len, FILL);
        out.into()
    }
}

/// Bytes of the NAL unit whose packets make up at most `bytes`.
fn unit_len(bytes: usize) -> usize {
    if bytes <= MAX_CANONICAL_PACKET {
        return bytes - HEADER_LEN;
    }
    let overhead = HEADER_LEN + FU;
    let full = MAX_CANONICAL_PACKET - overhead;
    let packets = bytes.div_ceil(MAX_CANONICAL_PACKET);
    let body = packets * (bytes / packets - overhead);
    // The fragments' own headers may save the last packet; then the others are full.
    let body = if body <= (packets - 1) * full { (packets - 1) * full } else { body };
    1 + body
}

/// The start of a slice, if this RTP payload holds one.
pub(super) fn slice_start(payload: &[u8]) -> Option<SliceStart<'_>> {
    const FU_A: u8 = 28;
    const FU_START: u8 = 0x80;
    let first = *payload.first()?;
    let (header, at) = match first & 0x1f {
        FU_A if payload.get(1)? & FU_START != 0 => (*payload.get(1)?, FU),
        FU_A => return None,
        _ => (first, 1),
    };
    let keyframe = header & 0x1f == KEYFRAME_HEAD[0] & 0x1f;
    if !keyframe && header & 0x1f != FRAME_HEAD[0] & 0x1f {
        return None;
    }
    Some(SliceStart { keyframe, body: payload.get(at + SLICE_HEAD..)? })
}

#[cfg(test)]
mod tests {
    use sightline_relay_proto::codec::Codec;
    use sightline_relay_proto::wire::packetize::packetize;

    use super::*;

    const STAMP: Stamp<'_> = Stamp { serial: "LOAD-1", frame: 3, captured: 4 };

    /// RTP sizes of a frame.
    fn packets(sizes: &Sizes, keyframe: bool) -> Vec<usize> {
        let payloads = packetize(Codec::H264, &sizes.unit(&STAMP, keyframe));
        payloads.iter().map(|payload| payload.len() + HEADER_LEN).collect()
    }

    #[test]
    fn four_megabits_at_thirty_frames_are_fourteen_equal_packets() {
        let sizes = Sizes::new(4_000_000, 30, 1.0).expect("sizes");
        assert_eq!(packets(&sizes, false), [1190; 14]);
        assert_eq!(packets(&sizes, true)[1..], [1190; 14]);
    }

    #[test]
    fn packets_of_a_frame_are_equal_and_keep_to_the_bitrate() {
        for bitrate in (30_000..9_000_000).step_by(7919) {
            let sizes = Sizes::new(bitrate, 30, 1.0).expect("sizes");
            let packets = packets(&sizes, false);
            let total: usize = packets.iter().sum();
            let share = (bitrate / 240) as usize;
            assert!(packets.iter().all(|size| *size == packets[0]), "{bitrate}: {packets:?}");
            assert!(packets[0] <= MAX_CANONICAL_PACKET && total <= share, "{bitrate}");
            assert!(total + packets.len() + 2 * HEADER_LEN + MAX_CANONICAL_PACKET / 50 >= share);
        }
    }

    #[test]
    fn the_stamp_is_in_the_first_packet_of_the_slice() {
        for bitrate in [40_000, 4_000_000] {
            let sizes = Sizes::new(bitrate, 30, 3.0).expect("sizes");
            for keyframe in [false, true] {
                let payloads = packetize(Codec::H264, &sizes.unit(&STAMP, keyframe));
                let at = usize::from(keyframe);
                let start = slice_start(&payloads[at]).expect("a slice");
                assert_eq!((start.keyframe, Stamp::read(start.body)), (keyframe, Ok(STAMP)));
                let others = payloads.iter().enumerate().filter(|(other, _)| *other != at);
                assert!(others.map(|(_, payload)| slice_start(payload)).all(|it| it.is_none()));
            }
        }
    }

    #[test]
    fn what_the_server_does_not_take_is_refused() {
        assert!(Sizes::new(10_000, 30, 1.0).is_err());
        assert!(Sizes::new(60_000_000, 30, 1.0).is_err());
        assert!(Sizes::new(40_000_000, 30, 100.0).is_err());
        assert!(Sizes::new(40_000, 30, 0.1).is_err());
    }
}
