//! The DESCRIPTOR of a sealed frame, and how its key is named. Bytes only.

use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, Tier, TrackIndex};

/// Bytes of a descriptor.
pub(super) const LEN: usize = 22;
/// Bytes of the hash that stands for the serial.
pub(super) const SERIAL_TAG_LEN: usize = 8;

/// Latest capture time, microseconds since 1970: what an integer of QUIC holds (RFC 9000, 16), in
/// which viewers over WebTransport get it.
pub(super) const MAX_CAPTURE: u64 = (1 << 62) - 1;

const VERSION: u8 = 1;
const KEYFRAME: u8 = 1;
const DISCARDABLE: u8 = 1 << 1;
const DISCONTINUITY: u8 = 1 << 2;
const TIER_SUB: u8 = 1 << 3;
const FLAGS: u8 = KEYFRAME | DISCARDABLE | DISCONTINUITY | TIER_SUB;

/// What a relay may know of a sealed frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Descriptor {
    pub(super) keyframe: bool,
    pub(super) discardable: bool,
    pub(super) discontinuity: bool,
    pub(super) tier: Tier,
    pub(super) codec: Codec,
    pub(super) track: TrackIndex,
    pub(super) channel: Channel,
    pub(super) capture: CaptureTime,
    pub(super) serial_tag: [u8; SERIAL_TAG_LEN],
}

impl Descriptor {
    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let flags = [
            (self.keyframe, KEYFRAME),
            (self.discardable, DISCARDABLE),
            (self.discontinuity, DISCONTINUITY),
            (self.tier == Tier::Sub, TIER_SUB),
        ];
        let mut out = [0; LEN];
        out[0] = VERSION;
        out[1] = flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        out[2] = codec_id(self.codec);
        out[3] = self.track.0;
        out[4..6].copy_from_slice(&self.channel.0.to_be_bytes());
        out[6..14].copy_from_slice(&self.capture.0.to_be_bytes());
        out[14..].copy_from_slice(&self.serial_tag);
        out
    }

    /// `None`: another version, an unknown flag or codec, a capture time out of bounds.
    pub(super) fn parse(bytes: &[u8; LEN]) -> Option<Self> {
        let flags = bytes[1];
        if bytes[0] != VERSION || flags & !FLAGS != 0 {
            return None;
        }
        Some(Self {
            keyframe: flags & KEYFRAME != 0,
            discardable: flags & DISCARDABLE != 0,
            discontinuity: flags & DISCONTINUITY != 0,
            tier: if flags & TIER_SUB != 0 { Tier::Sub } else { Tier::Main },
            codec: Codec::ALL.into_iter().find(|codec| codec_id(*codec) == bytes[2])?,
            track: TrackIndex(bytes[3]),
            channel: Channel(u16::from_be_bytes([bytes[4], bytes[5]])),
            capture: Some(u64::from_be_bytes(bytes[6..14].try_into().ok()?))
                .filter(|capture| *capture <= MAX_CAPTURE)
                .map(CaptureTime)?,
            serial_tag: bytes[14..].try_into().ok()?,
        })
    }
}

fn codec_id(codec: Codec) -> u8 {
    match codec {
        Codec::H264 => 1,
        Codec::H265 => 2,
        Codec::Av1 => 3,
        Codec::Opus => 4,
        Codec::Pcmu => 5,
        Codec::Pcma => 6,
        Codec::Aac => 7,
    }
}

/// The KID of a track: generation, channel, track.
pub(super) fn kid(generation: u64, channel: Channel, track: TrackIndex) -> u64 {
    generation << 24 | u64::from(channel.0) << 8 | u64::from(track.0)
}

/// The parts of a KID.
pub(super) fn kid_parts(kid: u64) -> (u64, Channel, TrackIndex) {
    (kid >> 24, Channel((kid >> 8) as u16), TrackIndex(kid as u8))
}
