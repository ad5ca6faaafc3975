//! Ways to a binding other than the printed code.

use async_trait::async_trait;

use super::Stored;
use super::model::{
    BindTokenState, CodeKind, CodeUse, CodeUsed, DeviceEpochs, NewBindToken, NewDeviceCode,
};
use crate::ids::{AccountId, BindTokenId, Serial};

/// User tokens, expiring codes, transfers and resets.
#[async_trait]
pub trait HandoverStore {
    /// Keeps a user token. `false` when the account has `most` open ones.
    async fn bind_token_open(&self, new: &NewBindToken, most: u64, now: u64) -> Stored<bool>;
    /// A user token of the account, until it has expired.
    async fn bind_token(
        &self,
        account: &AccountId,
        id: &BindTokenId,
        now: u64,
    ) -> Stored<Option<BindTokenState>>;
    /// Takes an unused token back. `false`: there is none.
    async fn bind_token_end(&self, account: &AccountId, id: &BindTokenId, now: u64)
    -> Stored<bool>;
    /// Binds the device that presents a token to the token's account and uses the token up.
    async fn bind_by_token(&self, hash: &[u8], serial: &Serial, now: u64) -> Stored<CodeUsed>;
    /// Puts an expiring code in the place of the one before it. `false`: an owner's code, and the
    /// account does not own the device; or the operator's, and somebody does.
    async fn code_put(&self, new: &NewDeviceCode, now: u64) -> Stored<bool>;
    /// When the open code of this kind of the present binding expires.
    async fn code_expires(&self, serial: &Serial, kind: CodeKind, now: u64) -> Stored<Option<u64>>;
    /// Takes the account's transfer code back. `false`: there is none.
    async fn code_end(&self, serial: &Serial, account: &AccountId, now: u64) -> Stored<bool>;
    /// Whether an open code of this kind has this hash.
    async fn code_holds(
        &self,
        serial: &Serial,
        kind: CodeKind,
        hash: &[u8],
        now: u64,
    ) -> Stored<bool>;
    /// Binds a free device by an operator's code and uses the code up.
    async fn bind_by_code(&self, using: &CodeUse, now: u64) -> Stored<CodeUsed>;
    /// Ends the binding of the owner who issued the transfer code, and binds the device to the
    /// account, both or neither. [`crate::storage::model::Bound::Already`]: it is the owner's own
    /// code, which stays.
    async fn transfer(&self, using: &CodeUse, now: u64) -> Stored<CodeUsed>;
    /// Ends a binding at the wish of the device itself (`by_device`) or of the operator, and tells
    /// the former owner. `None`: not bound, or under another epoch.
    async fn device_reset(
        &self,
        serial: &Serial,
        binding_epoch: Option<u64>,
        by_device: bool,
        now: u64,
    ) -> Stored<Option<DeviceEpochs>>;
}
