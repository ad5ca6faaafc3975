//! Passwords: what they must be, how they are kept, and how they are compared.

pub(crate) mod breached;
mod common;
mod cost;
mod hasher;
mod pace;
mod policy;

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

pub use breached::BreachedError;
pub use cost::{HashCost, HashCostError};
pub(crate) use hasher::{Busy, PasswordHasher};
pub(crate) use pace::rounded_up;
pub(crate) use policy::{Judged, judge};
pub use policy::{MAX_PASSWORD_CHARS, MIN_ALONE_CHARS, MIN_PASSWORD_CHARS, Weakness};

/// Hashes at a time, unless configured. Each needs a thread and the memory of its cost.
pub const DEFAULT_PARALLEL: usize = 2;
/// Comparisons that wait for a hash at a time, unless configured.
pub const DEFAULT_QUEUE: usize = 32;

/// Wrong passwords are told so at whole multiples of this after they came: comparing takes less on most
/// machines, so that the time of an answer says nothing of what was found.
pub const WRONG_STEP: Duration = Duration::from_millis(400);

/// A password as it was typed: its bytes in UTF-8, nothing folded. Never printed, wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes any text; [`judge`] says whether it may become a password.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text. Each call is a place to check by eye.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What an installation chooses for its passwords.
#[derive(Clone, Debug)]
pub struct PasswordConfig {
    /// What a hash costs.
    pub cost: HashCost,
    /// Hashes at a time.
    pub parallel: usize,
    /// How many may wait for their turn; more are told to come back.
    pub queue: usize,
    /// See [`WRONG_STEP`]; zero answers at once.
    pub wrong_step: Duration,
    /// File of breached passwords, one SHA-1 in hex a line, sorted; see [`breached`].
    pub breached: Option<PathBuf>,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            cost: HashCost::default(),
            parallel: DEFAULT_PARALLEL,
            queue: DEFAULT_QUEUE,
            wrong_step: WRONG_STEP,
            breached: None,
        }
    }
}
