//! What is asked of the database about shared devices.

use async_trait::async_trait;

use super::Stored;
use super::model::{
    Acceptance, Accepted, EndedBy, Invited, NewInvite, Share, ShareChange, ShareChanged, ShareCut,
    ShareEnded,
};
use crate::ids::{AccountId, Serial, ShareId};

/// Shares of devices. What is over is never given out, whether its row is gone or not.
#[async_trait]
pub trait ShareStore {
    /// Stores an invitation with the owner's attestation, unless the device has `most` shares.
    async fn share_invite(&self, new: &NewInvite, most: u64, now: u64) -> Stored<Invited>;
    /// The open invitation with this keyed hash of its code.
    async fn share_by_code(&self, code: &[u8], now: u64) -> Stored<Option<Share>>;
    /// Uses an invitation up: the device is shared with the guest, and the owner is told.
    async fn share_accept(&self, acceptance: &Acceptance, now: u64) -> Stored<Accepted>;
    /// Shares and open invitations of a device, oldest first. `None`: not the account's.
    async fn shares_of_device(
        &self,
        owner: &AccountId,
        serial: &Serial,
        now: u64,
    ) -> Stored<Option<Vec<Share>>>;
    /// What is shared with an account, oldest first.
    async fn shares_of_guest(&self, guest: &AccountId, now: u64) -> Stored<Vec<Share>>;
    /// The share of one device with one account.
    async fn share_with(
        &self,
        serial: &Serial,
        guest: &AccountId,
        now: u64,
    ) -> Stored<Option<Share>>;
    /// Number of guests of each device of an owner; devices without any are left out.
    async fn share_counts(&self, owner: &AccountId, now: u64) -> Stored<Vec<(Serial, u64)>>;
    /// Changes a share of the owner's device. If that takes anything away it gets a higher number, and
    /// the guest is told.
    async fn share_change(
        &self,
        owner: &AccountId,
        serial: &Serial,
        id: &ShareId,
        change: &ShareChange,
        now: u64,
    ) -> Stored<ShareChanged>;
    /// Ends a share with the guest's proofs and viewing windows; the other side is told.
    async fn share_end(&self, id: &ShareId, by: EndedBy<'_>, now: u64) -> Stored<ShareEnded>;
    /// Ends shares whose time is over, raises the numbers of those whose hours are, and announces
    /// ends that are near.
    async fn shares_due(&self, now: u64) -> Stored<Vec<ShareCut>>;
}
