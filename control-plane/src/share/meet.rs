//! The introduction that belongs to a share: owner and guest need no second code, since the share
//! names both of them. What they compare is the same (`relay/client/KEYS.md`, *Adding a guest*).

use crate::ControlPlane;
use crate::base32;
use crate::error::Inner;
use crate::ids::ShareId;
use crate::introduction::{IntroductionError, IntroductionOpened};
use crate::storage::model::{Session, Share};

/// Bytes of a code: 8 letters and digits.
const CODE_BYTES: usize = 5;

impl ControlPlane {
    /// The guest of a share opens the introduction that belongs to it, in place of an earlier one.
    ///
    /// # Errors
    /// See [`IntroductionError`]; `Unknown` when there is no such share.
    pub async fn open_share_introduction(
        &self,
        session: &Session,
        id: &ShareId,
        commitment: &[u8],
    ) -> Result<IntroductionOpened, IntroductionError> {
        let shares = self.store().shares_of_guest(&session.account, self.now()).await;
        let shares = shares.map_err(Inner::from)?;
        let share =
            shares.iter().find(|share| share.id == *id).ok_or(IntroductionError::Unknown)?;
        self.open_introduction_under(session, commitment, &self.introduction_code(&share.id)).await
    }

    /// The code by which the owner of a share answers its guest, while the guest waits.
    pub(super) async fn waiting_introduction(
        &self,
        share: &Share,
    ) -> Result<Option<String>, Inner> {
        let Some(guest) = &share.guest else { return Ok(None) };
        let code = self.introduction_code(&share.id);
        let key = self.introduction_key(&code);
        let found = self.store().introduction(&key, self.now()).await?;
        let waits = |found: &crate::storage::model::Introduction| {
            found.guest.account == *guest && found.owner.is_none() && found.added.is_none()
        };
        Ok(found.filter(waits).map(|_| code))
    }

    /// Follows from the share and a key of the server, so that nothing of it is stored.
    fn introduction_code(&self, id: &ShareId) -> String {
        let key = self.vault().lookup("share-introduction", id.as_str());
        base32::encode(&key[..CODE_BYTES])
    }
}
