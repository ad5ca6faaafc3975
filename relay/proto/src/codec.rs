//! Codecs and track descriptions.

use bytes::Bytes;

use crate::ids::Tier;

/// What a track carries. Sightline forwards these and never transcodes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// H.264, RTP payload per RFC 6184 (packetization-mode 1 out).
    H264,
    /// H.265, RTP payload per RFC 7798.
    H265,
    /// AV1, RTP payload per the AOMedia specification.
    Av1,
    /// Opus, RFC 7587.
    Opus,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// AAC, RFC 3640 (mpeg4-generic, AAC-hbr).
    Aac,
}

/// Video or audio.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediaKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 7] =
        [Self::H264, Self::H265, Self::Av1, Self::Opus, Self::Pcmu, Self::Pcma, Self::Aac];

    /// Video or audio.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::H264 | Self::H265 | Self::Av1 => MediaKind::Video,
            Self::Opus | Self::Pcmu | Self::Pcma | Self::Aac => MediaKind::Audio,
        }
    }

    /// Encoding name in SDP `rtpmap`.
    pub fn rtpmap_name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Av1 => "AV1",
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::Aac => "mpeg4-generic",
        }
    }

    /// The codec of an SDP encoding name, in any case.
    pub fn from_rtpmap_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.rtpmap_name().eq_ignore_ascii_case(name))
    }

    /// Whether the RTP marker says that a frame ends here: pictures (RFC 6184 section 5.1, RFC 7798
    /// section 4.1) and AAC access units (RFC 3640 section 3.1). For other audio it says that a
    /// talkspurt begins (RFC 3551 section 4.1), which a stream without silences never does.
    pub fn marker_ends_frame(self) -> bool {
        self.kind() == MediaKind::Video || self == Self::Aac
    }

    /// Name in the JSON of RoQ sessions.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Av1 => "av1",
            Self::Opus => "opus",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
            Self::Aac => "aac",
        }
    }

    /// The codec of a [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

/// One track of a stream as its publisher announced it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackInfo {
    /// What it carries.
    pub codec: Codec,
    /// RTP clock, ticks a second.
    pub clock_rate: u32,
    /// Audio channels; 0 for video.
    pub channels: u8,
    /// Quality tier (video).
    pub tier: Tier,
    /// SDP `fmtp` parameters after the payload type, e.g. `packetization-mode=1;...`; may be empty.
    pub fmtp: String,
    /// Parameter sets known out of band (VPS, SPS, PPS without start codes), in sending order.
    /// In-band sets win from the first keyframe on.
    pub parameter_sets: Vec<Bytes>,
}

impl TrackInfo {
    /// A video track with the usual 90 kHz clock.
    pub fn video(codec: Codec) -> Self {
        Self {
            codec,
            clock_rate: 90_000,
            channels: 0,
            tier: Tier::Main,
            fmtp: String::new(),
            parameter_sets: Vec::new(),
        }
    }

    /// An audio track.
    pub fn audio(codec: Codec, clock_rate: u32, channels: u8) -> Self {
        Self { codec, clock_rate, channels, ..Self::video(codec) }
    }

    /// Video or audio.
    pub fn kind(&self) -> MediaKind {
        self.codec.kind()
    }
}
