//! Clips as sources: MP4 and raw Annex-B files, played in real time for ever.

mod mp4;
mod raw;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::ids::TrackIndex;

use crate::source::Frame;

/// Longest clip file, bytes; it is held in memory.
pub const MAX_CLIP: u64 = 1024 * 1024 * 1024;
/// Samples of a clip, at most.
const MAX_SAMPLES: usize = 4_000_000;
/// A player that is further behind than this starts its clock anew instead of catching up.
const MAX_BEHIND: Duration = Duration::from_secs(1);

/// Why a clip cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// It cannot be read.
    #[error("the clip: {0}")]
    Io(#[from] std::io::Error),
    /// Longer than [`MAX_CLIP`], or with too many samples.
    #[error("the clip is too long")]
    TooLong,
    /// Not an MP4 file that is understood; the text says why.
    #[error("the clip cannot be read as MP4: {0}")]
    Mp4(String),
    /// No track of a codec that is taken.
    #[error("the clip has no H.264, H.265, AV1, AAC or Opus track")]
    NoTrack,
}

/// A clip in memory: its tracks, and its samples in decoding order.
#[derive(Debug)]
pub struct Clip {
    pub(crate) tracks: Vec<TrackInfo>,
    pub(crate) samples: Vec<Sample>,
    /// Length of one round.
    pub(crate) duration: Duration,
}

/// One access unit of a clip.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) track: TrackIndex,
    /// When to send it, from the start.
    pub(crate) at: Duration,
    /// When to show it, in ticks of the track's RTP clock from the start.
    pub(crate) timestamp: u64,
    pub(crate) keyframe: bool,
    pub(crate) unit: Bytes,
}

impl Clip {
    /// Reads a clip. `.h264`, `.264`, `.h265`, `.265` and `.hevc` are raw Annex-B files of
    /// `frame_rate` pictures a second; everything else is MP4.
    pub fn open(path: &Path, frame_rate: u32) -> Result<Self, ClipError> {
        if std::fs::metadata(path)?.len() > MAX_CLIP {
            return Err(ClipError::TooLong);
        }
        let bytes = Bytes::from(std::fs::read(path)?);
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "h264" | "264" => raw::read(raw::H264, &bytes, frame_rate),
            "h265" | "265" | "hevc" => raw::read(raw::H265, &bytes, frame_rate),
            _ => Self::from_mp4(&bytes),
        }
    }

    /// Reads an MP4 file that is in memory.
    pub fn from_mp4(file: &Bytes) -> Result<Self, ClipError> {
        mp4::read(file)
    }

    /// Puts samples of all tracks in the order of sending.
    pub(crate) fn new(
        tracks: Vec<TrackInfo>,
        mut samples: Vec<Sample>,
        duration: Duration,
    ) -> Result<Self, ClipError> {
        if tracks.is_empty() || samples.is_empty() {
            return Err(ClipError::NoTrack);
        }
        if samples.len() > MAX_SAMPLES {
            return Err(ClipError::TooLong);
        }
        samples.sort_by_key(|sample| sample.at);
        Ok(Self { tracks, samples, duration: duration.max(Duration::from_millis(1)) })
    }

    /// Tracks.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// Plays it for ever, from now.
    pub fn play(self) -> ClipPlayer {
        ClipPlayer { clip: self, next: 0, round: 0, started: Instant::now() }
    }
}

/// A clip that is being played, round after round, on one continuous timeline.
#[derive(Debug)]
pub struct ClipPlayer {
    clip: Clip,
    next: usize,
    round: u32,
    started: Instant,
}

impl ClipPlayer {
    /// Tracks.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.clip.tracks
    }

    /// The next frame when it is due. Cancelling loses nothing.
    pub async fn next(&mut self) -> Frame {
        let due = self.due();
        if due.elapsed() > MAX_BEHIND {
            self.started += due.elapsed();
        }
        tokio::time::sleep_until(due.into()).await;
        self.take(Instant::now(), SystemTime::now())
    }

    fn due(&self) -> Instant {
        self.started + self.clip.duration * self.round + self.clip.samples[self.next].at
    }

    fn take(&mut self, ready: Instant, captured: SystemTime) -> Frame {
        let sample = &self.clip.samples[self.next];
        let rate = self.clip.tracks[usize::from(sample.track.0)].clock_rate;
        let round = self.clip.duration.as_nanos() * u128::from(self.round);
        let offset = round * u128::from(rate) / 1_000_000_000;
        let frame = Frame {
            track: sample.track,
            timestamp: (u128::from(sample.timestamp) + offset) as u32,
            captured,
            ready,
            keyframe: sample.keyframe,
            unit: sample.unit.clone(),
        };
        self.next += 1;
        if self.next == self.clip.samples.len() {
            self.next = 0;
            self.round += 1;
        }
        frame
    }
}

/// Ticks of `scale` a second as a duration.
pub(crate) fn duration_of(ticks: u64, scale: u32) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(scale.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
