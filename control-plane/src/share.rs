//! Sharing a device with another account.
//!
//! An owner makes an invitation, a link that works once; whoever opens it and accepts is the guest. A
//! share says what, on which channels, at which hours and until when; the gate asks it anew for
//! each media session. It lets nobody look yet: for that the owner signs the guest's terminal into the
//! viewer list (`relay/client/KEYS.md`), which the device secret never leaves its owner for. So an
//! invitation in the wrong hands gives no picture.
//!
//! Shares are numbered, and the numbers only rise. Whatever takes something away, or the clock at the
//! end of a share or of its hours, raises the number or ends the share, and that ends the media
//! sessions that stood on the number before.

pub mod accept;
pub mod attestation;
pub mod invite;
pub mod meet;
pub mod schedule;
pub mod scopes;

use sightline_grant::Revocation;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{AccountId, Serial, ShareId};
use crate::storage::model::{
    DeviceState, EndedBy, Session, Share, ShareChange, ShareChanged, ShareCut, ShareEnded,
    ShareTerms,
};
use invite::{InviteError, LABEL};

/// A share or an open invitation, as its owner sees it.
#[derive(Clone, Debug)]
pub struct OwnersShare {
    /// The row.
    pub share: Share,
    /// What the owner calls the guest.
    pub label: String,
    /// First and last digits of the guest's number, by which the owner can tell who has come.
    pub guest_phone_masked: Option<String>,
    /// Code of the guest's introduction, while the guest waits for the owner to compare digits.
    pub introduction: Option<String>,
}

/// A device that is shared with the account.
#[derive(Clone, Debug)]
pub struct GuestsShare {
    /// The row.
    pub share: Share,
    /// The device.
    pub device: DeviceState,
}

/// What an owner wants to be different of a share.
#[derive(Clone, Debug, Default)]
pub struct ShareWish {
    /// Terms; the label in them is not used.
    pub change: ShareChange,
    /// What the owner calls the guest.
    pub label: Option<String>,
}

impl ControlPlane {
    /// Shares and open invitations of a device of the account, oldest first.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub async fn shares_of_device(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<Vec<OwnersShare>, InviteError> {
        let serial = Serial::parse(serial).ok_or(InviteError::NotBound)?;
        let shares = self.store().shares_of_device(&session.account, &serial, self.now()).await;
        let shares = shares.map_err(Inner::from)?.ok_or(InviteError::NotBound)?;
        let mut seen = Vec::with_capacity(shares.len());
        for share in shares {
            seen.push(self.as_owner_sees(share).await?);
        }
        Ok(seen)
    }

    /// Changes a share, or an open invitation, of a device of the account.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub async fn change_share(
        &self,
        session: &Session,
        serial: &str,
        id: &ShareId,
        wish: &ShareWish,
    ) -> Result<OwnersShare, InviteError> {
        let device = self.owned_device(session, serial).await?;
        let mut change = wish.change.clone();
        self.check_change(&change, device.device.channels)?;
        if let Some(label) = &wish.label {
            change.label_enc = Some(self.seal_label(&session.account, label).await?);
        }
        let serial = &device.device.serial;
        let now = self.now();
        let changed = self.store().share_change(&session.account, serial, id, &change, now).await;
        match changed.map_err(Inner::from)? {
            ShareChanged::Unknown => Err(InviteError::Unknown),
            ShareChanged::Changed(share, cut) => {
                self.announce_cuts(cut);
                self.0.outbox.notify_one();
                Ok(self.as_owner_sees(*share).await?)
            }
        }
    }

    /// Ends a share of a device of the account, or withdraws an invitation. `false`: there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_share(
        &self,
        session: &Session,
        serial: &str,
        id: &ShareId,
    ) -> Result<bool, Inner> {
        let Some(serial) = Serial::parse(serial) else { return Ok(false) };
        self.end_share(id, EndedBy::Owner(&session.account, &serial)).await
    }

    /// What is shared with the account, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shares_as_guest(&self, session: &Session) -> Result<Vec<GuestsShare>, Inner> {
        let shares = self.store().shares_of_guest(&session.account, self.now()).await?;
        let mut seen = Vec::with_capacity(shares.len());
        for share in shares {
            // One that was removed in between is over.
            if let Some(device) = self.store().device(&share.serial).await? {
                let device = self.named_by(&share.owner, device).await?;
                seen.push(GuestsShare { share, device });
            }
        }
        Ok(seen)
    }

    /// The guest gives a share up. `false`: there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn leave_share(&self, session: &Session, id: &ShareId) -> Result<bool, Inner> {
        self.end_share(id, EndedBy::Guest(&session.account)).await
    }

    /// Number of guests of each device of the account; devices without any are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn share_counts(&self, session: &Session) -> Result<Vec<(Serial, u64)>, Inner> {
        Ok(self.store().share_counts(&session.account, self.now()).await?)
    }

    /// The share of a device with the account of a login, at whatever hours.
    pub(crate) async fn shared_with(
        &self,
        session: &Session,
        serial: &Serial,
    ) -> Result<Option<Share>, Inner> {
        Ok(self.store().share_with(serial, &session.account, self.now()).await?)
    }

    /// Ends shares whose time or hours are over.
    pub(crate) async fn end_due_shares(&self) -> Result<(), Inner> {
        let cuts = self.store().shares_due(self.now()).await?;
        if !cuts.is_empty() {
            self.0.outbox.notify_one();
        }
        self.announce_cuts(cuts);
        Ok(())
    }

    async fn end_share(&self, id: &ShareId, by: EndedBy<'_>) -> Result<bool, Inner> {
        let ShareEnded::Ended(cut) = self.store().share_end(id, by, self.now()).await? else {
            return Ok(false);
        };
        self.announce_cuts(cut);
        self.0.outbox.notify_one();
        Ok(true)
    }

    fn announce_cuts(&self, cuts: impl IntoIterator<Item = ShareCut>) {
        for ShareCut { serial, subject, epoch } in cuts {
            self.announce(Revocation::Share { serial: serial.0, subject: subject.0, epoch });
        }
    }

    async fn as_owner_sees(&self, share: Share) -> Result<OwnersShare, Inner> {
        let label = self.open_label(&share.owner, &share.label_enc).await?;
        let guest_phone_masked = match &share.guest {
            Some(guest) => {
                let known = self.addresses_of(guest).await?;
                known.first().map(|known| known.address.masked())
            }
            None => None,
        };
        let introduction = self.waiting_introduction(&share).await?;
        Ok(OwnersShare { share, label, guest_phone_masked, introduction })
    }

    async fn seal_label(&self, owner: &AccountId, label: &str) -> Result<Vec<u8>, InviteError> {
        let label = label.trim();
        if label.chars().count() > crate::limits::MAX_NAME_CHARS {
            return Err(InviteError::Label);
        }
        let account = self.store().account(owner).await.map_err(Inner::from)?;
        let account = account.ok_or(InviteError::NotBound)?;
        let key = self.vault().subject_key(owner.as_str(), &account.wrapped_key);
        let key = key.map_err(Inner::from)?;
        Ok(key.seal(LABEL, owner.as_str(), label, self.random()))
    }

    async fn open_label(&self, owner: &AccountId, label_enc: &[u8]) -> Result<String, Inner> {
        let Some(account) = self.store().account(owner).await? else { return Ok(String::new()) };
        let key = self.vault().subject_key(owner.as_str(), &account.wrapped_key)?;
        Ok(key.open(LABEL, owner.as_str(), label_enc)?)
    }

    fn check_change(&self, change: &ShareChange, channels: u16) -> Result<(), InviteError> {
        // What a change leaves as it is was checked before.
        let whole = ShareTerms {
            scopes: scopes::ShareScopes::MEDIA,
            channels: None,
            schedule: None,
            ends_at: None,
        };
        self.check_terms(&whole.changed(change), channels)
    }
}
