//! Text messages.

pub mod text;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use async_trait::async_trait;
use sightline_grant::Redacted;

use crate::phone::Phone;

/// The message was not taken; it is tried again.
#[derive(Debug, thiserror::Error)]
#[error("the message was not sent: {0}")]
pub struct NotSent(pub String);

/// Sends text messages.
#[async_trait]
pub trait SmsSender: Send + Sync + 'static {
    /// Sends `text` to `to`. Must log neither.
    async fn send(&self, to: &Phone, text: &Redacted<String>) -> Result<(), NotSent>;
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
    async fn send(&self, to: &Phone, text: &Redacted<String>) -> Result<(), NotSent> {
        let shown = format!("DEVELOPMENT SMS to {}\n{}\n", to.expose(), text.expose());
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
    async fn a_development_message_is_labelled_and_its_file_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sms.txt");
        let shown = Arc::new(Mutex::new(String::new()));
        let sink = shown.clone();
        let show: ShowSms = Box::new(move |text| sink.lock().expect("unpoisoned").push_str(text));
        let sms = DevelopmentSms::new(show, path.clone());
        let phone = Phone::parse("+4915112345678").expect("a number");
        sms.send(&phone, &Redacted::new("hello".into())).await.expect("written");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text, *shown.lock().expect("unpoisoned"));
        assert!(text.starts_with("DEVELOPMENT SMS to +4915112345678\nhello"));
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
