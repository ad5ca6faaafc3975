//! Mail.

pub mod smtp;
pub mod text;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use async_trait::async_trait;
use sightline_grant::Redacted;

use crate::email::Email;
use crate::sms::{NotSent, ShowSms};

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

/// Sends nothing: shows mail on the operator's terminal and writes it to a file that only the
/// operator can read. For development and demonstrations.
pub struct DevelopmentMail {
    show: ShowSms,
    file: PathBuf,
}

impl DevelopmentMail {
    /// Mail goes to `show` and is appended to `file` (made with mode 0600).
    pub fn new(show: ShowSms, file: PathBuf) -> Self {
        Self { show, file }
    }
}

#[async_trait]
impl MailSender for DevelopmentMail {
    async fn send(&self, to: &Email, mail: &Mail) -> Result<(), NotSent> {
        let (subject, body) = (mail.subject, mail.body.expose());
        let shown = format!("DEVELOPMENT MAIL to {}\n{subject}\n{body}\n", to.expose());
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.file)
            .and_then(|mut file| file.write_all(shown.as_bytes()))
            .map_err(|error| NotSent(error.to_string()))?;
        (self.show)(&shown);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn development_mail_is_labelled_and_its_file_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mail.txt");
        let shown = Arc::new(Mutex::new(String::new()));
        let sink = shown.clone();
        let show: ShowSms = Box::new(move |text| sink.lock().expect("unpoisoned").push_str(text));
        let sender = DevelopmentMail::new(show, path.clone());
        let to = Email::parse("anna@mail.example").expect("an address");
        let mail = Mail { subject: "Hello", body: Redacted::new("there".into()) };
        sender.send(&to, &mail).await.expect("written");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text, "DEVELOPMENT MAIL to anna@mail.example\nHello\nthere\n");
        assert_eq!(text, *shown.lock().expect("unpoisoned"));
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{mail:?} {to:?}").contains("there"));
    }
}
