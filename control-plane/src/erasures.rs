//! The journal of erasures: who was erased, kept beside the database and not in it.
//!
//! A database that was put back from a copy knows nothing of erasures after that copy. So each one is
//! written here first, and read again before anybody is served: whoever stands here and is in the
//! database all the same is erased once more. A line is an account's id, which says nothing without
//! the rows and the key that went with it.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::ids::AccountId;

/// Name of the journal in the data folder and in backups.
pub const ERASURES_FILE: &str = "erasures.log";
/// Digits of an account's id.
const ID_LEN: usize = 32;

/// Adds an erasure; it is on the disk when this returns.
///
/// # Errors
/// When the file cannot be written; then nobody may be erased.
pub fn record(journal: &Path, account: &AccountId) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(journal)?;
    // The line end in front repairs a line that was cut off.
    file.write_all(format!("\n{account}\n").as_bytes())?;
    file.sync_all()
}

/// Everybody in a journal; nobody where there is none.
///
/// # Errors
/// When the file exists and cannot be read, or holds something else.
pub fn read(journal: &Path) -> io::Result<BTreeSet<AccountId>> {
    let file = match OpenOptions::new().read(true).open(journal) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let mut erased = BTreeSet::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        let id = line.trim();
        let hex = id.bytes().all(|b| b.is_ascii_hexdigit());
        match id.len() {
            ID_LEN if hex => drop(erased.insert(AccountId(id.to_owned()))),
            // A crash may leave the beginning of a line behind.
            length if length < ID_LEN && hex => {}
            _ => return Err(io::Error::other("this is not a journal of erasures")),
        }
    }
    Ok(erased)
}

/// Writes a journal of exactly these.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write(journal: &Path, erased: &BTreeSet<AccountId>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(journal)?;
    for account in erased {
        writeln!(file, "{account}")?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_erased_is_read_again_and_half_a_line_harms_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join(ERASURES_FILE);
        assert!(read(&journal).unwrap().is_empty());
        let id = |digit: &str| AccountId(digit.repeat(ID_LEN));
        record(&journal, &id("a")).unwrap();
        let mut file = OpenOptions::new().append(true).open(&journal).unwrap();
        file.write_all(b"bbbb").unwrap();
        record(&journal, &id("c")).unwrap();
        let erased = read(&journal).unwrap();
        assert_eq!(erased, BTreeSet::from([id("a"), id("c")]));
        let copy = folder.path().join("copy");
        write(&copy, &erased).unwrap();
        assert_eq!(read(&copy).unwrap(), erased);
        assert!(write(&copy, &erased).is_err(), "nothing is written over");
        std::fs::write(&copy, "SQLite format 3\0").unwrap();
        assert!(read(&copy).is_err());
    }
}
