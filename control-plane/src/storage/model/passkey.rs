//! Rows about passkeys.

use sightline_grant::Thumbprint;

use super::{Account, NewNotice};
use crate::ids::{AccountId, PasskeyId};

/// What a terminal is asked to sign.
#[derive(Clone, Debug)]
pub struct PasskeyChallenge {
    /// Hash of the challenge.
    pub hash: Vec<u8>,
    /// Key of the terminal that asked.
    pub jkt: Thumbprint,
    /// Account that gets a new passkey; `None`: a login.
    pub account: Option<AccountId>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// A passkey of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Id.
    pub id: PasskeyId,
    /// Id of the credential, encrypted under the account's data key.
    pub credential_enc: Vec<u8>,
    /// Name, encrypted under the account's data key.
    pub name_enc: Vec<u8>,
    /// Public key in COSE form.
    pub public_key: Vec<u8>,
    /// Unix seconds.
    pub created_at: u64,
    /// Latest login, Unix seconds.
    pub used_at: Option<u64>,
}

/// A passkey to keep.
#[derive(Clone, Debug)]
pub struct NewPasskey {
    /// Account.
    pub account: AccountId,
    /// Id.
    pub id: PasskeyId,
    /// Keyed hash of the credential's id.
    pub lookup: Vec<u8>,
    /// See [`Passkey::credential_enc`].
    pub credential_enc: Vec<u8>,
    /// See [`Passkey::name_enc`].
    pub name_enc: Vec<u8>,
    /// See [`Passkey::public_key`].
    pub public_key: Vec<u8>,
    /// Signatures that the authenticator has counted.
    pub counter: u32,
    /// Words to the addresses that must hear of it.
    pub notices: Vec<NewNotice>,
}

/// How keeping a passkey ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyAdded {
    /// It signs in now.
    Done,
    /// The credential is kept already.
    Known,
    /// The account has as many as it may.
    Full,
}

/// A passkey with its account.
#[derive(Clone, Debug)]
pub struct PasskeyHolder {
    /// The passkey.
    pub passkey: Passkey,
    /// Its account, which is active.
    pub account: Account,
}

/// How using a passkey ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyUse {
    /// It signs in.
    Fresh,
    /// Its counter does not rise: there may be two of it. The owner is told.
    Copied,
    /// It was removed in between.
    Unknown,
}
