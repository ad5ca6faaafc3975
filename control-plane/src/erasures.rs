//! The journal of erasures: who was erased, kept beside the database and not in it.
//!
//! A database that was put back from a copy knows nothing of erasures after that copy. So each one is
//! written here first, and read again before anybody is served: whoever stands here and is in the
//! database all the same is erased once more. A line is an account's id, which says nothing without
//! the rows and the key that went with it.

pub(crate) mod journal;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::ids::AccountId;

/// Name of the journal in the data folder and in backups.
pub const ERASURES_FILE: &str = "erasures.log";

/// Adds an erasure; it is on the disk when this returns.
///
/// # Errors
/// When the file cannot be written; then nobody may be erased.
pub fn record(journal: &Path, account: &AccountId) -> io::Result<()> {
    journal::record(journal, account.as_str())
}

/// Everybody in a journal; nobody where there is none.
///
/// # Errors
/// When the file exists and cannot be read, or holds something else.
pub fn read(journal: &Path) -> io::Result<BTreeSet<AccountId>> {
    Ok(journal::read(journal)?.into_iter().map(AccountId).collect())
}

/// Writes a journal of exactly these.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write(journal: &Path, erased: &BTreeSet<AccountId>) -> io::Result<()> {
    journal::write(journal, erased.iter().map(AccountId::as_str))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    /// Digits of an id.
    const ID_LEN: usize = 32;

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
