//! Single use of proofs of possession: the ids seen within their time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use sightline_grant::dpop::{PROOF_SKEW_SECS, Proof};

use crate::limits::PROOF_IDS;
use crate::sms::open::network;

/// Why a proof is not taken.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum ProofRefused {
    /// Seen before.
    #[error("the DPoP proof has been used")]
    Replayed,
    /// The memory is full of proofs that are still in their time; nothing is forgotten early.
    #[error("too many requests at once; try again")]
    Full,
    /// The network has as many proofs in the memory of strangers as one may have.
    #[error("too many requests at once from this network; try again")]
    NetworkFull,
}

/// Whose proof is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Somebody with a live login or refresh token, a device, or an app that showed more than its
    /// name.
    Known,
    /// Anybody with a key, from this address.
    Stranger(IpAddr),
}

/// Remembers proofs. Those of somebody known have a memory of their own, which strangers cannot
/// fill; of the strangers' own, no network gets more than its share.
pub struct ProofIds {
    known: Mutex<Seen>,
    strangers: Mutex<Seen>,
    /// Ids of strangers that one network has remembered at a time.
    share: usize,
}

/// Head of a hash: of a proof, or of a network.
type Id = [u8; 16];

#[derive(Default)]
struct Seen {
    ids: HashSet<Id>,
    order: VecDeque<Taken>,
    /// Ids of each network; one without any is not here, so there are no more than there are ids.
    networks: HashMap<Id, usize>,
}

struct Taken {
    /// Unix seconds.
    at: u64,
    id: Id,
    /// `None` of somebody known.
    network: Option<Id>,
}

impl ProofIds {
    /// Empty; no network of strangers has more than `share` ids in it.
    pub fn new(share: usize) -> Self {
        Self { known: Mutex::default(), strangers: Mutex::default(), share }
    }

    /// Takes a proof once.
    ///
    /// # Errors
    /// See [`ProofRefused`].
    pub fn take(&self, proof: &Proof, asker: Asker, now: u64) -> Result<(), ProofRefused> {
        let id = id_of(&format!("{}\n{}", proof.key.thumbprint(), proof.jti));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        // Who is known at a proof's first use may not be at its second, and the reverse.
        match asker {
            Asker::Known if strangers.ids.contains(&id) => Err(ProofRefused::Replayed),
            Asker::Stranger(_) if known.ids.contains(&id) => Err(ProofRefused::Replayed),
            Asker::Known => known.take(id, None, self.share, now),
            Asker::Stranger(ip) => strangers.take(id, Some(id_of(&network(ip))), self.share, now),
        }
    }
}

fn id_of(text: &str) -> Id {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
}

impl Seen {
    fn take(
        &mut self,
        id: Id,
        network: Option<Id>,
        share: usize,
        now: u64,
    ) -> Result<(), ProofRefused> {
        self.forget(now);
        if self.ids.contains(&id) {
            return Err(ProofRefused::Replayed);
        }
        if self.ids.len() >= PROOF_IDS {
            return Err(ProofRefused::Full);
        }
        if let Some(network) = network {
            let held = self.networks.entry(network).or_default();
            if *held >= share {
                return Err(ProofRefused::NetworkFull);
            }
            *held += 1;
        }
        self.ids.insert(id);
        self.order.push_back(Taken { at: now, id, network });
        Ok(())
    }

    /// A proof made in the furthest future that is taken stays good for twice the skew.
    fn forget(&mut self, now: u64) {
        while let Some(oldest) = self.order.front()
            && oldest.at + 2 * PROOF_SKEW_SECS < now
        {
            self.ids.remove(&oldest.id);
            if let Some(network) = oldest.network
                && let Some(held) = self.networks.get_mut(&network)
            {
                *held -= 1;
                if *held == 0 {
                    self.networks.remove(&network);
                }
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use sightline_grant::PublicKey;

    use super::*;
    use crate::limits::STRANGER_PROOF_IDS_PER_NETWORK as SHARE;

    const OVER: u64 = 1001 + 2 * PROOF_SKEW_SECS;

    fn proof(number: usize) -> Proof {
        Proof { key: PublicKey::Ed25519([1; 32]), jti: number.to_string() }
    }

    #[test]
    fn a_proof_is_taken_once_and_forgotten_after_its_time() {
        let mut seen = Seen::default();
        assert_eq!(seen.take([1; 16], None, SHARE, 1000), Ok(()));
        assert_eq!(seen.take([1; 16], None, SHARE, OVER - 1), Err(ProofRefused::Replayed));
        assert_eq!(seen.take([1; 16], None, SHARE, OVER), Ok(()));
    }

    #[test]
    fn a_full_memory_refuses_instead_of_forgetting() {
        let mut seen = Seen::default();
        for n in 0..PROOF_IDS as u128 {
            assert_eq!(seen.take(n.to_be_bytes(), None, SHARE, 1000), Ok(()));
        }
        assert_eq!(seen.take([0xff; 16], None, SHARE, 1000), Err(ProofRefused::Full));
        assert_eq!(seen.take([0xff; 16], None, SHARE, OVER), Ok(()));
    }

    #[test]
    fn a_network_of_strangers_gets_its_share_and_leaves_the_rest_to_others() {
        let seen = ProofIds::new(SHARE);
        let one = Asker::Stranger("192.0.2.1".parse().unwrap());
        for number in 0..SHARE {
            assert_eq!(seen.take(&proof(number), one, 1000), Ok(()));
        }
        let next = proof(SHARE);
        let neighbour = Asker::Stranger("192.0.2.200".parse().unwrap());
        for asker in [one, neighbour] {
            assert_eq!(seen.take(&next, asker, 1000), Err(ProofRefused::NetworkFull));
        }
        let elsewhere = Asker::Stranger("192.0.3.1".parse().unwrap());
        assert_eq!(seen.take(&next, elsewhere, 1000), Ok(()));
        assert_eq!(seen.take(&next, neighbour, 1000), Err(ProofRefused::Replayed));
        assert_eq!(seen.take(&next, Asker::Known, 1000), Err(ProofRefused::Replayed));
        let more = proof(SHARE + 1);
        assert_eq!(seen.take(&more, Asker::Known, 1000), Ok(()), "a memory of its own");
        assert_eq!(seen.take(&more, elsewhere, 1000), Err(ProofRefused::Replayed));
        assert_eq!(seen.take(&next, one, OVER), Ok(()));
    }

    #[test]
    fn somebody_known_has_no_share_and_networks_are_forgotten_with_their_proofs() {
        let mut seen = Seen::default();
        for n in 0..=SHARE as u128 {
            assert_eq!(seen.take(n.to_be_bytes(), None, SHARE, 1000), Ok(()));
        }
        assert!(seen.networks.is_empty());
        assert_eq!(seen.take([0xfe; 16], Some([1; 16]), SHARE, 1000), Ok(()));
        assert_eq!(seen.networks[&[1_u8; 16]], 1);
        assert_eq!(seen.take([0xff; 16], Some([2; 16]), SHARE, OVER), Ok(()));
        assert_eq!(seen.networks.keys().collect::<Vec<_>>(), [&[2_u8; 16]]);
    }
}
