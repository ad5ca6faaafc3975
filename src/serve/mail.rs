//! The sender of mail that the configuration asks for.

use std::path::Path;
use std::sync::Arc;

use sightline_control_plane::development::Outlet;
use sightline_control_plane::email::Email;
use sightline_control_plane::mail::smtp::{SmtpConfig, SmtpMail, SmtpTls};
use sightline_control_plane::mail::{DevelopmentMail, MailSender};
use sightline_grant::Redacted;

use crate::config::{MailTls, Raw};

/// File that development mail is appended to.
pub(crate) const MAIL_FILE: &str = "dev-mail.txt";

/// Development mail goes to `show` and a file of the data folder.
pub(crate) fn sender(
    data: &Path,
    raw: &Raw,
    show: fn(&str),
) -> Result<Arc<dyn MailSender>, String> {
    let mail = &raw.mail;
    if mail.host.is_empty() {
        return Ok(Arc::new(DevelopmentMail(Outlet::new(Box::new(show), data.join(MAIL_FILE)))));
    }
    let read = |key: &str, path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("{key}: {}: {error}", path.display()))
    };
    let password = mail.password_file.as_deref().map(|path| read("mail.password_file", path));
    let ca = mail.ca_file.as_deref().map(|path| read("mail.ca_file", path)).transpose()?;
    let login = password.transpose()?.map(|text| Redacted::new(text.trim_end().to_owned()));
    let from = Email::parse(&mail.from).ok_or("mail.from: this is not a mail address")?;
    let config = SmtpConfig {
        host: mail.host.clone(),
        port: mail.port(),
        tls: match mail.tls {
            MailTls::Tls => SmtpTls::Tls,
            MailTls::Starttls => SmtpTls::StartTls,
            MailTls::None => SmtpTls::Plain,
        },
        login: login.map(|password| (mail.user.clone(), password)),
        from,
        ca: ca.map(String::into_bytes),
        hello: raw.server.name.clone(),
    };
    Ok(Arc::new(SmtpMail::new(config).map_err(|error| format!("mail.ca_file: {error}"))?))
}
