//! Files of ids, one a line, that only grow: what must not come back with a copy of the database.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Digits of an id.
const ID_LEN: usize = 32;

/// Adds an id; it is on the disk when this returns.
pub(crate) fn record(path: &Path, id: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(path)?;
    // The line end in front repairs a line that was cut off.
    file.write_all(format!("\n{id}\n").as_bytes())?;
    file.sync_all()
}

/// Every id in a file; none where there is no file.
pub(crate) fn read(path: &Path) -> io::Result<BTreeSet<String>> {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let mut ids = BTreeSet::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        let id = line.trim();
        let hex = id.bytes().all(|b| b.is_ascii_hexdigit());
        match id.len() {
            ID_LEN if hex => drop(ids.insert(id.to_owned())),
            // A crash may leave the beginning of a line behind.
            length if length < ID_LEN && hex => {}
            _ => return Err(io::Error::other("this is not a journal of ids")),
        }
    }
    Ok(ids)
}

/// Writes a file of exactly these; one that exists is an error.
pub(crate) fn write<'a>(path: &Path, ids: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    for id in ids {
        writeln!(file, "{id}")?;
    }
    file.sync_all()
}
