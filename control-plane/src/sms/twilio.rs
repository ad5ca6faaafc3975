//! The Twilio shape: the Messages resource of the API of 2010-04-01, with basic authentication and a
//! form.

use async_trait::async_trait;
use serde::Deserialize;
use sightline_grant::Redacted;
use url::{Url, form_urlencoded};

use super::{NotSent, SmsMessage, SmsSender};
use crate::outbound::{self, Answer};

/// Where the API is.
pub const ENDPOINT: &str = "https://api.twilio.com/";
/// First letters of a messaging service, which has its own senders.
const SERVICE: &str = "MG";

/// What the operator has at the carrier.
#[derive(Clone, Debug)]
pub struct Account {
    /// Account id (`AC...`).
    pub sid: String,
    /// Key id (`SK...`), or the account id again.
    pub key_id: String,
    /// Key secret or account token.
    pub secret: Redacted<String>,
    /// A number of the account, or a messaging service (`MG...`).
    pub from: String,
}

/// Sends over Twilio.
pub struct Twilio {
    account: Account,
    at: Url,
    http: reqwest::Client,
}

impl Twilio {
    /// `http` trusts whoever answers at `at`.
    pub fn new(account: Account, at: Url, http: reqwest::Client) -> Self {
        Self { account, at, http }
    }
}

#[derive(Deserialize)]
struct Outcome {
    /// Of a refusal.
    code: Option<u32>,
    /// Of a message.
    error_code: Option<u32>,
}

#[async_trait]
impl SmsSender for Twilio {
    async fn send(&self, message: &SmsMessage<'_>) -> Result<(), NotSent> {
        let path = format!("2010-04-01/Accounts/{}/Messages.json", self.account.sid);
        let url = self.at.join(&path).map_err(|error| NotSent::Refused(error.to_string()))?;
        let from = &self.account.from;
        let sender = if from.starts_with(SERVICE) { "MessagingServiceSid" } else { "From" };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("To", message.to.expose())
            .append_pair(sender, from)
            .append_pair("Body", message.text.expose())
            .finish();
        let request = self
            .http
            .post(url)
            .basic_auth(&self.account.key_id, Some(self.account.secret.expose()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        match outbound::exchange(request).await {
            Ok(answer) => judge(&answer),
            Err(error @ outbound::Failed::NotSent(_)) => Err(NotSent::Later(error.to_string())),
            Err(error @ outbound::Failed::Lost(_)) => Err(NotSent::Unknown(error.to_string())),
        }
    }

    fn name(&self) -> &'static str {
        "twilio"
    }
}

/// What the carrier made of it. Its texts may name the number, so only its codes are told.
fn judge(answer: &Answer) -> Result<(), NotSent> {
    let status = answer.status.as_u16();
    let outcome = serde_json::from_slice::<Outcome>(&answer.body).ok();
    let code = outcome.as_ref().and_then(|outcome| outcome.code.or(outcome.error_code));
    let text = code.map_or(format!("status {status}"), |code| format!("status {status}, {code}"));
    match status {
        200 | 201 if outcome.is_some() && code.is_none() => Ok(()),
        429 | 503 => Err(NotSent::Later(text)),
        400..500 => Err(NotSent::Refused(text)),
        200 | 201 if code.is_some() => Err(NotSent::Refused(text)),
        _ => Err(NotSent::Unknown(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let judged = |status: u16, body: &str| {
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            judge(&Answer { status, body: body.as_bytes().to_vec() })
        };
        assert!(judged(201, r#"{"sid":"SM1","status":"queued","error_code":null}"#).is_ok());
        assert!(matches!(judged(201, "<html>"), Err(NotSent::Unknown(_))));
        let bad = judged(400, r#"{"code":21211,"message":"+4915112345678 is no number"}"#);
        let text = bad.unwrap_err().to_string();
        assert!(text.contains("21211") && !text.contains("4915"), "{text}");
        assert!(matches!(judged(429, r#"{"code":20429}"#), Err(NotSent::Later(_))));
        assert!(matches!(judged(502, ""), Err(NotSent::Unknown(_))));
    }
}
