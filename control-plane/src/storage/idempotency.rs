//! Requests that clients repeat under a key of theirs.

use async_trait::async_trait;

use super::Stored;
use super::model::{KeyBegun, KeyedRequest};

/// Requests that clients repeat under a key of theirs.
#[async_trait]
pub trait IdempotencyStore {
    /// Takes the key for this attempt, unless it is taken. Forgets what is older than `keep_secs`,
    /// and attempts that have had no answer for `running_secs`; more than `most` keys of an account
    /// are not kept.
    async fn key_begin(
        &self,
        request: &KeyedRequest,
        bounds: crate::idempotency::Bounds,
        now: u64,
    ) -> Stored<KeyBegun>;
    /// Keeps the answer of the attempt. `None`: the key is free again, as if nothing had been asked.
    async fn key_end(&self, request: &KeyedRequest, answer: Option<&[u8]>) -> Stored<()>;
}
