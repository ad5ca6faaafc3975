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

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use async_trait::async_trait;
use sightline_grant::Redacted;

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

/// Shows a message to the operator; given by the caller, never the log.
pub type ShowSms = Box<dyn Fn(&str) + Send + Sync>;

/// Sends nothing: shows messages on the operator's terminal and writes them to a file that only
/// the operator can read. For development and demonstrations.
pub struct DevelopmentSms {
    show: ShowSms,
    file: PathBuf,
}

impl DevelopmentSms {
    /// Messages go to `show` and are appended to `file` (made with mode 0600).
    pub fn new(show: ShowSms, file: PathBuf) -> Self {
        Self { show, file }
    }
}

#[async_trait]
impl SmsSender for DevelopmentSms {
    async fn send(&self, message: &SmsMessage<'_>) -> Result<(), NotSent> {
        let (to, text) = (message.to.expose(), message.text.expose());
        let shown = format!("DEVELOPMENT SMS to {to}\n{text}\n");
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.file)
            .and_then(|mut file| file.write_all(shown.as_bytes()))
            .map_err(|error| NotSent::Later(error.to_string()))?;
        (self.show)(&shown);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "development"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn a_development_message_is_labelled_and_its_file_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sms.txt");
        let shown = Arc::new(Mutex::new(String::new()));
        let sink = shown.clone();
        let show: ShowSms = Box::new(move |text| sink.lock().expect("unpoisoned").push_str(text));
        let sms = DevelopmentSms::new(show, path.clone());
        let phone = Phone::parse("+4915112345678").expect("a number");
        let [text, code] = ["hello", "1"].map(|text| Redacted::new(text.to_owned()));
        let message = SmsMessage { to: &phone, text: &text, code: Some(&code), reference: "r" };
        sms.send(&message).await.expect("written");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text, *shown.lock().expect("unpoisoned"));
        assert!(text.starts_with("DEVELOPMENT SMS to +4915112345678\nhello"));
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
