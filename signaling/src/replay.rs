//! Single use of DPoP proofs (RFC 9449, 11.1), in bounded memory.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use sightline_grant::Thumbprint;
use sightline_grant::dpop::PROOF_SKEW_SECS;

/// Longest time in which one proof could be taken twice, seconds: `iat` may lie a skew ahead of the
/// clock at its first use and a skew behind it at its last.
pub const REPLAY_WINDOW_SECS: u64 = 2 * PROOF_SKEW_SECS;
/// Proofs remembered per window. Only proofs of somebody known get in, so that strangers cannot
/// fill it.
pub const MAX_PROOFS_PER_WINDOW: usize = 1 << 19;

/// Why a proof is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Seen before.
    Replayed,
    /// No room to remember it; taking it unremembered would allow a replay.
    Full,
}

/// Remembers proofs for at least one window and at most two.
pub(crate) struct ReplayCache {
    capacity: usize,
    windows: Mutex<Windows>,
}

#[derive(Default)]
struct Windows {
    began: u64,
    current: HashSet<[u8; 16]>,
    previous: HashSet<[u8; 16]>,
}

impl ReplayCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, windows: Mutex::default() }
    }

    /// Takes a proof once.
    pub(crate) fn take(&self, key: &Thumbprint, jti: &str, now_unix: u64) -> Result<(), Refused> {
        let name = name_of(key, jti);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.turn(now_unix);
        if windows.current.contains(&name) || windows.previous.contains(&name) {
            return Err(Refused::Replayed);
        }
        if windows.current.len() >= self.capacity {
            return Err(Refused::Full);
        }
        windows.current.insert(name);
        Ok(())
    }
}

impl Windows {
    fn turn(&mut self, now_unix: u64) {
        let age = now_unix.saturating_sub(self.began);
        if age <= REPLAY_WINDOW_SECS {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        if age > 2 * REPLAY_WINDOW_SECS {
            self.previous.clear();
        }
        self.began = now_unix;
    }
}

fn name_of(key: &Thumbprint, jti: &str) -> [u8; 16] {
    let mut text = Vec::with_capacity(key.0.len() + jti.len());
    text.extend_from_slice(&key.0);
    text.extend_from_slice(jti.as_bytes());
    let hash = digest(&SHA256, &text);
    *hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Thumbprint = Thumbprint([1; 32]);

    #[test]
    fn a_proof_is_taken_once_through_the_whole_window() {
        for first in [1000, 1000 + REPLAY_WINDOW_SECS - 1, 1000 + REPLAY_WINDOW_SECS] {
            let cache = ReplayCache::new(8);
            assert_eq!(cache.take(&KEY, "begin", 1000), Ok(()));
            assert_eq!(cache.take(&KEY, "a", first), Ok(()));
            for later in [0, 1, REPLAY_WINDOW_SECS] {
                assert_eq!(cache.take(&KEY, "a", first + later), Err(Refused::Replayed));
            }
        }
    }

    #[test]
    fn the_same_id_of_another_key_is_another_proof() {
        let cache = ReplayCache::new(8);
        assert_eq!(cache.take(&KEY, "a", 1), Ok(()));
        assert_eq!(cache.take(&Thumbprint([2; 32]), "a", 1), Ok(()));
    }

    #[test]
    fn a_full_cache_refuses_until_the_window_turns() {
        let cache = ReplayCache::new(2);
        assert_eq!(cache.take(&KEY, "a", 1000), Ok(()));
        assert_eq!(cache.take(&KEY, "b", 1000), Ok(()));
        assert_eq!(cache.take(&KEY, "c", 1000), Err(Refused::Full));
        assert_eq!(cache.take(&KEY, "c", 1001 + REPLAY_WINDOW_SECS), Ok(()));
    }
}
