//! A generation on the camera, handed out so that no key seals in two places.

use std::collections::BTreeSet;
use std::ops::Range;

use sightline_relay_proto::ids::{Channel, DeviceId, TrackIndex};
use sightline_relay_proto::wire::sealed::KeyId;
use zeroize::Zeroizing;

use super::still::StillSealer;
use crate::keys::{BaseKey, Generation};
use crate::secret::CryptoFailed;
use crate::sframe::{SealingKey, Suite};

/// Counters of one key. Each has four bytes, so that a header always has the same length.
pub(super) const COUNTERS: Range<u64> = 1 << 24..1 << 32;

/// A generation that the camera made: gives each channel its keys once.
#[derive(Debug)]
pub struct GenerationKeys {
    serial: DeviceId,
    generation: Generation,
    suite: Suite,
    base_key: BaseKey,
    given: BTreeSet<Channel>,
}

/// Keys of one channel under one generation: gives each track its key once.
#[derive(Debug)]
pub struct ChannelKeys {
    pub(super) serial: DeviceId,
    pub(super) generation: Generation,
    pub(super) channel: Channel,
    suite: Suite,
    base_key: BaseKey,
    given: BTreeSet<TrackIndex>,
}

/// Two holders of a key would use its nonces twice.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("the keys were given out already; keep the sealer, or make a new generation")]
pub struct AlreadyGiven;

impl GenerationKeys {
    pub(crate) fn new(
        serial: DeviceId,
        generation: Generation,
        suite: Suite,
        base_key: BaseKey,
    ) -> Self {
        Self { serial, generation, suite, base_key, given: BTreeSet::new() }
    }

    /// The generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The keys of a channel, for its [`super::FrameSealer`].
    ///
    /// # Errors
    /// They were given out.
    pub fn channel(&mut self, channel: Channel) -> Result<ChannelKeys, AlreadyGiven> {
        if !self.given.insert(channel) {
            return Err(AlreadyGiven);
        }
        Ok(ChannelKeys {
            serial: self.serial.clone(),
            generation: self.generation,
            channel,
            suite: self.suite,
            base_key: copy(&self.base_key),
            given: BTreeSet::new(),
        })
    }

    /// Seals still images under this generation's day keys.
    pub fn stills(&self) -> StillSealer {
        StillSealer::new(&self.serial, self.generation, copy(&self.base_key))
    }
}

impl ChannelKeys {
    /// The generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The sealing key of a track; `None`: it was given out.
    pub(super) fn track(&mut self, track: TrackIndex) -> Result<Option<SealingKey>, CryptoFailed> {
        if !self.given.insert(track) {
            return Ok(None);
        }
        let Self { generation, channel, .. } = *self;
        let kid = KeyId { generation, channel, track }.to_u64();
        SealingKey::new(self.suite, self.base_key.expose(), kid, COUNTERS).map(Some)
    }
}

fn copy(key: &BaseKey) -> BaseKey {
    BaseKey::from_bytes(Zeroizing::new(*key.expose()))
}
