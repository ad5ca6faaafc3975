//! An operator's own list of breached passwords: a text file with one SHA-1 in upper-case hex a line,
//! sorted, each with an optional `:` and count behind it, as the well-known downloads have it. It is
//! searched where it lies, so it may be larger than memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::Password;

/// Hex digits of a SHA-1.
const DIGITS: usize = 40;
/// Longest line that is read.
const MAX_LINE: u64 = 256;

/// The list cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the list of breached passwords cannot be read: {0}")]
pub struct BreachedError(#[from] std::io::Error);

/// Whether the list has the password.
pub(crate) fn is_listed(file: &Path, password: &Password) -> Result<bool, BreachedError> {
    let wanted: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let mut file = BufReader::new(File::open(file)?);
    // The line that begins after `low` and before `high` is the one, if any is.
    let (mut low, mut high) = (0, file.get_ref().metadata()?.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let (line, end) = line_after(&mut file, middle)?;
        match line.as_deref().map(|line| line.cmp(wanted.as_str())) {
            Some(std::cmp::Ordering::Equal) => return Ok(true),
            Some(std::cmp::Ordering::Less) => low = end,
            // Nothing begins behind the middle, or what does is too far.
            Some(std::cmp::Ordering::Greater) | None => high = middle,
        }
    }
    Ok(false)
}

/// The hash on the first line that begins at `at` or later, and where the line after it begins.
fn line_after(file: &mut BufReader<File>, at: u64) -> Result<(Option<String>, u64), BreachedError> {
    let mut start = at.saturating_sub(1);
    file.seek(SeekFrom::Start(start))?;
    if at > 0 {
        start += file.skip_until(b'\n')? as u64;
    }
    let mut line = Vec::new();
    let read = std::io::Read::take(&mut *file, MAX_LINE).read_until(b'\n', &mut line)? as u64;
    let hash = line.get(..DIGITS).map(|hash| String::from_utf8_lossy(hash).to_uppercase());
    Ok((hash, start + read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_sorted_list_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("breached.txt");
        let hash = |text: &str| -> String {
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
            hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
        };
        for count in [0, 1, 2, 3, 50, 333] {
            let words: Vec<_> = (0..count).map(|n| format!("word number {n}")).collect();
            let mut lines: Vec<_> =
                words.iter().enumerate().map(|(n, w)| format!("{}:{}", hash(w), n * 977)).collect();
            lines.sort();
            std::fs::write(&path, lines.join("\r\n")).expect("written");
            for word in &words {
                let listed = is_listed(&path, &Password::new(word.clone()));
                assert!(listed.expect("readable"), "{word} of {count}");
            }
            for n in 0..200 {
                let other = Password::new(format!("another word {n}"));
                assert!(!is_listed(&path, &other).expect("readable"), "{n} of {count}");
            }
        }
        assert!(is_listed(&folder.path().join("none"), &Password::new("x".into())).is_err());
    }
}
