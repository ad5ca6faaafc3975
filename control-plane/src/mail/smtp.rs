//! Mail by SMTP (RFC 5321) to one submission server (RFC 6409), which sees to the rest.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sightline_grant::Redacted;

use super::{Mail, MailSender};
use crate::email::Email;
use crate::sms::NotSent;

/// Longest wait for an answer of the server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Connections kept to the server.
const CONNECTIONS: u32 = 2;

/// How the way to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte (RFC 8314, section 3.3).
    Tls,
    /// TLS after STARTTLS (RFC 3207); a server that does not offer it is not used.
    StartTls,
    /// None: for a server on this machine.
    Plain,
}

/// Where mail is handed in, and as whom.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// Host name; its certificate must carry it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Protection.
    pub tls: SmtpTls,
    /// User and password, unless the server takes mail without.
    pub login: Option<(String, Redacted<String>)>,
    /// Sender of the messages.
    pub from: Email,
    /// Certificates (PEM) to trust instead of the public ones.
    pub ca: Option<Vec<u8>>,
    /// Name of this host in the greeting.
    pub hello: String,
}

/// The mail server cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("the mail server cannot be used: {0}")]
pub struct SmtpError(String);

/// The sender.
pub struct SmtpMail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMail {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(config: SmtpConfig) -> Result<Self, SmtpError> {
        let failed = |error: lettre::transport::smtp::Error| SmtpError(error.to_string());
        let tls = match config.tls {
            SmtpTls::Plain => Tls::None,
            SmtpTls::Tls => Tls::Wrapper(parameters(&config).map_err(failed)?),
            SmtpTls::StartTls => Tls::Required(parameters(&config).map_err(failed)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .timeout(Some(TIMEOUT))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS))
            .hello_name(ClientId::Domain(config.hello))
            .tls(tls);
        if let Some((user, password)) = config.login {
            builder = builder.credentials(Credentials::new(user, password.into_inner()));
        }
        let from = Mailbox::new(Some("Sightline".into()), address(&config.from));
        Ok(Self { transport: builder.build(), from })
    }
}

#[async_trait]
impl MailSender for SmtpMail {
    async fn send(&self, to: &Email, mail: &Mail) -> Result<(), NotSent> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address(to)))
            .subject(mail.subject)
            .message_id(None)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.expose().clone())
            .map_err(|_| NotSent("the mail cannot be written".into()))?;
        self.transport.send(message).await.map(drop).map_err(|error| NotSent(reason(&error)))
    }
}

fn parameters(config: &SmtpConfig) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(pem) = &config.ca {
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(pem)?);
    }
    builder.build_rustls()
}

/// The checks of [`Email`] are stricter than those of the mail library, which may know it as valid.
fn address(email: &Email) -> Address {
    let (local, domain) = email.parts();
    Address::new_dangerous(local, domain)
}

/// What went wrong, without the server's own words: they may repeat the address.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server did not answer in time".into(),
        None => "the mail server cannot be reached, or not by a certificate that is trusted".into(),
    }
}

#[cfg(test)]
mod tests;
