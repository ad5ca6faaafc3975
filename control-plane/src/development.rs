//! Where stand-ins put what a real gateway would send: the operator's terminal, and a file that only
//! the operator can read. Never the log.

pub(crate) mod web;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::sms::NotSent;

/// Shows a message to the operator; given by the caller.
pub type Show = Box<dyn Fn(&str) + Send + Sync>;

/// The operator, instead of whom a message is for.
pub struct Outlet {
    show: Show,
    file: PathBuf,
}

impl Outlet {
    /// Messages go to `show` and are appended to `file` (made with mode 0600).
    pub fn new(show: Show, file: PathBuf) -> Self {
        Self { show, file }
    }

    /// Writes and shows a message.
    pub(crate) fn put(&self, message: &str) -> Result<(), NotSent> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.file)
            .and_then(|mut file| file.write_all(message.as_bytes()))
            .map_err(|error| NotSent::Later(error.to_string()))?;
        (self.show)(message);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    /// An outlet, and a reader of what came out of it. The reader checks that the file is private
    /// and holds what was shown.
    pub(crate) fn watched() -> (Outlet, impl Fn() -> String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("messages.txt");
        let shown = Arc::new(Mutex::new(String::new()));
        let sink = shown.clone();
        let show: Show = Box::new(move |text| sink.lock().expect("unpoisoned").push_str(text));
        let read = move || {
            let path = folder.path().join("messages.txt");
            let text = std::fs::read_to_string(&path).expect("a file");
            assert_eq!(text, *shown.lock().expect("unpoisoned"));
            let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            text
        };
        (Outlet::new(show, path), read)
    }

    #[test]
    fn messages_follow_one_another_in_a_private_file() {
        let (outlet, read) = watched();
        outlet.put("one\n").expect("written");
        outlet.put("two\n").expect("written");
        assert_eq!(read(), "one\ntwo\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_tried_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let outlet = Outlet::new(Box::new(|_| {}), folder.path().to_owned());
        assert!(matches!(outlet.put("one"), Err(NotSent::Later(_))));
    }
}
