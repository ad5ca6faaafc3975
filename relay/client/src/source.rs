//! What is published: frames of an encoder or of a clip.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use sightline_relay_proto::codec::TrackInfo;
use sightline_relay_proto::ids::TrackIndex;
use tokio::sync::mpsc;

use crate::file::ClipPlayer;

/// One encoded picture or sound of a source.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its track.
    pub track: TrackIndex,
    /// RTP timestamp in ticks of the track's clock.
    pub timestamp: u32,
    /// The camera's clock at capture.
    pub captured: SystemTime,
    /// When the source gave it out; the publisher drops what waits too long.
    pub ready: Instant,
    /// Decoding can start here.
    pub keyframe: bool,
    /// Access unit: Annex-B for H.264 and H.265 with parameter sets before keyframes, an OBU
    /// stream for AV1, one packet or unit of audio. In a sealed session the sealed frame of that.
    pub unit: Bytes,
}

/// Where frames come from.
#[derive(Debug)]
pub enum MediaSource {
    /// A clip, played in real time for ever.
    Clip(ClipPlayer),
    /// An encoder of the caller. The channel's bound is the queue's bound.
    Encoder {
        /// Its tracks.
        tracks: Vec<TrackInfo>,
        /// Its frames.
        frames: mpsc::Receiver<Frame>,
    },
}

impl MediaSource {
    /// Tracks, in the order of [`Frame::track`].
    pub fn tracks(&self) -> &[TrackInfo] {
        match self {
            Self::Clip(clip) => clip.tracks(),
            Self::Encoder { tracks, .. } => tracks,
        }
    }

    /// Throws away what an encoder has queued.
    pub(crate) fn skip_waiting(&mut self) {
        if let Self::Encoder { frames, .. } = self {
            while frames.try_recv().is_ok() {}
        }
    }

    /// The next frame when it is due; `None` at the end of the source. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Frame> {
        match self {
            Self::Clip(clip) => Some(clip.next().await),
            Self::Encoder { frames, .. } => frames.recv().await,
        }
    }
}
