//! Single use of proofs of possession: the ids seen within their time.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use aws_lc_rs::digest::{SHA256, digest};
use sightline_grant::dpop::{PROOF_SKEW_SECS, Proof};

use crate::limits::PROOF_IDS;

/// Why a proof is not taken.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum ProofRefused {
    /// Seen before.
    #[error("the DPoP proof has been used")]
    Replayed,
    /// The memory is full of proofs that are still in their time; nothing is forgotten early.
    #[error("too many requests at once; try again")]
    Full,
}

/// Remembers proofs. Requests with a login have a memory of their own, so that strangers cannot
/// fill it.
#[derive(Default)]
pub struct ProofIds {
    known: Mutex<Seen>,
    strangers: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    ids: HashSet<[u8; 16]>,
    order: VecDeque<(u64, [u8; 16])>,
}

impl ProofIds {
    /// Takes a proof once.
    ///
    /// # Errors
    /// See [`ProofRefused`].
    pub fn take(&self, proof: &Proof, known: bool, now: u64) -> Result<(), ProofRefused> {
        let seen = if known { &self.known } else { &self.strangers };
        let text = format!("{}\n{}", proof.key.thumbprint(), proof.jti);
        let hash = digest(&SHA256, text.as_bytes());
        let id = hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
        seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take(id, now)
    }
}

impl Seen {
    fn take(&mut self, id: [u8; 16], now: u64) -> Result<(), ProofRefused> {
        // A proof made in the furthest future that is taken stays good for twice the skew.
        while let Some((at, old)) = self.order.front()
            && at + 2 * PROOF_SKEW_SECS < now
        {
            self.ids.remove(old);
            self.order.pop_front();
        }
        if self.ids.contains(&id) {
            return Err(ProofRefused::Replayed);
        }
        if self.ids.len() >= PROOF_IDS {
            return Err(ProofRefused::Full);
        }
        self.ids.insert(id);
        self.order.push_back((now, id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_taken_once_and_forgotten_after_its_time() {
        let mut seen = Seen::default();
        assert_eq!(seen.take([1; 16], 1000), Ok(()));
        assert_eq!(seen.take([1; 16], 1000 + 2 * PROOF_SKEW_SECS), Err(ProofRefused::Replayed));
        assert_eq!(seen.take([1; 16], 1001 + 2 * PROOF_SKEW_SECS), Ok(()));
    }

    #[test]
    fn a_full_memory_refuses_instead_of_forgetting() {
        let mut seen = Seen::default();
        for n in 0..PROOF_IDS as u128 {
            assert_eq!(seen.take(n.to_be_bytes(), 1000), Ok(()));
        }
        assert_eq!(seen.take([0xff; 16], 1000), Err(ProofRefused::Full));
        assert_eq!(seen.take([0xff; 16], 1001 + 2 * PROOF_SKEW_SECS), Ok(()));
    }
}
