//! Asking for a one-time code, and answering it.

use std::net::{IpAddr, Ipv6Addr};

use sightline_grant::Thumbprint;

use crate::ControlPlane;
use crate::address::Address;
use crate::error::Inner;
use crate::ids::{ChallengeId, Serial};
use crate::limits::{
    LOGIN_CODE_DIGITS, NETWORK_SHARE, OTP_TTL_SECS, SECURE_CODE_DIGITS, VIEW_CODE_DIGITS,
};
use crate::random;
use crate::sms::open::{Asking, Work, network};
use crate::storage::model::{
    Charge, Entry, Guess, GuessKind, IdentifierKind, OtpBinding, OtpChallenge, OtpPurpose,
    RetryAfter, Session, Window,
};
use crate::vault;

/// Place of a number or address that waits for its code.
pub(crate) const TARGET_PLACE: &str = "otp_challenge.target";

/// Dimension of mails at the wish of whoever is not signed in; a right code gives its place back.
const MAIL_FOR_STRANGERS: &str = "send-strangers";

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
    /// Neither a phone number nor a mail address.
    #[error(
        "this is neither a phone number with country code nor a mail address of plain letters; \
         write an internationalised domain in its xn-- form"
    )]
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
    /// Too many wrong codes by strangers.
    #[error(
        "too many wrong codes; give the password with the code, sign in on a terminal that the \
         account knows, or try again later"
    )]
    SecondFactor(RetryAfter),
    /// The number or address came to the account too recently.
    #[error(
        "this number or address came to the account less than three days ago and confirms nothing \
         yet; use the other one, or the password where one is asked for"
    )]
    Held(RetryAfter),
    /// Wrong, expired, used, out of tries, or for another purpose or terminal: one answer for all.
    #[error("the code is not right or no longer valid")]
    WrongCode,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// A try of a code that was counted and may be compared.
pub(crate) struct Tried {
    /// The challenge.
    pub(crate) challenge: OtpChallenge,
    /// The account of its target.
    pub(crate) entry: Option<Entry>,
    /// Strangers have used up their guesses, for a lock or a day: the code alone is not enough.
    pub(crate) closed: Option<RetryAfter>,
    budget: Vec<u8>,
}

impl ControlPlane {
    /// Sends a sign-in code. Does not look whether the number or address has an account.
    ///
    /// # Errors
    /// See [`OtpError`].
    pub async fn request_login_code(
        &self,
        target: &str,
        terminal: Thumbprint,
        asking: impl Into<Asking>,
    ) -> Result<OtpSent, OtpError> {
        let address = Address::parse(target).ok_or(OtpError::BadNumber)?;
        let challenge = self.new_challenge(OtpPurpose::Login, &address, terminal);
        self.send_code(challenge, &address, asking).await
    }

    /// Sends a code for a new password. Does not look whether the number or address has an account:
    /// whoever delivers the message does, and sends nothing to those without.
    ///
    /// # Errors
    /// See [`OtpError`].
    pub async fn request_reset_code(
        &self,
        target: &str,
        terminal: Thumbprint,
        asking: impl Into<Asking>,
    ) -> Result<OtpSent, OtpError> {
        let address = Address::parse(target).ok_or(OtpError::BadNumber)?;
        let challenge = self.new_challenge(OtpPurpose::Reset, &address, terminal);
        self.send_code(challenge, &address, asking).await
    }

    /// Sends a viewing code for one device to the account's own number, or to its mail address when
    /// it has no number that may confirm something.
    ///
    /// # Errors
    /// See [`OtpError`].
    pub async fn request_view_code(
        &self,
        session: &Session,
        serial: &str,
        asking: impl Into<Asking>,
    ) -> Result<OtpSent, OtpError> {
        let serial = Serial::parse(serial).ok_or(OtpError::NotBound)?;
        let device = self.store().device(&serial).await.map_err(Inner::from)?;
        let owned = device.and_then(|device| device.owner).as_ref() == Some(&session.account);
        if !owned && self.shared_with(session, &serial).await?.is_none() {
            return Err(OtpError::NotBound);
        }
        let address = self.confirming_address(&session.account, None).await?;
        let address = address.ok_or(OtpError::NotBound)?;
        let mut challenge = self.new_challenge(OtpPurpose::View, &address, session.jkt);
        challenge.account = Some(session.account.clone());
        challenge.serial = serial.0;
        self.send_code(challenge, &address, asking).await
    }

    /// Takes an answer to a challenge of a login.
    pub(crate) async fn check_code(
        &self,
        challenge: &ChallengeId,
        code: &str,
        binding: &OtpBinding,
    ) -> Result<OtpChallenge, OtpError> {
        let tried = self.try_code(challenge, binding).await?;
        if let Some(wait) = tried.closed {
            return Err(OtpError::SecondFactor(wait));
        }
        self.compare_code(&tried, code).await?;
        Ok(tried.challenge)
    }

    /// Counts a try in the database, before anything is compared: of the challenge, and of the
    /// target over all its challenges.
    pub(crate) async fn try_code(
        &self,
        challenge: &ChallengeId,
        binding: &OtpBinding,
    ) -> Result<Tried, OtpError> {
        let counted = self.store().otp_count_try(challenge, binding, self.now()).await;
        let challenge = counted.map_err(Inner::from)?.ok_or(OtpError::WrongCode)?;
        let entry = self.store().entry(&challenge.target, binding.terminal).await;
        let entry = entry.map_err(Inner::from)?;
        let of_login = binding.account.is_some();
        let known = of_login || entry.as_ref().is_some_and(|entry| entry.known_terminal);
        let budget = self.guess_key(&challenge.target, known.then_some(binding.terminal));
        let closed = match self.count_guess(GuessKind::Code, &budget).await? {
            Guess::Counted => None,
            // Strangers must not keep whoever has the password, too, off a new terminal.
            Guess::Locked(wait) if !known && binding.purpose == OtpPurpose::Login => Some(wait),
            Guess::Locked(wait) => return Err(OtpError::Limited(wait)),
            Guess::Closed(wait) => Some(wait),
        };
        Ok(Tried { challenge, entry, closed, budget })
    }

    /// Compares, and takes back the count of a right one; where the code alone is not enough, that
    /// waits for the second factor.
    pub(crate) async fn compare_code(&self, tried: &Tried, code: &str) -> Result<(), OtpError> {
        let right = self.code_of(&tried.challenge);
        if !vault::same(right.as_bytes(), code.trim().as_bytes()) {
            return Err(OtpError::WrongCode);
        }
        if tried.closed.is_none() {
            self.forget_guesses(tried).await?;
        }
        let OtpChallenge { id, kind, target, .. } = &tried.challenge;
        if *kind == IdentifierKind::Email && !tried.challenge.is_of_account() {
            // However often it was sent.
            let since = self.now().saturating_sub(OTP_TTL_SECS);
            let back = self.store().charge_back(MAIL_FOR_STRANGERS, target, since).await;
            back.map_err(Inner::from)?;
        }
        Ok(self.sms_answered(id).await?)
    }

    /// Takes back the guesses that were counted together with a right one.
    pub(crate) async fn forget_guesses(&self, tried: &Tried) -> Result<(), Inner> {
        Ok(self.store().guess_right(GuessKind::Code, &tried.budget).await?)
    }

    /// The code of a challenge.
    pub(crate) fn code_of(&self, challenge: &OtpChallenge) -> zeroize::Zeroizing<String> {
        let digits = match challenge.purpose {
            OtpPurpose::Login => LOGIN_CODE_DIGITS,
            OtpPurpose::View => VIEW_CODE_DIGITS,
            OtpPurpose::Secure | OtpPurpose::Reset | OtpPurpose::Identifier => SECURE_CODE_DIGITS,
        };
        self.vault().one_time_code(challenge.id.as_str(), digits)
    }

    pub(crate) fn new_challenge(
        &self,
        purpose: OtpPurpose,
        address: &Address,
        terminal: Thumbprint,
    ) -> OtpChallenge {
        let id = ChallengeId(random::hex_id(self.random()));
        let text = address.expose();
        let target_enc =
            self.vault().seal_server(TARGET_PLACE, id.as_str(), text.as_bytes(), self.random());
        OtpChallenge {
            id,
            purpose,
            kind: address.kind(),
            target: address.lookup(self.vault()),
            target_enc,
            account: None,
            terminal,
            serial: String::new(),
            expires_at: self.now() + OTP_TTL_SECS,
        }
    }

    pub(crate) async fn send_code(
        &self,
        challenge: OtpChallenge,
        address: &Address,
        asking: impl Into<Asking>,
    ) -> Result<OtpSent, OtpError> {
        let asking = asking.into();
        if let Address::Phone(phone) = address {
            return self.open_sms(challenge, phone, &asking).await;
        }
        // Mail costs nothing a message, so only the whole of what strangers wish for is bounded.
        let limits = &self.config().limits;
        let charge = |dimension, key: Vec<u8>, windows: &[Window]| Charge {
            dimension,
            key,
            windows: windows.to_vec(),
        };
        let target = || challenge.target.clone();
        let mut charges = vec![charge("send-number", target(), &limits.sends_per_number)];
        charges.extend(self.ip_charges("send-ip", asking.ip, &limits.sends_per_ip));
        if !challenge.is_of_account() {
            charges.push(charge("mail-all", Vec::new(), &limits.sends_in_all));
            charges.push(charge(MAIL_FOR_STRANGERS, target(), &limits.sends_for_strangers));
        }
        let opened = self.store().otp_open(&challenge, &charges, self.now()).await;
        let challenge = opened.map_err(Inner::from)?.map_err(OtpError::Limited)?;
        self.0.outbox.notify_one();
        let resend_after = limits.sends_per_number.first().map_or(0, |window| window.seconds);
        Ok(OtpSent { challenge, resend_after, work: None })
    }

    /// Counts an event of an address. An IPv6 address counts as its /64, which is one customer's or
    /// one phone's, and once more as its /48, which one customer may have whole or thousands share.
    pub(crate) fn ip_charges(
        &self,
        dimension: &'static str,
        ip: IpAddr,
        windows: &[Window],
    ) -> Vec<Charge> {
        let charge = |text: &str, windows: Vec<Window>| Charge {
            dimension,
            key: self.vault().lookup("ip", text),
            windows,
        };
        let ip = match ip.to_canonical() {
            IpAddr::V4(ip) => return vec![charge(&ip.to_string(), windows.to_vec())],
            IpAddr::V6(ip) => ip,
        };
        let host = Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64);
        let wider = |window: &Window| Window { most: window.most * NETWORK_SHARE, ..*window };
        vec![
            charge(&format!("{host}/64"), windows.to_vec()),
            charge(&network(ip.into()), windows.iter().map(wider).collect()),
        ]
    }
}
