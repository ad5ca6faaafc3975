//! The random source, handed in so that tests repeat.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;

/// Fills buffers with random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// `N` random bytes.
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut buffer = [0; N];
    random.fill(&mut buffer);
    buffer
}

/// 128 random bits as 32 hex digits.
pub fn hex_id(random: &dyn Random) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes(random)))
}

/// The system's cryptographic source.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the system's random source works");
    }
}

/// A repeatable source for tests: HMAC of a counter under a seed.
pub struct SeededRandom {
    key: hmac::Key,
    counter: AtomicU64,
}

impl SeededRandom {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes());
        Self { key, counter: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let count = self.counter.fetch_add(1, Ordering::SeqCst);
            let block = hmac::sign(&self.key, &count.to_be_bytes());
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}
