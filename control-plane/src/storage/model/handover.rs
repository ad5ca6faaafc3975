//! Tokens and codes that lead to a binding.

use super::Bound;
use crate::ids::{AccountId, BindTokenId, Serial};

/// A user token to keep.
#[derive(Clone, Debug)]
pub struct NewBindToken {
    /// Its name.
    pub id: BindTokenId,
    /// Hash of the token.
    pub hash: Vec<u8>,
    /// Who is to own the device that presents it.
    pub account: AccountId,
    /// The one device that may; `None`: any.
    pub serial: Option<Serial>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// A user token as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindTokenState {
    /// The device that it is for, or that has used it.
    pub serial: Option<Serial>,
    /// Unix seconds.
    pub expires_at: u64,
    /// A device has presented it.
    pub used: bool,
}

/// What an expiring code does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeKind {
    /// Binds a device that nobody owns.
    Bind,
    /// Moves a device from the owner who issued it to whoever enters it.
    Transfer,
}

impl CodeKind {
    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Transfer => "transfer",
        }
    }
}

/// An expiring code to keep.
#[derive(Clone, Debug)]
pub struct NewDeviceCode {
    /// Device.
    pub serial: Serial,
    /// What it does.
    pub kind: CodeKind,
    /// Keyed hash of the code.
    pub hash: Vec<u8>,
    /// The owner who issues it; `None`: the operator.
    pub account: Option<AccountId>,
    /// Unix seconds.
    pub expires_at: u64,
}

/// Whoever enters an expiring code.
#[derive(Clone, Debug)]
pub struct CodeUse {
    /// Device.
    pub serial: Serial,
    /// Keyed hash of the code.
    pub hash: Vec<u8>,
    /// Who enters it.
    pub account: AccountId,
}

/// How using a token or code ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeUsed {
    /// No such token or code, used, expired, or for another device.
    Unknown,
    /// It was right; how the binding ended.
    Right(Bound),
}
