//! Rows about who an account is and how it shows that.

use sightline_grant::Thumbprint;

use crate::ids::{AccountId, ChallengeId, SessionId};

use super::{Account, RetryAfter};

/// Kind of an identifier; an account has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// Phone number.
    Phone,
    /// Mail address.
    Email,
}

impl IdentifierKind {
    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Email => "email",
        }
    }

    /// From the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Phone, Self::Email].into_iter().find(|kind| kind.as_str() == text)
    }

    /// Channel of the outbox that reaches it.
    pub fn channel(self) -> &'static str {
        match self {
            Self::Phone => "sms",
            Self::Email => "mail",
        }
    }

    /// How a code proves it: what the account's record says.
    pub fn method(self) -> &'static str {
        match self {
            Self::Phone => "sms",
            Self::Email => "email",
        }
    }
}

/// A proved number or address of an account.
#[derive(Clone, Debug)]
pub struct Identifier {
    /// Kind.
    pub kind: IdentifierKind,
    /// Encrypted under the account's data key.
    pub value_enc: Vec<u8>,
    /// When it was proved, Unix seconds.
    pub verified_at: u64,
    /// How: `sms`, `email`, `carrier` or `federated`.
    pub method: String,
    /// Until then it confirms no dangerous act, Unix seconds; 0: it came with the account.
    pub held_until: u64,
}

/// A number or address to put on an account.
#[derive(Clone, Debug)]
pub struct NewIdentifier {
    /// Kind.
    pub kind: IdentifierKind,
    /// Keyed hash.
    pub lookup: Vec<u8>,
    /// Encrypted under the account's data key.
    pub value_enc: Vec<u8>,
    /// How it was proved.
    pub method: &'static str,
    /// See [`Identifier::held_until`].
    pub held_until: u64,
}

/// A change of an identifier.
#[derive(Clone, Debug)]
pub struct IdentifierChange {
    /// Account.
    pub account: AccountId,
    /// Challenge that proved the new one; used up.
    pub challenge: ChallengeId,
    /// The new one; replaces one of its kind.
    pub new: NewIdentifier,
    /// Words to the addresses that must hear of it.
    pub notices: Vec<NewNotice>,
}

/// How changing an identifier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierPut {
    /// It is the account's now.
    Done,
    /// It is another account's.
    Taken,
    /// The challenge was used before.
    ChallengeUsed,
}

/// How taking an identifier off ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierRemoved {
    /// Gone.
    Done,
    /// The account has none of this kind.
    Unknown,
    /// It is the last one.
    Last,
}

/// A word to an address about a change.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// Id, 32 hex digits.
    pub id: String,
    /// What was changed.
    pub kind: &'static str,
    /// Kind of the address.
    pub address_kind: IdentifierKind,
    /// The address, encrypted under a server key.
    pub address_enc: Vec<u8>,
    /// When the row goes, Unix seconds.
    pub expires: u64,
}

/// A notice that waits to be sent.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What was changed.
    pub kind: String,
    /// The address, encrypted under a server key.
    pub address_enc: Vec<u8>,
}

/// A stored password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPassword {
    /// Hash with its parameters.
    pub phc: String,
    /// Long enough to sign in on a terminal that the account does not know.
    pub alone: bool,
    /// Unix seconds.
    pub changed_at: u64,
}

/// A password to store.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// Account.
    pub account: AccountId,
    /// Hash with its parameters.
    pub phc: String,
    /// See [`StoredPassword::alone`].
    pub alone: bool,
    /// Challenge that a reset stands on; used up.
    pub challenge: Option<ChallengeId>,
    /// Login that stays open; all others end.
    pub keep: Option<SessionId>,
    /// Terminal that a reset was made on: it stays as known as it is.
    pub terminal: Option<Thumbprint>,
    /// Words to the addresses that must hear of it.
    pub notices: Vec<NewNotice>,
}

/// How storing a password ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordPut {
    /// It holds; these logins ended.
    Done(Vec<SessionId>),
    /// The challenge was used before.
    ChallengeUsed,
}

/// What signing in looks at: the account that an identifier belongs to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The account.
    pub account: Account,
    /// The terminal that asks is one of the account's.
    pub known_terminal: bool,
    /// Latest use of any terminal, Unix seconds.
    pub last_seen: u64,
    /// Number of identifiers.
    pub identifiers: u64,
    /// A passkey or a login at a provider signs in, too.
    pub other_ways: bool,
    /// End of the hold of the identifier that was asked by, Unix seconds.
    pub held_until: u64,
    /// The password.
    pub password: Option<StoredPassword>,
}

/// What is guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuessKind {
    /// One-time codes.
    Code,
    /// A password.
    Password,
}

impl GuessKind {
    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Password => "password",
        }
    }
}

/// Whether a guess may be compared. It is counted before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// It may.
    Counted,
    /// Not now.
    Locked(RetryAfter),
    /// Not without a second factor, for so long.
    Closed(RetryAfter),
}

/// A login that confirms who it is.
#[derive(Clone, Debug)]
pub struct SecureWindow {
    /// Login.
    pub session: SessionId,
    /// Account.
    pub account: AccountId,
    /// Challenge that was answered; used up.
    pub challenge: Option<ChallengeId>,
    /// `code`, `password` or `provider`.
    pub method: &'static str,
    /// End, Unix seconds.
    pub expires: u64,
}
