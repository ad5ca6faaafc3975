//! The unit of the relay: a frame as a run of canonical RTP payloads of one timestamp.
//!
//! A frame is cut into canonical packets **once**, at ingest. Payload bytes are stored once and
//! shared; only the 12-byte RTP header differs per viewer.

use std::time::Instant;

use bytes::Bytes;

use crate::codec::Codec;
use crate::ids::{Tier, TrackIndex};

/// Media time: RTP ticks of the canonical timeline, extended beyond 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MediaTime(pub u64);

impl MediaTime {
    /// The value as it goes into an RTP header.
    pub fn rtp(self) -> u32 {
        self.0 as u32
    }
}

/// The camera's own clock at capture, microseconds since 1970 UTC. May step; never used as a timer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CaptureTime(pub u64);

/// When the frame reached this relay, on the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ArrivalTime(pub Instant);

/// What a device's media is, all of it: a stream never changes from one to the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Clear media.
    Open,
    /// End-to-end encrypted before it leaves the device.
    Sealed,
}

impl Mode {
    /// The mode in words, and in the text of refusals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
        }
    }

    /// Whether it is [`Self::Sealed`].
    pub fn is_sealed(self) -> bool {
        self == Self::Sealed
    }
}

impl From<bool> for Mode {
    /// [`Self::Sealed`] if `sealed`.
    fn from(sealed: bool) -> Self {
        if sealed { Self::Sealed } else { Self::Open }
    }
}

/// Whether the relay could read the payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protection {
    /// Clear media of an open device.
    Open,
    /// SFrame ciphertext of a sealed device (RFC 9605) under this key generation.
    Sealed {
        /// Key generation, rises for ever.
        generation: u64,
    },
}

impl Protection {
    /// Without the generation.
    pub fn mode(self) -> Mode {
        match self {
            Self::Open => Mode::Open,
            Self::Sealed { .. } => Mode::Sealed,
        }
    }
}

/// What the relay may know of a frame: filled by ingest for open streams, signed by the camera for
/// sealed ones. Cache, start, pacing, dropping and recording read only this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// The track in its stream.
    pub track: TrackIndex,
    /// Quality tier of the track.
    pub tier: Tier,
    /// Codec of the track.
    pub codec: Codec,
    /// Decoding can start here. Every audio frame is one.
    pub keyframe: bool,
    /// No later frame refers to it: see [`Self::is_needless`].
    pub discardable: bool,
    /// Frames were lost before this one, so that decoders may show errors until a keyframe.
    pub discontinuity: bool,
    /// Open or sealed.
    pub protection: Protection,
    /// Place on the track's canonical timeline.
    pub media_time: MediaTime,
    /// Camera's clock at capture, if known.
    pub capture: Option<CaptureTime>,
    /// Arrival of the frame's first packet here.
    pub arrival: ArrivalTime,
}

impl Descriptor {
    /// Whether a viewer that is given less does without it first. A keyframe may be referred to by
    /// none, and still is where decoders start.
    pub fn is_needless(&self) -> bool {
        self.discardable && !self.keyframe
    }
}

/// One encoded picture or audio frame.
#[derive(Debug)]
pub struct Frame {
    /// The clear description.
    pub descriptor: Descriptor,
    /// Canonical sequence number of the first packet, extended beyond 16 bits.
    pub first_seq: u64,
    /// RTP payloads, each at most [`crate::limits::MAX_CANONICAL_PAYLOAD`] bytes, never empty.
    /// All but the last of a run have one size.
    pub payloads: Box<[Bytes]>,
}

impl Frame {
    /// Payload bytes of all packets.
    pub fn bytes(&self) -> usize {
        self.payloads.iter().map(Bytes::len).sum()
    }

    /// Whether the packet of payload `at` carries the RTP marker. The last of a sealed frame does,
    /// whatever its codec: its payload format is one for all.
    pub fn marker(&self, at: usize) -> bool {
        let Descriptor { codec, protection, .. } = self.descriptor;
        let marked = protection.mode().is_sealed() || codec.marker_ends_frame();
        at + 1 == self.payloads.len() && marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::{FrameSpec, video_frame};

    fn marked(codec: Codec, protection: Protection) -> Vec<bool> {
        let mut frame = video_frame(FrameSpec { codec, packets: 3, ..FrameSpec::default() });
        frame.descriptor.protection = protection;
        (0..3).map(|at| frame.marker(at)).collect()
    }

    /// GStreamer's AAC depayloader hands nothing on before a marker.
    #[test]
    fn the_marker_ends_pictures_and_aac_units_and_no_other_sound() {
        for codec in [Codec::H264, Codec::H265, Codec::Av1, Codec::Aac] {
            assert_eq!(marked(codec, Protection::Open), [false, false, true], "{codec:?}");
        }
        for codec in [Codec::Opus, Codec::Pcmu, Codec::Pcma] {
            assert_eq!(marked(codec, Protection::Open), [false; 3], "{codec:?}");
        }
    }

    #[test]
    fn the_marker_ends_every_sealed_frame() {
        for codec in Codec::ALL {
            let protection = Protection::Sealed { generation: 1 };
            assert_eq!(marked(codec, protection), [false, false, true], "{codec:?}");
        }
    }
}
