//! Signing in by password, and what becomes of passwords.

use std::net::IpAddr;

use sightline_grant::{Redacted, Revocation, Thumbprint};
use tokio::time::Instant;

use crate::ControlPlane;
use crate::address::Address;
use crate::error::Inner;
use crate::ids::{AccountId, ChallengeId, SessionId};
use crate::otp::OtpError;
use crate::password::{
    BreachedError, Busy, Judged, Password, Weakness, breached, judge, rounded_up,
};
use crate::random;
use crate::secure::SecureError;
use crate::session::{Arrival, SignInError, SignedIn};
use crate::storage::model::{
    Entry, Guess, GuessKind, IdentifierKind, NewPassword, OtpBinding, OtpPurpose, PasswordPut,
    RetryAfter, Session, StoredPassword,
};

/// A login by password to open.
#[derive(Clone, Debug)]
pub struct PasswordSignIn {
    /// Phone number or mail address.
    pub target: Redacted<String>,
    /// The password.
    pub password: Password,
    /// Name that the person gives the terminal.
    pub terminal_name: String,
    /// Kind of client.
    pub client_type: String,
    /// Purposes, with version, consented to while signing in.
    pub consents: Vec<(String, u32)>,
}

/// Why a password is not taken for somebody's.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Not the password, or nobody's account, or an account without one: one answer for all.
    #[error("the password is not right for this number or address")]
    Wrong,
    /// Too many wrong ones.
    #[error("too many wrong passwords; try again later, or sign in by code")]
    Limited(RetryAfter),
    /// Too many wrong ones by strangers.
    #[error("too many wrong passwords; sign in by code, or on a terminal that the account knows")]
    SecondFactor(RetryAfter),
    /// The password is right and too short for a terminal that the account does not know.
    #[error("this terminal is new to the account and the password is short; sign in by code")]
    NewTerminal,
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// Why a password is not set.
#[derive(Debug, thiserror::Error)]
pub enum NewPasswordError {
    /// See [`Weakness`].
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// See [`SecureError`].
    #[error(transparent)]
    Secure(#[from] SecureError),
    /// See [`OtpError`].
    #[error(transparent)]
    Otp(#[from] OtpError),
    /// The account was unused for long and has something better than this number.
    #[error(
        "the account was not used for long; reset the password by its other number or address, or \
         on a terminal that it knows"
    )]
    Idle,
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
    /// See [`BreachedError`].
    #[error(transparent)]
    Breached(#[from] BreachedError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

/// On what a new password stands: a login that stays, or the code of a reset on a terminal.
struct PasswordBy {
    challenge: Option<ChallengeId>,
    keep: Option<SessionId>,
    terminal: Option<Thumbprint>,
}

impl ControlPlane {
    /// Opens a login by password. The same work is done whether or not there is such an account, and a
    /// wrong one is told so at the same time; see [`WRONG_STEP`](crate::password::WRONG_STEP).
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in_by_password(
        &self,
        request: &PasswordSignIn,
        terminal: Thumbprint,
        ip: IpAddr,
    ) -> Result<SignedIn, SignInError> {
        let arrival = Arrival {
            terminal_name: &request.terminal_name,
            client_type: &request.client_type,
            consents: &request.consents,
        };
        let asked = Instant::now();
        self.check_arrival(&arrival).await?;
        let target = Address::parse(request.target.expose()).ok_or(OtpError::BadNumber)?;
        let by_ip = self.ip_charges("password-ip", ip, &self.config().limits.passwords_per_ip);
        let charged = self.store().charge(&by_ip, self.now()).await.map_err(Inner::from)?;
        charged.map_err(PasswordError::Limited)?;
        let lookup = target.lookup(self.vault());
        let entry = self.store().entry(&lookup, terminal).await.map_err(Inner::from)?;
        let entered = self.entered_by_password(&lookup, entry, terminal, &request.password).await;
        if let Err(PasswordError::Wrong) = entered {
            let step = self.config().passwords.wrong_step;
            tokio::time::sleep_until(asked + rounded_up(asked.elapsed(), step)).await;
        }
        let entry = entered?;
        self.open_known(&arrival, terminal, entry.account, "pwd").await
    }

    /// The account, if the password is its own and opens a login on this terminal.
    async fn entered_by_password(
        &self,
        lookup: &[u8],
        entry: Option<Entry>,
        terminal: Thumbprint,
        password: &Password,
    ) -> Result<Entry, PasswordError> {
        let known = entry.as_ref().is_some_and(|entry| entry.known_terminal);
        let budget = self.guess_key(lookup, known.then_some(terminal));
        let nobody = AccountId(String::new());
        let account = entry.as_ref().map_or(&nobody, |entry| &entry.account.id);
        let stored = entry.as_ref().and_then(|entry| entry.password.as_ref());
        self.check_password(&budget, stored, account, password).await?;
        let entry = entry.ok_or(PasswordError::Wrong)?;
        // The key of a terminal that the account knows is the second factor of a short password.
        if !known && !entry.password.as_ref().is_some_and(|stored| stored.alone) {
            return Err(PasswordError::NewTerminal);
        }
        Ok(entry)
    }

    /// Compares a password with the stored one. The guess is counted before, and taken back when it
    /// was right.
    pub(crate) async fn check_password(
        &self,
        budget: &[u8],
        stored: Option<&StoredPassword>,
        account: &AccountId,
        password: &Password,
    ) -> Result<(), PasswordError> {
        match self.count_guess(GuessKind::Password, budget).await? {
            Guess::Counted => {}
            Guess::Locked(wait) => return Err(PasswordError::Limited(wait)),
            Guess::Closed(wait) => return Err(PasswordError::SecondFactor(wait)),
        }
        let phc = stored.map(|stored| stored.phc.as_str());
        let compared = self.passwords().compare(password, phc).await?;
        let Some(phc) = phc.filter(|_| compared.right) else { return Err(PasswordError::Wrong) };
        let forgotten = self.store().guess_right(GuessKind::Password, budget).await;
        forgotten.map_err(Inner::from)?;
        if compared.outdated {
            let new = self.passwords().hash(password, random::bytes(self.random())).await?;
            let replaced = self.store().password_rehash(account, phc, &new).await;
            replaced.map_err(Inner::from)?;
        }
        Ok(())
    }

    /// Whether the account has a password.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_password(&self, session: &Session) -> Result<bool, Inner> {
        Ok(self.store().password(&session.account).await?.is_some())
    }

    /// Sets or changes the password of a login that has confirmed who it is. All other logins end.
    ///
    /// # Errors
    /// See [`NewPasswordError`].
    pub async fn set_password(
        &self,
        session: &Session,
        password: &Password,
    ) -> Result<(), NewPasswordError> {
        self.require_secure(session).await?;
        let judged = self.judge_password(&session.account, password).await?;
        let keep = Some(session.id.clone());
        let by = PasswordBy { challenge: None, keep, terminal: None };
        let done = self.store_password(&session.account, password, judged, by).await?;
        if done { Ok(()) } else { Err(OtpError::WrongCode.into()) }
    }

    /// Sets a new password by a code. All logins end. Until it is done the old password holds.
    ///
    /// # Errors
    /// See [`NewPasswordError`].
    pub async fn reset_password(
        &self,
        challenge: &ChallengeId,
        code: &Redacted<String>,
        password: &Password,
        terminal: Thumbprint,
    ) -> Result<(), NewPasswordError> {
        // What can be said without an account is said before a try is spent.
        judge(password, &[])?;
        self.refuse_breached(password).await?;
        let binding = OtpBinding { purpose: OtpPurpose::Reset, terminal, account: None };
        let tried = self.try_code(challenge, &binding).await?;
        if let Some(wait) = tried.closed {
            return Err(OtpError::SecondFactor(wait).into());
        }
        self.compare_code(&tried, code.expose()).await?;
        let entry = tried.entry.ok_or(OtpError::WrongCode)?;
        if self.looks_recycled(&entry) {
            return Err(NewPasswordError::Idle);
        }
        if entry.held_until > self.now() {
            return Err(OtpError::Held(RetryAfter(entry.held_until - self.now())).into());
        }
        let account = &entry.account.id;
        let judged = self.judge_password(account, password).await?;
        let challenge = Some(tried.challenge.id);
        let by = PasswordBy { challenge, keep: None, terminal: Some(terminal) };
        if self.store_password(account, password, judged, by).await? {
            return Ok(());
        }
        Err(OtpError::WrongCode.into())
    }

    async fn judge_password(
        &self,
        account: &AccountId,
        password: &Password,
    ) -> Result<Judged, NewPasswordError> {
        let own = self.addresses_of(account).await?;
        let own: Vec<&str> = own.iter().map(|known| known.address.expose()).collect();
        let judged = judge(password, &own)?;
        self.refuse_breached(password).await?;
        Ok(judged)
    }

    async fn refuse_breached(&self, password: &Password) -> Result<(), NewPasswordError> {
        let Some(list) = self.config().passwords.breached.clone() else { return Ok(()) };
        let password = password.clone();
        let search = tokio::task::spawn_blocking(move || breached::is_listed(&list, &password));
        if search.await.expect("reading a file does not panic")? {
            return Err(Weakness::Breached.into());
        }
        Ok(())
    }

    /// `false` when the challenge was used before.
    async fn store_password(
        &self,
        account: &AccountId,
        password: &Password,
        judged: Judged,
        by: PasswordBy,
    ) -> Result<bool, NewPasswordError> {
        let phc = self.passwords().hash(password, random::bytes(self.random())).await?;
        let known = self.addresses_of(account).await?;
        // By mail only: a word in the app goes out in any case, and every SMS costs.
        let mail = |address: &&Address| address.kind() == IdentifierKind::Email;
        let told = known.iter().map(|known| &known.address).filter(mail);
        let new = NewPassword {
            account: account.clone(),
            phc,
            alone: judged.alone,
            challenge: by.challenge,
            keep: by.keep,
            terminal: by.terminal,
            notices: self.notices("password_changed", told),
        };
        match self.store().password_put(&new, self.now()).await.map_err(Inner::from)? {
            PasswordPut::Done(ended) => {
                for session in ended {
                    self.announce(Revocation::Session { session: session.0 });
                }
                self.0.outbox.notify_one();
                Ok(true)
            }
            PasswordPut::ChallengeUsed => Ok(false),
        }
    }
}
