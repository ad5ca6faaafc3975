//! Text messages.

pub mod aliyun;
pub mod budget;
mod deliver;
pub mod open;
pub mod pumping;
pub mod text;
pub mod twilio;
#[cfg(test)]
mod wire_tests;

use async_trait::async_trait;
use sightline_grant::Redacted;

use crate::development::Outlet;
use crate::phone::Phone;

/// Why a message was not sent. The texts hold neither number nor message.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Not now; it is tried again.
    #[error("not sent, and tried again: {0}")]
    Later(String),
    /// Never; nothing is tried again.
    #[error("refused: {0}")]
    Refused(String),
    /// The answer was lost, so it may have gone. It is not sent twice.
    #[error("perhaps sent: {0}")]
    Unknown(String),
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct SmsMessage<'a> {
    /// Whom it goes to.
    pub to: &'a Phone,
    /// All of it.
    pub text: &'a Redacted<String>,
    /// The code in it, if it is one, for carriers that fill in templates of their own.
    pub code: Option<&'a Redacted<String>>,
    /// Names the message with the carrier; not secret.
    pub reference: &'a str,
}

/// Sends text messages.
#[async_trait]
pub trait SmsSender: Send + Sync + 'static {
    /// Sends a message. Must log none of it.
    async fn send(&self, message: &SmsMessage<'_>) -> Result<(), NotSent>;
    /// Name of the carrier in metrics.
    fn name(&self) -> &'static str;
}

/// Sends nothing: tells the operator instead. For development and demonstrations.
pub struct DevelopmentSms(pub Outlet);

#[async_trait]
impl SmsSender for DevelopmentSms {
    async fn send(&self, message: &SmsMessage<'_>) -> Result<(), NotSent> {
        let (to, text) = (message.to.expose(), message.text.expose());
        self.0.put(&format!("DEVELOPMENT SMS to {to}\n{text}\n"))
    }

    fn name(&self) -> &'static str {
        "development"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::development::tests::watched;

    #[tokio::test]
    async fn a_development_message_is_labelled() {
        let (outlet, read) = watched();
        let phone = Phone::parse("+4915112345678").expect("a number");
        let [text, code] = ["hello", "1"].map(|text| Redacted::new(text.to_owned()));
        let message = SmsMessage { to: &phone, text: &text, code: Some(&code), reference: "r" };
        DevelopmentSms(outlet).send(&message).await.expect("written");
        assert_eq!(read(), "DEVELOPMENT SMS to +4915112345678\nhello\n");
    }
}
