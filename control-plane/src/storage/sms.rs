//! What the budget of text messages asks of its database.

use async_trait::async_trait;

use super::Stored;
use super::model::{Delivery, OtpChallenge, SmsAsk, SmsDecision, SmsOpened};
use crate::ids::ChallengeId;
use crate::sms::budget::Policy;

/// Text messages and what they cost.
#[async_trait]
pub trait SmsStore {
    /// Decides on a wish by [`crate::sms::budget::decide`] and what is stored so far; opens or takes
    /// up the challenge, writes the decision and what it charges, and puts the message into the
    /// outbox, closed already when it is held. A message that goes and one that is held run the same
    /// statements.
    async fn sms_open(
        &self,
        challenge: &OtpChallenge,
        ask: &SmsAsk,
        policy: &Policy,
        now: u64,
    ) -> Stored<SmsOpened>;
    /// The code of a challenge was answered rightly: what it was charged comes back, and the terminal
    /// is known for this number from now on. `false` when nothing was sent for it, or when it was
    /// answered before.
    async fn sms_answered(
        &self,
        challenge: &ChallengeId,
        policy: &Policy,
        now: u64,
    ) -> Stored<bool>;
    /// Moves the delivery of an outbox entry on. `false` when it was not `from`; entries without a
    /// decision, which no budget counts, may always move.
    async fn sms_delivery(&self, outbox: u64, from: Delivery, to: Delivery) -> Stored<bool>;
    /// Newest decisions, at most `limit`.
    async fn sms_decisions(&self, limit: u64) -> Stored<Vec<SmsDecision>>;
}
