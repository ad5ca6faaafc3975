//! Rows of the budget of text messages.

use crate::ids::ChallengeId;
use crate::sms::budget::Dimension;

/// A wish for a message, in keyed hashes.
#[derive(Clone, Debug)]
pub struct SmsAsk {
    /// The number.
    pub number: Vec<u8>,
    /// The number without its last four digits.
    pub prefix: Vec<u8>,
    /// The IPv4 /24 or IPv6 /48 that asks.
    pub network: Vec<u8>,
    /// The terminal key.
    pub terminal: Vec<u8>,
    /// The account, when it asks for itself.
    pub account: Option<Vec<u8>>,
    /// Country calling code.
    pub dial: u16,
    /// Work was done for it.
    pub worked: bool,
}

impl SmsAsk {
    /// Key of its bucket in a dimension, if it has one there.
    pub fn key(&self, dimension: Dimension) -> Option<Vec<u8>> {
        match dimension {
            Dimension::Prefix => Some(self.prefix.clone()),
            Dimension::Dial => Some(self.dial.to_be_bytes().to_vec()),
            Dimension::Network | Dimension::Asks => Some(self.network.clone()),
            Dimension::Terminal => Some(self.terminal.clone()),
            Dimension::Account => self.account.clone(),
            Dimension::Money => Some(Vec::new()),
        }
    }
}

/// What a wish came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmsOpened {
    /// A challenge is open, and a message goes or is held.
    Open {
        /// The challenge in force.
        challenge: ChallengeId,
        /// Why the message is held; nobody outside may be told, but an account about itself.
        held: Option<&'static str>,
        /// What it cost, thousandths of a minor unit.
        cost: u64,
    },
    /// Nothing happened: work of this many bits is asked for first.
    Work(u8),
    /// Nothing happened: the same terminal asked for the same number, or its network asks too much.
    Again(u64),
}

/// Where a message is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// It does not go.
    None,
    /// It waits in the outbox.
    Queued,
    /// It is being handed to the carrier.
    Sending,
    /// The carrier has it.
    Sent,
    /// The carrier does not take it.
    Failed,
    /// It may have gone: the answer was lost. It is not sent a second time.
    Unknown,
}

impl Delivery {
    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// A decision as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsDecision {
    /// Unix seconds.
    pub at: u64,
    /// Purpose of the code.
    pub purpose: String,
    /// `sent` or `held`.
    pub decision: String,
    /// Why it was held, or would have been.
    pub reason: Option<String>,
    /// Whether it stood on an earlier answer or a login.
    pub trusted: bool,
    /// Country calling code.
    pub dial: u16,
    /// Thousandths of a minor unit.
    pub cost: u64,
    /// Stored form of [`Delivery`].
    pub delivery: String,
    /// When the code was answered, Unix seconds.
    pub answered_at: Option<u64>,
}
