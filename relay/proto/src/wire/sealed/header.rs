//! The SFrame header of a sealed frame (RFC 9605 section 4.3), with one length for each part.
//!
//! The key identifier is `generation << 24 | channel << 8 | track`. Generations begin at 2^24, so
//! its shortest form has always 7 bytes; counters begin at 2^24, so theirs has always 4.

use super::SealedError;
use crate::ids::{Channel, TrackIndex};

/// Bytes of a header.
pub const HEADER_LEN: usize = 1 + KEY_ID_LEN + COUNTER_LEN;

const KEY_ID_LEN: usize = 7;
const COUNTER_LEN: usize = 4;
/// X bit and length of the key identifier, Y bit and length of the counter; lengths less one.
const LENGTHS: u8 = 0x80 | (KEY_ID_LEN as u8 - 1) << 4 | 0x08 | (COUNTER_LEN as u8 - 1);

/// Number of a device's key: rises for ever, in practice with the seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Generation(u64);

impl Generation {
    /// The lowest: from here on key identifiers have 7 bytes.
    pub const FIRST: Self = Self(1 << 24);
    /// The highest: beyond it they have 8.
    pub const LAST: Self = Self((1 << 32) - 1);

    /// A legal generation; `None` outside [`Self::FIRST`] to [`Self::LAST`].
    pub fn new(number: u64) -> Option<Self> {
        (Self::FIRST.0..=Self::LAST.0).contains(&number).then_some(Self(number))
    }

    /// The one after `last` at `now`, Unix seconds; `None` when the numbers have run out.
    pub fn after(last: Option<Self>, now: u64) -> Option<Self> {
        let next = last.map_or(Self::FIRST.0, |last| last.0 + 1);
        // A clock that is far ahead for once must not use the numbers up.
        let now = if now > Self::LAST.0 { 0 } else { now };
        Self::new(next.max(now))
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Number of a frame under its key; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Counter(u32);

impl Counter {
    /// The lowest: from here on counters have 4 bytes.
    pub const FIRST: Self = Self(1 << 24);
    /// The highest; then a new generation is due.
    pub const LAST: Self = Self(u32::MAX);

    /// A legal counter; `None` below [`Self::FIRST`].
    pub fn new(number: u32) -> Option<Self> {
        (number >= Self::FIRST.0).then_some(Self(number))
    }

    /// The next one; `None` after [`Self::LAST`].
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Which key a frame is sealed with: each track of a generation has its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyId {
    /// Generation of the device's key.
    pub generation: Generation,
    /// Lens.
    pub channel: Channel,
    /// Track of the lens's stream.
    pub track: TrackIndex,
}

impl KeyId {
    /// The identifier as SFrame takes it (KID).
    pub fn to_u64(self) -> u64 {
        self.generation.0 << 24 | u64::from(self.channel.0) << 8 | u64::from(self.track.0)
    }

    /// The parts of an identifier; `None` if its generation is not legal.
    pub fn from_u64(kid: u64) -> Option<Self> {
        let [.., high, low, track] = kid.to_be_bytes();
        Some(Self {
            generation: Generation::new(kid >> 24)?,
            channel: Channel(u16::from_be_bytes([high, low])),
            track: TrackIndex(track),
        })
    }
}

/// An SFrame header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The key.
    pub key: KeyId,
    /// The frame's number under that key.
    pub counter: Counter,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// Parts of other lengths, or not in their shortest form.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, SealedError> {
        let [lengths, k0, k1, k2, k3, k4, k5, k6, counter @ ..] = *bytes;
        if lengths != LENGTHS {
            return Err(SealedError::Lengths(lengths));
        }
        let kid = u64::from_be_bytes([0, k0, k1, k2, k3, k4, k5, k6]);
        let key = KeyId::from_u64(kid).ok_or(SealedError::NotShortest)?;
        let counter = Counter::new(u32::from_be_bytes(counter)).ok_or(SealedError::NotShortest)?;
        Ok(Self { key, counter })
    }

    /// The header's bytes.
    pub fn write(&self) -> [u8; HEADER_LEN] {
        let mut out = [LENGTHS; HEADER_LEN];
        out[1..=KEY_ID_LEN].copy_from_slice(&self.key.to_u64().to_be_bytes()[1..]);
        out[1 + KEY_ID_LEN..].copy_from_slice(&self.counter.0.to_be_bytes());
        out
    }
}
