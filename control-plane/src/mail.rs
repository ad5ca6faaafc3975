//! Mail.

pub mod smtp;
pub mod text;

use async_trait::async_trait;
use sightline_grant::Redacted;

use crate::development::Outlet;
use crate::email::Email;
use crate::sms::NotSent;

/// A message of plain text. The subject is ours and holds nothing of anybody.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Subject.
    pub subject: &'static str,
    /// Text.
    pub body: Redacted<String>,
}

/// Sends mail.
#[async_trait]
pub trait MailSender: Send + Sync + 'static {
    /// Sends a mail to `to`. Must log neither.
    async fn send(&self, to: &Email, mail: &Mail) -> Result<(), NotSent>;
}

/// Sends nothing: tells the operator instead. For development and demonstrations.
pub struct DevelopmentMail(pub Outlet);

#[async_trait]
impl MailSender for DevelopmentMail {
    async fn send(&self, to: &Email, mail: &Mail) -> Result<(), NotSent> {
        let (subject, body) = (mail.subject, mail.body.expose());
        self.0.put(&format!("DEVELOPMENT MAIL to {}\n{subject}\n{body}\n", to.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::development::tests::watched;

    #[tokio::test]
    async fn development_mail_is_labelled_and_redacted() {
        let (outlet, read) = watched();
        let to = Email::parse("anna@mail.example").expect("an address");
        let mail = Mail { subject: "Hello", body: Redacted::new("there".into()) };
        DevelopmentMail(outlet).send(&to, &mail).await.expect("written");
        assert_eq!(read(), "DEVELOPMENT MAIL to anna@mail.example\nHello\nthere\n");
        assert!(!format!("{mail:?} {to:?}").contains("there"));
    }
}
