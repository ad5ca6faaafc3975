//! The SMS-verified viewing window of one login and one device.

use sightline_grant::Redacted;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{ChallengeId, Serial};
use crate::limits::VIEW_MAX_SECS;
use crate::otp::OtpError;
use crate::storage::model::{OtpBinding, OtpPurpose, Session, StepUp};

impl ControlPlane {
    /// Opens the window of the device that the challenge was made for.
    ///
    /// # Errors
    /// See [`OtpError`].
    pub async fn step_up(
        &self,
        session: &Session,
        challenge: &ChallengeId,
        code: &Redacted<String>,
    ) -> Result<StepUp, OtpError> {
        let binding = OtpBinding {
            purpose: OtpPurpose::View,
            terminal: session.jkt,
            account: Some(session.account.clone()),
        };
        let challenge = self.check_code(challenge, code.expose(), &binding).await?;
        self.require_confirming(session, &challenge.target).await?;
        let (now, idle) = (self.now(), self.config().limits.view.idle_secs());
        let window = StepUp {
            session: session.id.clone(),
            serial: Serial(challenge.serial),
            idle,
            idle_expires: now + idle,
            max_expires: now + VIEW_MAX_SECS,
        };
        let opened = self.store().step_up_open(&challenge.id, &window, now).await;
        if opened.map_err(Inner::from)? { Ok(window) } else { Err(OtpError::WrongCode) }
    }
}
