//! Rows of the detection of unusual logins.

use crate::abnormal::{Kind, Seen};
use crate::ids::{AccountId, SessionId, TerminalId};

/// A login to judge.
#[derive(Clone, Debug)]
pub struct LoginSeen {
    /// Id of the alert, if there will be one.
    pub id: String,
    /// Account.
    pub account: AccountId,
    /// Whether grave ones are held.
    pub hold: bool,
    /// The login.
    pub seen: Seen,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// What is unusual.
    pub kinds: Vec<Kind>,
    /// Whether the login is held.
    pub held: bool,
    /// Sessions that ended because the login is held.
    pub ended: Vec<SessionId>,
}

/// An unusual login as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Id.
    pub id: String,
    /// Terminal that signed in.
    pub terminal: TerminalId,
    /// What was unusual.
    pub kinds: Vec<Kind>,
    /// Unix seconds.
    pub at: u64,
    /// Whether the login was held.
    pub held: bool,
    /// When another terminal agreed to it, Unix seconds.
    pub approved_at: Option<u64>,
}
