//! Numbers and addresses of an account: what it is found by and where its codes go.
//!
//! One that comes to an account beside or after another confirms nothing dangerous for
//! [`IDENTIFIER_HOLD_SECS`]: whoever got hold of an open login cannot make a number of their own the
//! key to everything at once, and the old address is told. The first one of an account confirms at
//! once, since no device comes to an account without any, and the last one stays.

use sightline_grant::Redacted;

use crate::ControlPlane;
use crate::address::Address;
use crate::error::Inner;
use crate::ids::{AccountId, ChallengeId};
use crate::limits::{IDENTIFIER_HOLD_SECS, NOTICE_SECS};
use crate::otp::{OtpError, OtpSent, TARGET_PLACE};
use crate::random;
use crate::secure::SecureError;
use crate::sms::open::Asking;
use crate::storage::model::{
    IdentifierChange, IdentifierKind, IdentifierPut, IdentifierRemoved, NewIdentifier, NewNotice,
    OtpBinding, OtpPurpose, Session,
};
use crate::vault::{DoesNotOpen, SubjectKey};

/// Column of an encrypted number or address.
pub(crate) const IDENTIFIER_VALUE: &str = "identifier.value";
/// Place of an address that waits for a notice.
pub(crate) const NOTICE_PLACE: &str = "notice.address";

/// A proved number or address.
#[derive(Clone, Debug)]
pub struct KnownAddress {
    /// The address.
    pub address: Address,
    /// When it was proved, Unix seconds.
    pub verified_at: u64,
    /// How: `sms`, `email`, `carrier` or `federated`.
    pub method: String,
    /// Until then it confirms nothing dangerous, Unix seconds; 0: it is the account's first.
    pub held_until: u64,
}

/// Why an identifier is not changed.
#[derive(Debug, thiserror::Error)]
pub enum IdentifierError {
    /// See [`SecureError`].
    #[error(transparent)]
    Secure(#[from] SecureError),
    /// See [`OtpError`].
    #[error(transparent)]
    Otp(#[from] OtpError),
    /// Another account's. Only its holder, who has just proved it, learns that.
    #[error(
        "this number or address belongs to another account; sign in there and take it off first"
    )]
    Taken,
    /// The account has none of this kind.
    #[error("the account has no such number or address")]
    Unknown,
    /// Without one nobody could be reached or found.
    #[error("this is the account's only number or address; add another one first")]
    Last,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Sends a code to a number or address that is to come to the account. Needs the secure window.
    /// Does not look whether it is another account's.
    ///
    /// # Errors
    /// See [`IdentifierError`].
    pub async fn request_identifier_code(
        &self,
        session: &Session,
        target: &str,
        asking: impl Into<Asking>,
    ) -> Result<OtpSent, IdentifierError> {
        self.require_secure(session).await?;
        let address = Address::parse(target).ok_or(OtpError::BadNumber)?;
        let mut challenge = self.new_challenge(OtpPurpose::Identifier, &address, session.jkt);
        challenge.account = Some(session.account.clone());
        Ok(self.send_code(challenge, &address, asking).await?)
    }

    /// Puts the number or address that the code proves on the account, in place of one of its kind.
    /// Needs the secure window. The addresses of before are told.
    ///
    /// # Errors
    /// See [`IdentifierError`].
    pub async fn change_identifier(
        &self,
        session: &Session,
        kind: IdentifierKind,
        challenge: &ChallengeId,
        code: &Redacted<String>,
    ) -> Result<(), IdentifierError> {
        self.require_secure(session).await?;
        let binding = OtpBinding {
            purpose: OtpPurpose::Identifier,
            terminal: session.jkt,
            account: Some(session.account.clone()),
        };
        let challenge = self.check_code(challenge, code.expose(), &binding).await?;
        if challenge.kind != kind {
            return Err(OtpError::WrongCode.into());
        }
        let place = challenge.id.as_str();
        let text = self.vault().open_server(TARGET_PLACE, place, &challenge.target_enc);
        let text = String::from_utf8(text.map_err(Inner::from)?).map_err(|_| unreadable())?;
        let key = self.subject_key_of(&session.account).await?;
        let value_enc = key.seal(IDENTIFIER_VALUE, session.account.as_str(), &text, self.random());
        let before = self.addresses_of(&session.account).await?;
        let replaces = before.iter().any(|known| known.address.kind() == kind);
        let what = if replaces { "identifier_changed" } else { "identifier_added" };
        let now = self.now();
        let held_until = if before.is_empty() { 0 } else { now + IDENTIFIER_HOLD_SECS };
        let change = IdentifierChange {
            account: session.account.clone(),
            challenge: challenge.id,
            new: NewIdentifier {
                kind,
                lookup: challenge.target,
                value_enc,
                method: kind.method(),
                held_until,
            },
            notices: self.notices(what, before.iter().map(|known| &known.address)),
        };
        match self.store().identifier_put(&change, now).await.map_err(Inner::from)? {
            IdentifierPut::Done => {
                self.0.outbox.notify_one();
                Ok(())
            }
            IdentifierPut::Taken => Err(IdentifierError::Taken),
            IdentifierPut::ChallengeUsed => Err(OtpError::WrongCode.into()),
        }
    }

    /// Takes a number or address off the account, unless it is the last one. Needs the secure window.
    /// It is told.
    ///
    /// # Errors
    /// See [`IdentifierError`].
    pub async fn remove_identifier(
        &self,
        session: &Session,
        kind: IdentifierKind,
    ) -> Result<(), IdentifierError> {
        self.require_secure(session).await?;
        let known = self.addresses_of(&session.account).await?;
        let gone = known.iter().map(|known| &known.address).filter(|known| known.kind() == kind);
        let notices = self.notices("identifier_removed", gone);
        let removed =
            self.store().identifier_remove(&session.account, kind, &notices, self.now()).await;
        match removed.map_err(Inner::from)? {
            IdentifierRemoved::Done => {
                self.0.outbox.notify_one();
                Ok(())
            }
            IdentifierRemoved::Unknown => Err(IdentifierError::Unknown),
            IdentifierRemoved::Last => Err(IdentifierError::Last),
        }
    }

    /// Whether the account may have everything: a number or address of it was proved. One that stands
    /// on an identity provider alone has none at first, and gets no device until it has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_full(&self, session: &Session) -> Result<bool, Inner> {
        Ok(!self.store().identifiers(&session.account).await?.is_empty())
    }

    /// Numbers and addresses of an account, the number first.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn addresses_of(&self, account: &AccountId) -> Result<Vec<KnownAddress>, Inner> {
        let identifiers = self.store().identifiers(account).await?;
        if identifiers.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.subject_key_of(account).await?;
        let known = identifiers.into_iter().map(|identifier| {
            let text = key.open(IDENTIFIER_VALUE, account.as_str(), &identifier.value_enc)?;
            Ok(KnownAddress {
                address: Address::parse(&text).ok_or(DoesNotOpen)?,
                verified_at: identifier.verified_at,
                method: identifier.method,
                held_until: identifier.held_until,
            })
        });
        known.collect()
    }

    /// Words about a change, one to each address.
    pub(crate) fn notices<'a>(
        &self,
        kind: &'static str,
        to: impl Iterator<Item = &'a Address>,
    ) -> Vec<NewNotice> {
        let notice = |address: &Address| {
            let id = random::hex_id(self.random());
            let plain = address.expose().as_bytes();
            let address_enc = self.vault().seal_server(NOTICE_PLACE, &id, plain, self.random());
            let (address_kind, expires) = (address.kind(), self.now() + NOTICE_SECS);
            NewNotice { id, kind, address_kind, address_enc, expires }
        };
        to.map(notice).collect()
    }

    /// Data key of an account.
    pub(crate) async fn subject_key_of(&self, account: &AccountId) -> Result<SubjectKey, Inner> {
        let row = self.store().account(account).await?.ok_or(DoesNotOpen)?;
        Ok(self.vault().subject_key(account.as_str(), &row.wrapped_key)?)
    }
}

fn unreadable() -> Inner {
    DoesNotOpen.into()
}
