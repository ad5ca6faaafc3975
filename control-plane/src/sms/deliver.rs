//! Handing messages of the outbox to the carrier.

use super::{NotSent, SmsMessage};
use crate::ControlPlane;
use crate::address::Address;
use crate::error::Inner;
use crate::limits::SEND_ATTEMPTS;
use crate::storage::model::{Delivery, OutboxEntry};

impl ControlPlane {
    /// Tries to send an entry once. Whether it is done with: sent, refused, out of attempts, or of a
    /// fate that nobody knows. What may have gone is never sent a second time; whoever waits for it
    /// asks for another.
    pub(crate) async fn deliver_sms(&self, entry: &OutboxEntry) -> Result<bool, Inner> {
        let store = self.store();
        if !store.sms_delivery(entry.id, Delivery::Queued, Delivery::Sending).await? {
            // A process ended while it was sending this.
            store.sms_delivery(entry.id, Delivery::Sending, Delivery::Unknown).await?;
            self.count_delivery(Delivery::Unknown);
            return Ok(true);
        }
        let sent = self.send_sms(entry).await?;
        if let Err(error) = &sent {
            tracing::warn!(entry = entry.id, attempt = entry.attempts, %error, "SMS not sent");
        }
        let state = match sent {
            Ok(()) => Delivery::Sent,
            Err(NotSent::Later(_)) if entry.attempts < SEND_ATTEMPTS => Delivery::Queued,
            Err(NotSent::Later(_) | NotSent::Refused(_)) => Delivery::Failed,
            Err(NotSent::Unknown(_)) => Delivery::Unknown,
        };
        store.sms_delivery(entry.id, Delivery::Sending, state).await?;
        self.count_delivery(state);
        Ok(state != Delivery::Queued)
    }

    async fn send_sms(&self, entry: &OutboxEntry) -> Result<Result<(), NotSent>, Inner> {
        let Some((Address::Phone(phone), out)) = self.outgoing(entry).await? else {
            // Used, expired or nobody's in between: there is nothing to send any more.
            return Ok(Err(NotSent::Refused("the message is over".into())));
        };
        let reference = format!("{:x}", entry.id);
        let message = SmsMessage {
            to: &phone,
            text: &out.sms,
            code: out.code.as_ref(),
            reference: &reference,
        };
        Ok(self.0.sms.send(&message).await)
    }

    fn count_delivery(&self, state: Delivery) {
        let labels = [("carrier", self.0.sms.name()), ("state", state.as_str())];
        metrics::counter!("sightline_sms_deliveries_total", &labels).increment(1);
    }
}
