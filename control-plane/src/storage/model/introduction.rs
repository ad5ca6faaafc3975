//! What is kept of an introduction between a guest and an owner.

use crate::ids::{AccountId, TerminalId};

/// A terminal that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its account.
    pub account: AccountId,
    /// The terminal: both sides may be of one account.
    pub terminal: TerminalId,
}

/// An introduction to open.
#[derive(Clone, Debug)]
pub struct NewIntroduction {
    /// Keyed hash of the code.
    pub code: Vec<u8>,
    /// Who opens it.
    pub guest: Party,
    /// First message.
    pub commitment: Vec<u8>,
    /// Unix seconds.
    pub expires: u64,
}

/// An introduction as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Who opened it.
    pub guest: Party,
    /// Who replied.
    pub owner: Option<Party>,
    /// First message; empty once it is over.
    pub commitment: Vec<u8>,
    /// Second message.
    pub reply: Option<Vec<u8>>,
    /// Third message.
    pub reveal: Option<Vec<u8>>,
    /// Whether the owner added the guest, once it is over.
    pub added: Option<bool>,
    /// Unix seconds.
    pub expires: u64,
}

/// How saying something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntroductionPut {
    /// Said, or said before in the same words.
    Stored,
    /// No such introduction of the caller's.
    Unknown,
    /// Something was said before, or something is missing.
    OutOfTurn,
}
