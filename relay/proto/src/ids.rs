//! Names of devices, streams and tracks.

use std::fmt;
use std::sync::Arc;

/// Serial of a device: 1 to 64 characters of `A-Z a-z 0-9 - _`. A name, never a credential.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(Arc<str>);

/// The text is not a device serial.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a device serial is 1 to 64 characters of A-Z a-z 0-9 - _")]
pub struct InvalidDeviceId;

impl DeviceId {
    /// Longest serial, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks and takes a serial.
    pub fn new(text: &str) -> Result<Self, InvalidDeviceId> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(legal) {
            return Err(InvalidDeviceId);
        }
        Ok(Self(text.into()))
    }

    /// The serial as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One lens or input of a device; hubs and recorders have several.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Channel(pub u16);

/// Way of the media, seen from the device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Direction {
    /// Device to viewers.
    #[default]
    Up,
    /// Viewer to device: the talk-back channel.
    Down,
}

/// One live stream: what one publisher sends. Its tracks (tiers, audio) share one clock.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamKey {
    /// The device that the stream belongs to.
    pub device: DeviceId,
    /// The lens.
    pub channel: Channel,
    /// Up, or talk-back.
    pub direction: Direction,
}

impl StreamKey {
    /// The upward stream of a device's channel.
    pub fn up(device: DeviceId, channel: Channel) -> Self {
        Self { device, channel, direction: Direction::Up }
    }
}

/// Quality of a video track. Tiers are separate tracks on one clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Tier {
    /// Full quality.
    #[default]
    Main,
    /// Small picture for lists and poor networks.
    Sub,
}

impl Tier {
    /// Name in the JSON of RoQ sessions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
        }
    }

    /// The tier of a [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Main, Self::Sub].into_iter().find(|tier| tier.name() == name)
    }
}

/// Place of a track in its stream's track list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TrackIndex(pub u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_checked_on_both_sides_of_its_bound() {
        assert!(DeviceId::new(&"a".repeat(64)).is_ok());
        assert_eq!(DeviceId::new(&"a".repeat(65)), Err(InvalidDeviceId));
        assert_eq!(DeviceId::new(""), Err(InvalidDeviceId));
        assert_eq!(DeviceId::new("a/b"), Err(InvalidDeviceId));
    }
}
