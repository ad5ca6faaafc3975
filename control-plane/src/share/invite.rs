//! The owner's side: making an invitation.

use crate::ControlPlane;
use crate::base32;
use crate::error::Inner;
use crate::ids::{AccountId, Serial, ShareId};
use crate::limits::{INVITES_PER_ACCOUNT, SHARE_INVITE_SECS, SHARE_MAX_SECS, SHARES_PER_DEVICE};
use crate::random;
use crate::share::attestation;
use crate::share::schedule::BadSchedule;
use crate::storage::model::{
    Charge, DeviceState, Invited, NewInvite, RetryAfter, Session, ShareTerms,
};
use sightline_grant::Redacted;

/// Column of the encrypted label.
pub(super) const LABEL: &str = "share.label";
/// Random bytes of an invitation's code: nobody finds one by trying.
const CODE_BYTES: usize = 16;

/// What an owner wants to share.
#[derive(Clone, Debug)]
pub struct InviteRequest {
    /// Serial of the device.
    pub serial: String,
    /// What is shared, and when.
    pub terms: ShareTerms,
    /// What the owner calls the guest.
    pub label: String,
    /// Version of [`attestation::OWNER`] that the owner agreed to.
    pub attested: Option<u32>,
}

/// An invitation that was made.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The share that it becomes.
    pub id: ShareId,
    /// What the guest opens; works once, and is shown once.
    pub code: Redacted<String>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// Why a device is not shared, or a share not changed.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Not the owner's, or no such device.
    #[error("no such device on this account")]
    NotBound,
    /// No such share of the device.
    #[error("there is no such share of this device; it may have ended")]
    Unknown,
    /// Nothing is shared.
    #[error("choose at least one thing that the guest may do")]
    NoScopes,
    /// A channel that the device does not have, one twice, or none.
    #[error("name channels of this device, each once, or leave them out to share all")]
    Channels,
    /// In the past, or too far ahead.
    #[error("a share ends in the future, within ten years, or has no end")]
    End,
    /// See [`BadSchedule`].
    #[error(transparent)]
    Schedule(#[from] BadSchedule),
    /// Longer than a name may be.
    #[error("the name of a guest has at most 64 characters")]
    Label,
    /// The owner has not agreed to the present text.
    #[error("confirm that the persons filmed agree, in the present words")]
    AttestationRequired,
    /// The device has [`SHARES_PER_DEVICE`].
    #[error("the device has 100 shares and invitations; end one of them first")]
    Full,
    /// Too many.
    #[error("too many invitations; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Makes an invitation to share a device of the account.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub async fn invite_guest(
        &self,
        session: &Session,
        request: &InviteRequest,
    ) -> Result<Invitation, InviteError> {
        let device = self.owned_device(session, &request.serial).await?;
        self.check_terms(&request.terms, device.device.channels)?;
        if request.attested != Some(attestation::OWNER.version) {
            return Err(InviteError::AttestationRequired);
        }
        let charge = Charge {
            dimension: "share-invite",
            key: self.vault().lookup("share-invite", session.account.as_str()),
            windows: INVITES_PER_ACCOUNT.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(InviteError::Limited)?;
        let random = self.random();
        let code = Redacted::new(base32::encode(&random::bytes::<CODE_BYTES>(random)));
        let new = NewInvite {
            id: ShareId(random::hex_id(random)),
            serial: device.device.serial,
            owner: session.account.clone(),
            code: self.invite_key(code.expose()),
            terms: request.terms.clone(),
            label_enc: self.seal_label(&session.account, &request.label).await?,
            attested: attestation::OWNER.by(session),
            expires: self.now() + SHARE_INVITE_SECS,
        };
        let invited = self.store().share_invite(&new, SHARES_PER_DEVICE, self.now()).await;
        match invited.map_err(Inner::from)? {
            Invited::NotOwner => Err(InviteError::NotBound),
            Invited::Full => Err(InviteError::Full),
            Invited::Made => {
                self.0.outbox.notify_one();
                Ok(Invitation { id: new.id, code, expires_at: new.expires })
            }
        }
    }

    /// Whether terms can be those of a share of a device with so many channels.
    pub(super) fn check_terms(&self, terms: &ShareTerms, channels: u16) -> Result<(), InviteError> {
        if terms.scopes.is_empty() {
            return Err(InviteError::NoScopes);
        }
        if let Some(list) = &terms.channels {
            let twice = |(at, channel)| list[..at].contains(channel);
            let bad = |channel: &u16| *channel >= channels;
            if list.is_empty() || list.iter().any(bad) || list.iter().enumerate().any(twice) {
                return Err(InviteError::Channels);
            }
        }
        if let Some(schedule) = &terms.schedule {
            schedule.check()?;
        }
        let (now, end) = (self.now(), terms.ends_at);
        if end.is_some_and(|end| end <= now || end > now + SHARE_MAX_SECS) {
            return Err(InviteError::End);
        }
        Ok(())
    }

    /// Keyed hash of an invitation's code, as it was made or typed.
    pub(super) fn invite_key(&self, code: &str) -> Vec<u8> {
        self.vault().lookup("share-invite-code", &base32::canonical(code))
    }

    /// A device of the account.
    pub(super) async fn owned_device(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<DeviceState, InviteError> {
        let serial = Serial::parse(serial).ok_or(InviteError::NotBound)?;
        let device = self.store().device(&serial).await.map_err(Inner::from)?;
        let ours =
            |device: &DeviceState| device.owner.as_ref() == Some::<&AccountId>(&session.account);
        device.filter(ours).ok_or(InviteError::NotBound)
    }
}
