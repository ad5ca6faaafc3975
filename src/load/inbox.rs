//! The codes that a development server "sends" by SMS: lines of a file in its data folder.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sightline_grant::Redacted;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks into the file.
const POLL: Duration = Duration::from_millis(20);
/// First words of a message, before the number.
const HEAD: &str = "DEVELOPMENT SMS to ";

/// Reads the file as it grows.
pub(super) struct Inbox {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    offset: u64,
    /// Bytes behind the last whole line.
    rest: Vec<u8>,
    /// Number that the message in progress goes to.
    to: String,
    codes: HashMap<String, Vec<Redacted<String>>>,
}

impl Inbox {
    /// Only what is written from now on counts.
    pub(super) fn new(path: PathBuf) -> Self {
        let offset = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        Self { path, state: Mutex::new(State { offset, ..State::default() }) }
    }

    /// Number of messages to a phone so far.
    pub(super) fn count(&self, phone: &str) -> Result<usize, String> {
        let mut state = self.state.lock().expect("unpoisoned");
        self.read(&mut state)?;
        Ok(state.codes.get(phone).map_or(0, Vec::len))
    }

    /// The code of the message after the first `seen` ones.
    pub(super) async fn after(&self, phone: &str, seen: usize) -> Result<Redacted<String>, String> {
        let last = Instant::now() + PATIENCE;
        loop {
            if let Some(code) = self.nth(phone, seen)? {
                return Ok(code);
            }
            if Instant::now() >= last {
                let path = self.path.display();
                return Err(format!("no SMS in {path}: is this the server's data folder?"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn nth(&self, phone: &str, at: usize) -> Result<Option<Redacted<String>>, String> {
        let mut state = self.state.lock().expect("unpoisoned");
        self.read(&mut state)?;
        Ok(state.codes.get(phone).and_then(|codes| codes.get(at)).cloned())
    }

    fn read(&self, state: &mut State) -> Result<(), String> {
        let mut file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("{}: {error}", self.path.display())),
        };
        let read = file
            .seek(SeekFrom::Start(state.offset))
            .and_then(|_| file.read_to_end(&mut state.rest))
            .map_err(|error| format!("{}: {error}", self.path.display()))?;
        state.offset += read as u64;
        state.take_lines();
        Ok(())
    }
}

impl State {
    fn take_lines(&mut self) {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            if let Some(to) = line.strip_prefix(HEAD) {
                self.to = to.to_owned();
            } else if line.starts_with('@')
                && let Some((_, code)) = line.split_once(" #")
            {
                let code = Redacted::new(code.to_owned());
                self.codes.entry(self.to.clone()).or_default().push(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn codes_go_to_their_numbers_and_old_ones_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sms.txt");
        std::fs::write(&path, "DEVELOPMENT SMS to +491\nold\n\n@localhost #000000\n").unwrap();
        let inbox = Inbox::new(path.clone());
        assert_eq!(inbox.count("+491").unwrap(), 0);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        write!(file, "DEVELOPMENT SMS to +491\ntext\n\n@localhost #123456\n").unwrap();
        write!(file, "DEVELOPMENT SMS to +492\ntext\n\n@localhost #65").unwrap();
        assert_eq!((inbox.count("+491").unwrap(), inbox.count("+492").unwrap()), (1, 0));
        writeln!(file, "4321").unwrap();
        assert_eq!(inbox.after("+491", 0).await.unwrap().expose(), "123456");
        assert_eq!(inbox.after("+492", 0).await.unwrap().expose(), "654321");
    }
}
