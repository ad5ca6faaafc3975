//! Introductions: a guest's terminal and an owner's get each other's public keys through the server,
//! which can change them, but not unseen: both people compare eight digits that follow from all
//! that was said (`relay/client/KEYS.md`, *Adding a guest*). What is said is opaque here.

use crate::ControlPlane;
use crate::base32;
use crate::error::Inner;
use crate::limits::{
    INTRODUCTION_LOOKUPS_PER_ACCOUNT, INTRODUCTION_SECS, INTRODUCTIONS_OPEN,
    INTRODUCTIONS_PER_ACCOUNT,
};
use crate::random;
use crate::storage::model::{
    Charge, Introduction, IntroductionPut, NewIntroduction, Party, RetryAfter, Session, Window,
};

/// Bytes of a guest's commitment.
pub const COMMITMENT_LEN: usize = 32;
/// Longest reply of an owner, bytes: binding, camera's identity, terminal, nonce.
pub const MAX_REPLY_LEN: usize = 1 + 64 + 8 + 32 + 64 + 16;
/// Bytes of what a guest reveals: terminal and nonce.
pub const REVEAL_LEN: usize = 64 + 16;
/// Random bytes of a code: 8 letters and digits.
const CODE_BYTES: usize = 5;
/// Characters between two dashes of a code.
const CODE_GROUP: usize = 4;

/// An introduction that was opened.
#[derive(Clone, Debug)]
pub struct IntroductionOpened {
    /// What the owner types, in groups of four.
    pub code: String,
    /// Unix seconds.
    pub expires_at: u64,
}

/// Why an introduction does not go on.
#[derive(Debug, thiserror::Error)]
pub enum IntroductionError {
    /// No such code, or over, or others use it.
    #[error("there is no such introduction, or it is over; let the guest start another one")]
    Unknown,
    /// Said before, or too early.
    #[error("this message is not due; start another introduction")]
    OutOfTurn,
    /// Not as long as it must be.
    #[error("the message is not as long as it must be")]
    Length,
    /// The account has [`INTRODUCTIONS_OPEN`] of them.
    #[error("4 introductions of this account are open; end one, or wait ten minutes")]
    Full,
    /// Too many.
    #[error("too many introductions; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Opens an introduction for a guest who is bound to the keys in `commitment`.
    ///
    /// # Errors
    /// See [`IntroductionError`].
    pub async fn open_introduction(
        &self,
        session: &Session,
        commitment: &[u8],
    ) -> Result<IntroductionOpened, IntroductionError> {
        let code = base32::encode(&random::bytes::<CODE_BYTES>(self.random()));
        self.open_introduction_under(session, commitment, &code).await
    }

    /// The same under a code of 8 letters and digits that is known to the two alone. One that this
    /// account has open under it ends.
    pub(crate) async fn open_introduction_under(
        &self,
        session: &Session,
        commitment: &[u8],
        code: &str,
    ) -> Result<IntroductionOpened, IntroductionError> {
        if commitment.len() != COMMITMENT_LEN {
            return Err(IntroductionError::Length);
        }
        self.charge_introduction(session, "introduction", &INTRODUCTIONS_PER_ACCOUNT).await?;
        let new = NewIntroduction {
            code: self.introduction_key(code),
            guest: party(session),
            commitment: commitment.to_vec(),
            expires: self.now() + INTRODUCTION_SECS,
        };
        let opened = self.store().introduction_open(&new, INTRODUCTIONS_OPEN, self.now()).await;
        if !opened.map_err(Inner::from)? {
            return Err(IntroductionError::Full);
        }
        let (first, second) = code.split_at(CODE_GROUP);
        Ok(IntroductionOpened { code: format!("{first}-{second}"), expires_at: new.expires })
    }

    /// What was said so far: to the two who take part, and before an owner does, to whoever has the
    /// code.
    ///
    /// # Errors
    /// See [`IntroductionError`].
    pub async fn introduction(
        &self,
        session: &Session,
        code: &str,
    ) -> Result<Introduction, IntroductionError> {
        let found = self.store().introduction(&self.introduction_key(code), self.now()).await;
        let found = found.map_err(Inner::from)?;
        let caller = party(session);
        let is_party =
            |one: &Introduction| one.guest == caller || one.owner.as_ref() == Some(&caller);
        if let Some(ours) = found.as_ref().filter(|one| is_party(one)) {
            return Ok(ours.clone());
        }
        self.charge_introduction(session, "introduction-lookup", &INTRODUCTION_LOOKUPS_PER_ACCOUNT)
            .await?;
        found.filter(|one| one.owner.is_none()).ok_or(IntroductionError::Unknown)
    }

    /// The owner's message, which makes the caller the owner of this introduction.
    ///
    /// # Errors
    /// See [`IntroductionError`].
    pub async fn reply_to_introduction(
        &self,
        session: &Session,
        code: &str,
        reply: &[u8],
    ) -> Result<(), IntroductionError> {
        if reply.is_empty() || reply.len() > MAX_REPLY_LEN {
            return Err(IntroductionError::Length);
        }
        // Counts guesses, and keeps strangers out.
        self.introduction(session, code).await?;
        let key = self.introduction_key(code);
        let put = self.store().introduction_reply(&key, &party(session), reply, self.now()).await;
        outcome(put.map_err(Inner::from)?)
    }

    /// The guest's second message.
    ///
    /// # Errors
    /// See [`IntroductionError`].
    pub async fn reveal_introduction(
        &self,
        session: &Session,
        code: &str,
        reveal: &[u8],
    ) -> Result<(), IntroductionError> {
        if reveal.len() != REVEAL_LEN {
            return Err(IntroductionError::Length);
        }
        let key = self.introduction_key(code);
        let put = self.store().introduction_reveal(&key, &party(session), reveal, self.now()).await;
        outcome(put.map_err(Inner::from)?)
    }

    /// Ends an introduction. The owner says whether the guest was added, which the guest can read
    /// until the code expires; when the guest ends it, it is gone. What was said is forgotten.
    ///
    /// # Errors
    /// See [`IntroductionError`].
    pub async fn end_introduction(
        &self,
        session: &Session,
        code: &str,
        added: bool,
    ) -> Result<(), IntroductionError> {
        let key = self.introduction_key(code);
        let put = self.store().introduction_end(&key, &party(session), added, self.now()).await;
        outcome(put.map_err(Inner::from)?)
    }

    pub(crate) fn introduction_key(&self, code: &str) -> Vec<u8> {
        self.vault().lookup("introduction", &base32::canonical(code))
    }

    async fn charge_introduction(
        &self,
        session: &Session,
        dimension: &'static str,
        windows: &[Window],
    ) -> Result<(), IntroductionError> {
        let key = self.vault().lookup(dimension, session.account.as_str());
        let charge = Charge { dimension, key, windows: windows.to_vec() };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(IntroductionError::Limited)
    }
}

fn party(session: &Session) -> Party {
    Party { account: session.account.clone(), terminal: session.terminal.clone() }
}

fn outcome(put: IntroductionPut) -> Result<(), IntroductionError> {
    match put {
        IntroductionPut::Stored => Ok(()),
        IntroductionPut::Unknown => Err(IntroductionError::Unknown),
        IntroductionPut::OutOfTurn => Err(IntroductionError::OutOfTurn),
    }
}
