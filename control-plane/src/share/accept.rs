//! The guest's side: reading an invitation, and accepting it.

use sightline_grant::Redacted;

use crate::ControlPlane;
use crate::consent::{ConsentError, DEVICE_SHARED};
use crate::error::Inner;
use crate::limits::{INVITE_TRIES_PER_ACCOUNT, SHARES_PER_GUEST};
use crate::share::GuestsShare;
use crate::share::attestation;
use crate::storage::model::{Acceptance, Accepted, Charge, RetryAfter, Session};

/// A guest's yes to an invitation.
#[derive(Clone, Debug)]
pub struct AcceptRequest {
    /// Code of the invitation.
    pub code: Redacted<String>,
    /// Version of [`DEVICE_SHARED`] that the guest consents to.
    pub consent: Option<u32>,
    /// Version of [`attestation::GUEST`] that the guest agrees to.
    pub attested: Option<u32>,
}

/// Why an invitation is not shown or not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// No such code, or used, over, or withdrawn: one answer for all.
    #[error("this invitation does not hold, or no longer; ask the owner for a new one")]
    Unknown,
    /// The account owns the device.
    #[error("this camera is your own; send the invitation to somebody else")]
    OwnDevice,
    /// The account is a guest of the device.
    #[error("this camera is shared with you already; its owner can change what you may do")]
    Already,
    /// The account is a guest of [`SHARES_PER_GUEST`] devices.
    #[error("200 cameras are shared with you; give one of them up first")]
    Full,
    /// The guest has not consented to the purpose.
    #[error("consent to what the owner learns of you first, in the present words")]
    ConsentRequired,
    /// The guest has not agreed to the present text.
    #[error("confirm what you do with the pictures first, in the present words")]
    AttestationRequired,
    /// Too many.
    #[error("too many tries; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// What an invitation offers. Counts as a try.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub async fn invitation(
        &self,
        session: &Session,
        code: &Redacted<String>,
    ) -> Result<GuestsShare, AcceptError> {
        let charge = Charge {
            dimension: "share-code",
            key: self.vault().lookup("share-code", session.account.as_str()),
            windows: INVITE_TRIES_PER_ACCOUNT.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(AcceptError::Limited)?;
        let key = self.invite_key(code.expose());
        let share = self.store().share_by_code(&key, self.now()).await.map_err(Inner::from)?;
        let share = share.ok_or(AcceptError::Unknown)?;
        if share.owner == session.account {
            return Err(AcceptError::OwnDevice);
        }
        let device = self.store().device(&share.serial).await.map_err(Inner::from)?;
        let device = self.named_by(&share.owner, device.ok_or(AcceptError::Unknown)?).await?;
        Ok(GuestsShare { share, device })
    }

    /// Accepts an invitation: the device is shared with the account.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub async fn accept_invitation(
        &self,
        session: &Session,
        request: &AcceptRequest,
    ) -> Result<GuestsShare, AcceptError> {
        let offered = self.invitation(session, &request.code).await?;
        if request.attested != Some(attestation::GUEST.version) {
            return Err(AcceptError::AttestationRequired);
        }
        let version = request.consent.ok_or(AcceptError::ConsentRequired)?;
        let consented = self.grant_consent(session, DEVICE_SHARED.id, version).await;
        consented.map_err(|error| match error {
            ConsentError::Inner(inner) => AcceptError::Inner(inner),
            ConsentError::UnknownPurpose
            | ConsentError::OtherVersion
            | ConsentError::PolicyRequired
            | ConsentError::NotGranted => AcceptError::ConsentRequired,
        })?;
        let acceptance = Acceptance {
            code: self.invite_key(request.code.expose()),
            guest: session.account.clone(),
            attested: attestation::GUEST.by(session),
            most: SHARES_PER_GUEST,
        };
        let accepted = self.store().share_accept(&acceptance, self.now()).await;
        match accepted.map_err(Inner::from)? {
            Accepted::Shared(share) => {
                self.0.outbox.notify_one();
                Ok(GuestsShare { share: *share, device: offered.device })
            }
            Accepted::Unknown => Err(AcceptError::Unknown),
            Accepted::OwnDevice => Err(AcceptError::OwnDevice),
            Accepted::Already => Err(AcceptError::Already),
            Accepted::Full => Err(AcceptError::Full),
        }
    }
}
