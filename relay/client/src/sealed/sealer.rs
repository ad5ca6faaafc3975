//! The camera's side of a channel: access units become sealed frames.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sightline_relay_proto::codec::{Codec, MediaKind};
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Tier, TrackIndex};
use sightline_relay_proto::limits::{MAX_CANONICAL_PAYLOAD, MAX_FRAME, MAX_TRACKS};
use sightline_relay_proto::wire::sealed::{Descriptor, SerialHash};
use sightline_relay_proto::wire::varint;

use super::OVERHEAD;
use super::generation_keys::ChannelKeys;
use crate::keys::Generation;
use crate::secret::CryptoFailed;
use crate::sframe::{SealError, SealingKey};

/// Longest access unit, bytes: sealed, and with a byte more in each packet, it is a frame that the
/// relay takes.
pub const MAX_UNIT: usize =
    MAX_FRAME / MAX_CANONICAL_PAYLOAD * (MAX_CANONICAL_PAYLOAD - 1) - OVERHEAD;

/// How long tracks may go on under an old generation after the news that ends it, until their next
/// keyframe. With the time that a list needs to reach the camera it keeps a removed guest to two seconds.
pub const MAX_SWITCH_WAIT: Duration = Duration::from_secs(1);

/// What is said of a frame in the clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameInfo {
    /// The track in its stream.
    pub track: TrackIndex,
    /// Quality tier of the track.
    pub tier: Tier,
    /// Codec of the track.
    pub codec: Codec,
    /// Decoding can start here. Sound always is one.
    pub keyframe: bool,
    /// No later frame refers to it.
    pub discardable: bool,
    /// Frames were lost before this one.
    pub discontinuity: bool,
    /// The camera's clock at capture.
    pub capture: CaptureTime,
}

/// A unit was not sealed, and must not be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum SealFrameError {
    /// The track has a new generation, which starts with a keyframe: drop this unit, and ask the
    /// encoder for one.
    #[error("the track waits for a keyframe to start its new generation with")]
    KeyframeDue,
    /// The track has used up its counters: make a new generation.
    #[error("the track's key is used up; make a new generation")]
    UsedUp,
    /// Longer than [`MAX_UNIT`].
    #[error("an access unit of {0} bytes; {MAX_UNIT} are allowed")]
    TooLong(usize),
    /// No unit, a track from [`MAX_TRACKS`] on, or a capture time that no clock shows.
    #[error("an empty access unit, or a track or capture time that no stream has")]
    Illegal,
    /// The keys are another channel's or an older generation's.
    #[error("the keys are not a later generation of this camera's channel")]
    OtherKeys,
    /// The crypto library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

/// Seals the frames of one channel. Keep it when the connection breaks: its counters go on.
#[derive(Debug)]
pub struct FrameSealer {
    serial: SerialHash,
    keys: ChannelKeys,
    tracks: BTreeMap<TrackIndex, Track>,
}

#[derive(Debug)]
struct Track {
    generation: Generation,
    key: SealingKey,
    /// When the key must not be used any more.
    until: Option<Instant>,
}

impl FrameSealer {
    /// A sealer with the keys of its channel.
    pub fn new(keys: ChannelKeys) -> Self {
        Self { serial: SerialHash::of(&keys.serial), keys, tracks: BTreeMap::new() }
    }

    /// The generation that tracks use, or switch to.
    pub fn generation(&self) -> Generation {
        self.keys.generation()
    }

    /// Takes up a later generation of the same channel: each track at its next keyframe, and nothing
    /// is sealed under the old one from `until` on, at most [`MAX_SWITCH_WAIT`] after the news that
    /// the old one ends for.
    ///
    /// # Errors
    /// [`SealFrameError::OtherKeys`].
    pub fn switch(&mut self, keys: ChannelKeys, until: Instant) -> Result<(), SealFrameError> {
        let same = keys.serial == self.keys.serial && keys.channel == self.keys.channel;
        if !same || keys.generation() <= self.generation() {
            return Err(SealFrameError::OtherKeys);
        }
        self.keys = keys;
        for track in self.tracks.values_mut() {
            track.until = Some(track.until.map_or(until, |earlier| earlier.min(until)));
        }
        Ok(())
    }

    /// Ends what goes on under an old generation: a track that has not switched yet waits for its
    /// keyframe.
    pub fn end_switch(&mut self) {
        let newest = self.generation();
        self.tracks.retain(|_, track| track.generation == newest);
    }

    /// Appends the sealed frame of `unit` to `out`. `unit` is in the form that viewers get
    /// (`relay/proto/src/gop_stream.rs`): Annex B with parameter sets, OBUs with sizes, bare sound.
    ///
    /// # Errors
    /// See [`SealFrameError`]; `out` is then as it was.
    pub fn seal(
        &mut self,
        info: &FrameInfo,
        unit: &[u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), SealFrameError> {
        let track = usize::from(info.track.0);
        if unit.is_empty() || track >= MAX_TRACKS || info.capture.0 > varint::MAX {
            return Err(SealFrameError::Illegal);
        }
        if unit.len() > MAX_UNIT {
            return Err(SealFrameError::TooLong(unit.len()));
        }
        let keyframe = info.keyframe || info.codec.kind() == MediaKind::Audio;
        let descriptor = Descriptor {
            keyframe,
            discardable: info.discardable,
            discontinuity: info.discontinuity,
            tier: info.tier,
            codec: info.codec,
            track: info.track,
            channel: self.keys.channel,
            capture: info.capture,
            serial: self.serial,
        };
        let track = self.track(info.track, keyframe, now)?;
        let (start, descriptor) = (out.len(), descriptor.write());
        out.reserve(OVERHEAD + unit.len());
        out.extend_from_slice(&descriptor);
        let sealed = track.key.seal(&descriptor, unit, out);
        sealed.map(|_| ()).map_err(|error| {
            out.truncate(start);
            match error {
                SealError::UsedUp => SealFrameError::UsedUp,
                SealError::Metadata | SealError::Crypto(_) => CryptoFailed.into(),
            }
        })
    }

    /// The key that a frame of this track is sealed with now.
    fn track(
        &mut self,
        index: TrackIndex,
        keyframe: bool,
        now: Instant,
    ) -> Result<&mut Track, SealFrameError> {
        let newest = self.keys.generation();
        let held = self.tracks.get(&index);
        let current = held.is_some_and(|track| track.generation == newest);
        if !current && keyframe {
            let key = self.keys.track(index)?.ok_or(SealFrameError::UsedUp)?;
            self.tracks.insert(index, Track { generation: newest, key, until: None });
        } else if held.is_some_and(|track| track.until.is_some_and(|until| now >= until)) {
            self.tracks.remove(&index);
        }
        self.tracks.get_mut(&index).ok_or(SealFrameError::KeyframeDue)
    }
}
