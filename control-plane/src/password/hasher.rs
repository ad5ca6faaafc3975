//! Hashing, a bounded number at a time, and with the same work whether there is a hash to compare
//! with or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Algorithm, Argon2, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::cost::{HashCost, OUT, SALT, Stored};
use super::{Password, PasswordConfig};
use crate::vault::same;

/// As many logins wait for a hash as may.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[error("too many logins at this moment; try again in a few seconds")]
pub struct Busy;

/// The outcome of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Whether the password is the stored one.
    pub(crate) right: bool,
    /// Whether the stored hash was made at another cost than is configured now.
    pub(crate) outdated: bool,
}

/// Makes and compares hashes on threads of their own.
pub(crate) struct PasswordHasher {
    cost: HashCost,
    pepper: Arc<Zeroizing<[u8; 32]>>,
    slots: Arc<Semaphore>,
    /// In work and waiting together.
    present: AtomicUsize,
    most: usize,
}

impl PasswordHasher {
    pub(crate) fn new(config: &PasswordConfig, pepper: Zeroizing<[u8; 32]>) -> Self {
        let parallel = config.parallel.max(1);
        Self {
            cost: config.cost,
            pepper: Arc::new(pepper),
            slots: Arc::new(Semaphore::new(parallel)),
            present: AtomicUsize::new(0),
            most: parallel + config.queue,
        }
    }

    /// The stored form of a new password.
    pub(crate) async fn hash(&self, password: &Password, salt: [u8; 16]) -> Result<String, Busy> {
        let (cost, hash) = (self.cost, self.run(password, self.cost, salt).await?);
        Ok(Stored { cost, salt, hash: *hash }.to_text())
    }

    /// Compares with what is stored. Without anything stored, as for an account that does not exist,
    /// the work is the same and the answer is no.
    pub(crate) async fn compare(
        &self,
        password: &Password,
        stored: Option<&str>,
    ) -> Result<Compared, Busy> {
        let dummy = Stored { cost: self.cost, salt: [0; SALT], hash: [0; OUT] };
        let parsed = stored.and_then(Stored::parse);
        let known = parsed.is_some();
        let against = parsed.unwrap_or(dummy);
        let hash = self.run(password, against.cost, against.salt).await?;
        let equal = same(hash.as_slice(), &against.hash);
        Ok(Compared { right: equal && known, outdated: against.cost != self.cost })
    }

    async fn run(
        &self,
        password: &Password,
        cost: HashCost,
        salt: [u8; SALT],
    ) -> Result<Zeroizing<[u8; OUT]>, Busy> {
        let _present = Present::enter(&self.present, self.most).ok_or(Busy)?;
        let slot = self.slots.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let (password, pepper) = (password.clone(), self.pepper.clone());
        let work = tokio::task::spawn_blocking(move || {
            // Held by the thread: work goes on when whoever asked has gone.
            let _slot = slot;
            argon2id(password.expose().as_bytes(), &pepper, cost, &salt)
        });
        Ok(work.await.expect("argon2 does not panic within its bounds"))
    }
}

/// One of those in work or waiting.
struct Present<'a>(&'a AtomicUsize);

impl<'a> Present<'a> {
    fn enter(present: &'a AtomicUsize, most: usize) -> Option<Self> {
        let room = |now| (now < most).then_some(now + 1);
        let entered = present.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room);
        entered.ok().map(|_| Self(present))
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn argon2id(
    password: &[u8],
    pepper: &[u8; 32],
    cost: HashCost,
    salt: &[u8],
) -> Zeroizing<[u8; OUT]> {
    let hasher =
        Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, cost.parameters())
            .expect("a pepper of 32 bytes is short enough");
    let mut out = Zeroizing::new([0; OUT]);
    hasher
        .hash_password_into(password, salt, out.as_mut_slice())
        .expect("salt and output have lengths that argon2 takes");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(parallel: usize, queue: usize, cost: HashCost) -> PasswordHasher {
        let config = PasswordConfig { cost, parallel, queue, ..PasswordConfig::default() };
        PasswordHasher::new(&config, Zeroizing::new([3; 32]))
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_under_its_own_pepper_alone() {
        let own = hasher(1, 8, HashCost::cheap());
        let stored = own.hash(&password("correct horse"), [1; SALT]).await.expect("room");
        let yes = own.compare(&password("correct horse"), Some(&stored)).await.expect("room");
        assert_eq!(yes, Compared { right: true, outdated: false });
        for (text, stored) in
            [("correct horsf", Some(stored.as_str())), ("correct horse", None), ("", Some("junk"))]
        {
            let no = own.compare(&password(text), stored).await.expect("room");
            assert!(!no.right, "{text}");
        }
        let config = PasswordConfig {
            cost: HashCost::cheap(),
            parallel: 1,
            queue: 1,
            ..PasswordConfig::default()
        };
        let other = PasswordHasher::new(&config, Zeroizing::new([4; 32]));
        let no = other.compare(&password("correct horse"), Some(&stored)).await.expect("room");
        assert!(!no.right, "another pepper");
    }

    #[tokio::test]
    async fn the_hash_of_nobody_is_no_password_of_nobody() {
        // The placeholder has a hash of zeros; whoever found its password would still be nobody.
        let own = hasher(1, 8, HashCost::cheap());
        let dummy = Stored { cost: HashCost::cheap(), salt: [0; SALT], hash: [0; OUT] }.to_text();
        let compared = own.compare(&password("x"), Some(&dummy)).await.expect("room");
        assert!(!compared.right);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_compared_and_told_apart() {
        let old = hasher(1, 8, HashCost::cheap());
        let stored = old.hash(&password("correct horse"), [1; SALT]).await.expect("room");
        let floor = HashCost::new(super::super::cost::MIN_MEMORY_KIB, 2).expect("the floor");
        let new = hasher(1, 8, floor);
        let yes = new.compare(&password("correct horse"), Some(&stored)).await.expect("room");
        assert_eq!(yes, Compared { right: true, outdated: true });
    }

    #[test]
    fn as_many_wait_as_may_and_the_next_is_told_to_come_back() {
        let count = AtomicUsize::new(0);
        let inside: Vec<_> = (0..3).map(|_| Present::enter(&count, 3)).collect();
        assert!(inside.iter().all(Option::is_some));
        assert!(Present::enter(&count, 3).is_none());
        drop(inside);
        assert!(Present::enter(&count, 3).is_some());
    }

    #[tokio::test]
    async fn beyond_the_queue_hashing_is_refused_at_once() {
        let own = hasher(1, 1, HashCost::cheap());
        let slot = own.slots.clone().acquire_owned().await.expect("open");
        let secret = password("x");
        let (mut first, mut second) =
            (Box::pin(own.compare(&secret, None)), Box::pin(own.compare(&secret, None)));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        assert_eq!(own.compare(&secret, None).await, Err(Busy));
        drop(slot);
        assert!(first.await.is_ok() && second.await.is_ok());
        assert!(own.compare(&secret, None).await.is_ok());
    }
}
