//! Requests that clients repeat under a key of theirs.

use crate::ids::AccountId;

/// A request with a key.
#[derive(Clone, Debug)]
pub struct KeyedRequest {
    /// Who asks.
    pub account: AccountId,
    /// Keyed hash of the key.
    pub key: Vec<u8>,
    /// Keyed hash of the whole request.
    pub request: Vec<u8>,
    /// Random name of this attempt.
    pub attempt: Vec<u8>,
}

/// What came of taking a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyBegun {
    /// Nobody has used it: the request is to run, and its answer to be kept.
    Fresh,
    /// The first request still runs.
    Running,
    /// It was used with another request.
    OtherRequest,
    /// The encrypted answer of the first request.
    Answered(Vec<u8>),
    /// The account has as many keys as are kept.
    Full,
}
