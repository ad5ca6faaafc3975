//! Rows about logins at identity providers.

use sightline_grant::Thumbprint;

use crate::ids::{AccountId, SessionId};

use super::NewNotice;

/// What a way to a provider leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowPurpose {
    /// Signing in.
    Login,
    /// A binding to the account of a login.
    Bind,
    /// The secure window of a login.
    Confirm,
}

impl FlowPurpose {
    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Bind => "bind",
            Self::Confirm => "confirm",
        }
    }
}

/// A way to a provider that has begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdentityFlow {
    /// Id, 32 hex digits.
    pub id: String,
    /// Id of the provider.
    pub provider: String,
    /// What it leads to.
    pub purpose: FlowPurpose,
    /// The login that began it.
    pub session: Option<SessionId>,
    /// Key of the terminal that began it.
    pub jkt: Thumbprint,
    /// Where the provider sends the browser back to.
    pub redirect: String,
    /// Unix seconds.
    pub began_at: u64,
    /// Unix seconds.
    pub expires_at: u64,
}

/// A login at a provider that belongs to an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Id, 32 hex digits.
    pub id: String,
    /// Account.
    pub account: AccountId,
    /// Id of the provider.
    pub provider: String,
    /// Unix seconds.
    pub bound_at: u64,
    /// When it last signed in or confirmed, Unix seconds.
    pub last_used: u64,
    /// It came back with a backup and opens nothing until it is bound again.
    pub suspended: bool,
}

/// A login at a provider that is to belong to an account.
#[derive(Clone, Debug)]
pub struct NewIdentity {
    /// Id, 32 hex digits.
    pub id: String,
    /// Id of the provider.
    pub provider: String,
    /// Keyed hash of issuer and subject.
    pub lookup: Vec<u8>,
    /// The subject, encrypted under the account's data key.
    pub subject_enc: Vec<u8>,
    /// What takes the grant back, encrypted under a server key.
    pub token_enc: Option<Vec<u8>>,
}

/// A known login at a provider that was proved again: its row takes the newest of everything.
#[derive(Clone, Debug)]
pub struct IdentityUse {
    /// Account that it must belong to.
    pub account: AccountId,
    /// As [`NewIdentity`], with the id of the row. Without a token the row keeps its own.
    pub newest: NewIdentity,
}

/// A binding to make.
#[derive(Clone, Debug)]
pub struct IdentityBinding {
    /// Account.
    pub account: AccountId,
    /// The login at the provider.
    pub new: NewIdentity,
    /// Identities that an account may have.
    pub most: u64,
    /// Words to the addresses that must hear of it.
    pub notices: Vec<NewNotice>,
}

/// How binding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityBound {
    /// It is the account's now.
    Done,
    /// It belongs to an account.
    Taken,
    /// The account has too many.
    Full,
}

/// How unbinding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityUnbound {
    /// Gone, and its grant waits to be taken back.
    Done,
    /// The account has no such identity.
    Unknown,
    /// Nothing else would sign in.
    Last,
}

/// An unbinding.
#[derive(Clone, Debug)]
pub struct IdentityUnbinding<'a> {
    /// Account.
    pub account: &'a AccountId,
    /// Identity.
    pub id: &'a str,
    /// Ids of the providers that people can sign in by.
    pub usable: &'a [String],
    /// Words to the addresses that must hear of it.
    pub notices: &'a [NewNotice],
}

/// A grant that is to be taken back.
#[derive(Clone, Debug)]
pub struct IdentityRevocation {
    /// Id of the provider.
    pub provider: String,
    /// What takes it back, encrypted under a server key for the id of the row.
    pub token_enc: Vec<u8>,
}
