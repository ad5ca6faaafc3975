//! JSON of RoQ sessions.

use serde::{Deserialize, Serialize};
use sightline_relay_proto::codec::{Codec, MediaKind, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::Tier;
use sightline_relay_proto::limits::MAX_TRACKS;

/// One track of a RoQ session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoqTrack {
    /// Flow identifier of the track's RTP and RTCP; filled in by the server.
    #[serde(default)]
    pub flow: u64,
    /// RTP payload type; filled in by the server.
    #[serde(default)]
    pub payload_type: u8,
    /// SSRC (viewers).
    #[serde(default)]
    pub ssrc: u32,
    /// `h264`, `h265`, `av1`, `opus`, `pcmu`, `pcma`, `aac`.
    pub codec: String,
    /// RTP clock.
    pub clock_rate: u32,
    /// Audio channels, 0 for video.
    #[serde(default)]
    pub channels: u8,
    /// `main` or `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// SDP format parameters.
    #[serde(default)]
    pub fmtp: String,
}

/// What a RoQ peer needs to connect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoqSession {
    /// Session name.
    pub session: String,
    /// TLS server name that selects the session.
    pub server_name: String,
    /// UDP port.
    pub port: u16,
    /// Tracks with their flows.
    pub tracks: Vec<RoqTrack>,
    /// Whether their frames are sealed.
    #[serde(default)]
    pub sealed: bool,
}

/// The server's session cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum SessionError {
    /// Unknown codec.
    #[error("unknown codec {0:?}")]
    Codec(String),
    /// No track, or too many.
    #[error("a session has 1 to {MAX_TRACKS} tracks")]
    TrackCount,
}

impl RoqTrack {
    /// Announces a track of sealed frames. What describes pictures travels sealed, with them.
    pub fn announce_sealed(info: &TrackInfo) -> Self {
        let mut track = Self::announce(info);
        if info.kind() == MediaKind::Video {
            track.fmtp.clear();
        }
        track
    }

    /// Announces a track.
    pub fn announce(info: &TrackInfo) -> Self {
        Self {
            flow: 0,
            payload_type: 0,
            ssrc: 0,
            codec: info.codec.name().to_owned(),
            clock_rate: info.clock_rate,
            channels: info.channels,
            tier: (info.channels == 0).then(|| info.tier.name().to_owned()),
            fmtp: info.fmtp.clone(),
        }
    }

    /// The track's description.
    pub fn info(&self) -> Result<TrackInfo, SessionError> {
        let codec = Codec::from_name(&self.codec);
        let codec = codec.ok_or_else(|| SessionError::Codec(self.codec.clone()))?;
        let tier = self.tier.as_deref().and_then(Tier::from_name).unwrap_or_default();
        Ok(TrackInfo {
            codec,
            clock_rate: self.clock_rate,
            channels: self.channels,
            tier,
            fmtp: self.fmtp.clone(),
            parameter_sets: Vec::new(),
        })
    }
}

impl RoqSession {
    /// Whether its frames are sealed.
    pub fn mode(&self) -> Mode {
        self.sealed.into()
    }

    /// Descriptions of all tracks.
    pub fn infos(&self) -> Result<Vec<TrackInfo>, SessionError> {
        if self.tracks.is_empty() || self.tracks.len() > MAX_TRACKS {
            return Err(SessionError::TrackCount);
        }
        self.tracks.iter().map(RoqTrack::info).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_picture_is_announced_without_parameter_sets() {
        let fmtp = "config=1190".to_owned();
        for (info, said) in [
            (TrackInfo { fmtp: fmtp.clone(), ..TrackInfo::video(Codec::H264) }, ""),
            (TrackInfo { fmtp: fmtp.clone(), ..TrackInfo::audio(Codec::Aac, 48_000, 2) }, &fmtp),
        ] {
            assert_eq!(RoqTrack::announce(&info).fmtp, fmtp);
            assert_eq!(RoqTrack::announce_sealed(&info).fmtp, said);
        }
    }

    #[test]
    fn every_codec_survives_its_announcement() {
        for codec in Codec::ALL {
            let info = TrackInfo { tier: Tier::Main, ..TrackInfo::video(codec) };
            assert_eq!(RoqTrack::announce(&info).info(), Ok(info));
        }
        let unknown =
            RoqTrack { codec: "vp8".into(), ..RoqTrack::announce(&TrackInfo::video(Codec::H264)) };
        assert_eq!(unknown.info(), Err(SessionError::Codec("vp8".into())));
    }
}
