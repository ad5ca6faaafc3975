//! Asking for a one-time code, and answering it.

use std::net::IpAddr;

use sightline_grant::Thumbprint;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::{ChallengeId, Serial};
use crate::limits::{LOGIN_CODE_DIGITS, OTP_TTL_SECS, VIEW_CODE_DIGITS};
use crate::phone::Phone;
use crate::random;
use crate::sms::open::{Work, Worked};
use crate::storage::model::{Charge, OtpBinding, OtpChallenge, OtpPurpose, RetryAfter, Session};
use crate::vault;

/// Place of a number that waits for its code.
pub(crate) const TARGET_PLACE: &str = "otp_challenge.target";

/// A code is on its way.
#[derive(Clone, Debug)]
pub struct OtpSent {
    /// Names the challenge; not secret.
    pub challenge: ChallengeId,
    /// Seconds until a code may be asked for again.
    pub resend_after: u64,
    /// Work to do first; then ask again with it. Without it, the wish was taken.
    pub work: Option<Work>,
}

/// Why no code is sent, or why one is not taken.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    /// Not a phone number.
    #[error("this is not a phone number with country code")]
    BadNumber,
    /// The device is not bound to the account.
    #[error("no such device on this account")]
    NotBound,
    /// Numbers of this country are not served.
    #[error("this server sends no messages to numbers of this country")]
    NotServed,
    /// Too many.
    #[error("too many requests; try again later")]
    Limited(RetryAfter),
    /// Wrong, expired, used, out of tries, or for another purpose or terminal: one answer for all.
    #[error("the code is not right or no longer valid")]
    WrongCode,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Sends a sign-in code. Does not look whether the number has an account.
    ///
    /// # Errors
    /// See [`OtpError`].
    pub async fn request_login_code(
        &self,
        number: &str,
        terminal: Thumbprint,
        ip: IpAddr,
        worked: Option<&Worked>,
    ) -> Result<OtpSent, OtpError> {
        let phone = Phone::parse(number).ok_or(OtpError::BadNumber)?;
        let challenge = self.new_challenge(OtpPurpose::Login, &phone, terminal);
        self.open_sms(challenge, &phone, ip, worked).await
    }

    /// Sends a viewing code for one device to the account's own number.
    ///
    /// # Errors
    /// See [`OtpError`].
    pub async fn request_view_code(
        &self,
        session: &Session,
        serial: &str,
        ip: IpAddr,
    ) -> Result<OtpSent, OtpError> {
        let serial = Serial::parse(serial).ok_or(OtpError::NotBound)?;
        let device = self.store().device(&serial).await.map_err(Inner::from)?;
        if device.and_then(|device| device.owner).as_ref() != Some(&session.account) {
            return Err(OtpError::NotBound);
        }
        let phone = self.phone_of(&session.account).await?.ok_or(OtpError::NotBound)?;
        let mut challenge = self.new_challenge(OtpPurpose::View, &phone, session.jkt);
        challenge.account = Some(session.account.clone());
        challenge.serial = serial.0;
        self.open_sms(challenge, &phone, ip, None).await
    }

    /// Takes an answer. The try is counted in the database before the code is compared.
    pub(crate) async fn check_code(
        &self,
        challenge: &ChallengeId,
        code: &str,
        binding: &OtpBinding,
    ) -> Result<OtpChallenge, OtpError> {
        let now = self.now();
        let counted = self.store().otp_count_try(challenge, binding, now).await;
        let challenge = counted.map_err(Inner::from)?.ok_or(OtpError::WrongCode)?;
        let guesses = Charge {
            dimension: "code-number",
            key: challenge.target.clone(),
            windows: self.config().limits.codes_per_number.clone(),
        };
        let charged = self.store().charge(&[guesses], now).await.map_err(Inner::from)?;
        charged.map_err(OtpError::Limited)?;
        let right = self.code_of(&challenge);
        if !vault::same(right.as_bytes(), code.trim().as_bytes()) {
            return Err(OtpError::WrongCode);
        }
        self.sms_answered(&challenge.id).await?;
        Ok(challenge)
    }

    /// The code of a challenge.
    pub(crate) fn code_of(&self, challenge: &OtpChallenge) -> zeroize::Zeroizing<String> {
        let digits = match challenge.purpose {
            OtpPurpose::Login => LOGIN_CODE_DIGITS,
            OtpPurpose::View => VIEW_CODE_DIGITS,
        };
        self.vault().one_time_code(challenge.id.as_str(), digits)
    }

    fn new_challenge(
        &self,
        purpose: OtpPurpose,
        phone: &Phone,
        terminal: Thumbprint,
    ) -> OtpChallenge {
        let id = ChallengeId(random::hex_id(self.random()));
        let number = phone.expose();
        let target_enc =
            self.vault().seal_server(TARGET_PLACE, id.as_str(), number.as_bytes(), self.random());
        OtpChallenge {
            id,
            purpose,
            target: self.vault().lookup("phone", number),
            target_enc,
            account: None,
            terminal,
            serial: String::new(),
            expires_at: self.now() + OTP_TTL_SECS,
        }
    }

    /// Keyed hash of an address; an IPv6 host counts as its /64.
    pub(crate) fn ip_key(&self, ip: IpAddr) -> Vec<u8> {
        let text = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("{:?}", &ip.segments()[..4]),
        };
        self.vault().lookup("ip", &text)
    }
}
