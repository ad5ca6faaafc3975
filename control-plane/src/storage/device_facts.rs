//! What is known of a device under its binding.

use async_trait::async_trait;

use super::Stored;
use super::model::{Fact, FactKind, NewFact, NewProvisioning};
use crate::ids::{AccountId, Serial};

/// Facts about devices, and provisionings.
#[async_trait]
pub trait DeviceFactStore {
    /// Keeps a fact in the place of the one before it. `false`: the account does not own the device
    /// under that binding.
    async fn fact_put(&self, new: &NewFact, now: u64) -> Stored<bool>;
    /// Facts of the account's devices, or of one of them, that have not expired.
    async fn facts(
        &self,
        account: &AccountId,
        serial: Option<&Serial>,
        now: u64,
    ) -> Stored<Vec<Fact>>;
    /// Forgets a fact. `false`: there is none.
    async fn fact_end(
        &self,
        account: &AccountId,
        serial: &Serial,
        kind: FactKind,
        now: u64,
    ) -> Stored<bool>;
    /// Whether a device is bound, its owner agrees to `purpose` in this version, and it has not told
    /// its hardware under this binding.
    async fn inventory_wanted(
        &self,
        serial: &Serial,
        purpose: &'static str,
        version: u32,
    ) -> Stored<bool>;
    /// Keeps a provisioning, of an account the newest `kept`. `false`: something is sealed to a
    /// device that is not the account's.
    async fn provisioning_put(&self, new: &NewProvisioning, kept: u64, now: u64) -> Stored<bool>;
    /// Facts of the account's provisionings, newest first, with serial and end.
    async fn provisionings(&self, account: &AccountId, now: u64) -> Stored<Vec<NewProvisioning>>;
    /// Hands out what was sealed to a device by its present owner, once.
    async fn sealed_take(&self, serial: &Serial, now: u64) -> Stored<Option<Vec<u8>>>;
    /// Whether something waits for [`Self::sealed_take`].
    async fn sealed_waits(&self, serial: &Serial, now: u64) -> Stored<bool>;
}
