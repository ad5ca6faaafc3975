//! The clear descriptor of a sealed frame.
//!
//! ```text
//! byte 0       version, 1
//! byte 1       flags: 1 keyframe, 2 discardable, 4 discontinuity, 8 tier sub; others 0
//! byte 2       codec: 1 H.264, 2 H.265, 3 AV1, 4 Opus, 5 PCMU, 6 PCMA, 7 AAC
//! byte 3       track
//! bytes 4-5    channel, big endian as the rest
//! bytes 6-13   capture time, microseconds since 1970 UTC
//! bytes 14-21  first 8 bytes of SHA-256("sightline/v1/serial" || serial)
//! ```

use aws_lc_rs::digest::{Context, SHA256};

use super::SealedError;
use crate::codec::Codec;
use crate::frame::CaptureTime;
use crate::ids::{Channel, DeviceId, Tier, TrackIndex};
use crate::wire::varint;

/// Bytes of a descriptor.
pub const DESCRIPTOR_LEN: usize = 22;
/// The version that this file writes and reads.
pub(super) const VERSION: u8 = 1;
/// What comes before the serial in its hash.
const SERIAL_LABEL: &[u8] = b"sightline/v1/serial";

const KEYFRAME: u8 = 1;
const DISCARDABLE: u8 = 1 << 1;
const DISCONTINUITY: u8 = 1 << 2;
const TIER_SUB: u8 = 1 << 3;
const KNOWN_FLAGS: u8 = KEYFRAME | DISCARDABLE | DISCONTINUITY | TIER_SUB;

/// A device serial as descriptors carry it: binds a frame to its device without naming it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SerialHash(pub [u8; 8]);

impl SerialHash {
    /// The hash of a serial.
    pub fn of(serial: &DeviceId) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(SERIAL_LABEL);
        context.update(serial.as_str().as_bytes());
        let digest = context.finish();
        Self(*digest.as_ref().first_chunk().expect("a SHA-256 digest has 32 bytes"))
    }
}

/// What a camera says of a sealed frame, in clear and authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// Decoding can start here. True of every frame of sound.
    pub keyframe: bool,
    /// No later frame refers to it.
    pub discardable: bool,
    /// Frames before this one were lost on their way to whoever sealed it.
    pub discontinuity: bool,
    /// Quality tier.
    pub tier: Tier,
    /// Codec of the access unit.
    pub codec: Codec,
    /// Place of the track in its stream.
    pub track: TrackIndex,
    /// Lens of the device.
    pub channel: Channel,
    /// The camera's clock at capture, at most [`varint::MAX`].
    pub capture: CaptureTime,
    /// The device.
    pub serial: SerialHash,
}

impl Descriptor {
    /// Reads a descriptor.
    ///
    /// # Errors
    /// Another version, or flags, codec or capture time that this version does not have.
    pub fn parse(bytes: &[u8; DESCRIPTOR_LEN]) -> Result<Self, SealedError> {
        let [version, flags, codec, track, rest @ ..] = *bytes;
        let [channel_high, channel_low, rest @ ..] = rest;
        let (capture, serial) = rest.split_at(8);
        if version != VERSION {
            return Err(SealedError::Version(version));
        }
        if flags & !KNOWN_FLAGS != 0 {
            return Err(SealedError::Flags(flags & !KNOWN_FLAGS));
        }
        let capture = u64::from_be_bytes(capture.try_into().expect("eight bytes were taken"));
        if capture > varint::MAX {
            return Err(SealedError::Capture(capture));
        }
        Ok(Self {
            keyframe: flags & KEYFRAME != 0,
            discardable: flags & DISCARDABLE != 0,
            discontinuity: flags & DISCONTINUITY != 0,
            tier: if flags & TIER_SUB != 0 { Tier::Sub } else { Tier::Main },
            codec: codec_of(codec).ok_or(SealedError::Codec(codec))?,
            track: TrackIndex(track),
            channel: Channel(u16::from_be_bytes([channel_high, channel_low])),
            capture: CaptureTime(capture),
            serial: SerialHash(serial.try_into().expect("eight bytes are left")),
        })
    }

    /// The descriptor's bytes. A capture time over [`varint::MAX`] is cut to it.
    pub fn write(&self) -> [u8; DESCRIPTOR_LEN] {
        let mut out = [0; DESCRIPTOR_LEN];
        out[0] = VERSION;
        out[1] = self.flags();
        out[2] = codec_id(self.codec);
        out[3] = self.track.0;
        out[4..6].copy_from_slice(&self.channel.0.to_be_bytes());
        out[6..14].copy_from_slice(&self.capture.0.min(varint::MAX).to_be_bytes());
        out[14..].copy_from_slice(&self.serial.0);
        out
    }

    fn flags(&self) -> u8 {
        [
            (self.keyframe, KEYFRAME),
            (self.discardable, DISCARDABLE),
            (self.discontinuity, DISCONTINUITY),
            (self.tier == Tier::Sub, TIER_SUB),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(0, |flags, (_, bit)| flags | bit)
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

fn codec_of(id: u8) -> Option<Codec> {
    Codec::ALL.into_iter().find(|codec| codec_id(*codec) == id)
}
