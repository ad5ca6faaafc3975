//! A wish for a one-time code by text message, from the request to the outbox.

use std::net::IpAddr;

use super::budget::dial::dial_code;
use super::budget::work::{self, For};
use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::ChallengeId;
use crate::otp::{OtpError, OtpSent};
use crate::phone::Phone;
use crate::random;
use crate::storage::model::{OtpChallenge, OtpPurpose, RetryAfter, SmsAsk, SmsOpened};

/// Work that a terminal has done.
#[derive(Clone, Debug)]
pub struct Worked {
    /// The puzzle, as it was given out.
    pub puzzle: String,
    /// Its answer.
    pub answer: u64,
}

/// Where a wish comes from, and the work that was done for it.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Address of the client.
    pub ip: IpAddr,
    /// Work.
    pub worked: Option<Worked>,
}

impl From<IpAddr> for Asking {
    fn from(ip: IpAddr) -> Self {
        Self { ip, worked: None }
    }
}

/// Work that a terminal has to do before its wish is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// What to solve; see [`work`].
    pub puzzle: String,
    /// Leading zero bits that the hash needs.
    pub bits: u8,
    /// Seconds in which it must be solved.
    pub expires_in: u64,
}

impl ControlPlane {
    /// Opens a challenge and sends its code, or holds the message: the answer is the same either way.
    /// Only an account that asks about itself hears that its share is used up.
    pub(crate) async fn open_sms(
        &self,
        challenge: OtpChallenge,
        phone: &Phone,
        asking: &Asking,
    ) -> Result<OtpSent, OtpError> {
        let policy = &self.config().limits.sms;
        let dial = dial_code(phone.expose());
        if !policy.serves(dial) {
            return Err(OtpError::NotServed);
        }
        let now = self.now();
        let terminal = self.vault().lookup("terminal", &challenge.terminal.to_string());
        let whom = For { terminal: &terminal, number: &challenge.target };
        let ask = SmsAsk {
            worked: asking.worked.as_ref().is_some_and(|done| {
                work::solved(self.vault(), &done.puzzle, done.answer, whom, now)
            }),
            number: challenge.target.clone(),
            prefix: self.vault().lookup("prefix", phone.prefix()),
            network: self.vault().lookup("network", &network(asking.ip)),
            // A number that is to come to the account is nobody's yet.
            account: challenge
                .account
                .as_ref()
                .filter(|_| challenge.purpose != OtpPurpose::Identifier)
                .map(|account| self.vault().lookup("account", account.as_str())),
            terminal: terminal.clone(),
            dial,
        };
        let opened = self.store().sms_open(&challenge, &ask, policy, now).await;
        let resend_after = policy.pause;
        match opened.map_err(Inner::from)? {
            SmsOpened::Open { held: Some(reason), .. } if ask.account.is_some() => {
                count("held", reason);
                Err(OtpError::Limited(RetryAfter(policy.account.gap)))
            }
            SmsOpened::Open { challenge, held, cost } => {
                count(if held.is_some() { "held" } else { "sent" }, held.unwrap_or("room"));
                metrics::counter!("sightline_sms_cost_thousandths_total").increment(cost);
                self.0.outbox.notify_one();
                Ok(OtpSent { challenge, resend_after, work: None })
            }
            SmsOpened::Work(bits) => {
                count("work", "low");
                let puzzle = work::puzzle(self.vault(), bits, whom, now);
                let work = Work { puzzle, bits, expires_in: work::PUZZLE_SECS };
                // Leads nowhere: the answer has the same members as any other.
                let challenge = ChallengeId(random::hex_id(self.random()));
                Ok(OtpSent { challenge, resend_after, work: Some(work) })
            }
            SmsOpened::Again(wait) => Err(OtpError::Limited(RetryAfter(wait))),
        }
    }

    /// The code of a challenge was answered rightly.
    pub(crate) async fn sms_answered(&self, challenge: &ChallengeId) -> Result<(), Inner> {
        let policy = &self.config().limits.sms;
        if self.store().sms_answered(challenge, policy, self.now()).await? {
            metrics::counter!("sightline_sms_answered_total").increment(1);
        }
        Ok(())
    }
}

fn count(decision: &'static str, reason: &'static str) {
    let labels = [("decision", decision), ("reason", reason)];
    metrics::counter!("sightline_sms_decisions_total", &labels).increment(1);
}

/// The IPv4 /24 or the IPv6 /48 of an address, as text to hash.
pub(crate) fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("{:?}", &ip.octets()[..3]),
        IpAddr::V6(ip) => format!("v6 {:?}", &ip.segments()[..3]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_24_or_a_48() {
        let of = |ip: &str| network(ip.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
    }
}
