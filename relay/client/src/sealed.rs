//! Sealed frames: what a camera makes of an access unit, and what a viewer makes of that.
//!
//! ```text
//! sealed frame = DESCRIPTOR (22 bytes) || SFrame header (12) || ciphertext || tag (16)
//! ```
//!
//! The descriptor is all that a relay knows of a frame. It is associated data of the seal, so a
//! relay that changes it makes a frame that no viewer shows.

mod generation_keys;
mod opener;
mod sealer;
mod still;

#[cfg(test)]
mod tests;

pub use generation_keys::{AlreadyGiven, ChannelKeys, GenerationKeys};
pub use opener::{DELAYED_AFTER, FrameError, FrameOpener, OpenedFrame};
pub use sealer::{FrameInfo, FrameSealer, MAX_SWITCH_WAIT, MAX_UNIT, SealFrameError};
pub use still::{
    MAX_STILL, OpenedStill, STILL_OVERHEAD, StillError, StillInfo, StillKind, StillOpener,
    StillSealer, StillType,
};

pub use sightline_relay_proto::wire::sealed::OVERHEAD;
