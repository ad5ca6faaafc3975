//! Files of keys: read only while nobody else may, written once.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::identity::IdentityError;

/// Reads a key file of at most `max` bytes, which must belong to its reader alone.
pub(crate) fn read(path: &Path, max: u64) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let meta = fs::metadata(path)?;
    if meta.mode() & 0o077 != 0 {
        return Err(IdentityError::OpenToOthers);
    }
    if meta.len() > max {
        return Err(IdentityError::Malformed);
    }
    Ok(Zeroizing::new(fs::read(path)?))
}

/// Writes a new key file with mode 0600; never over an old one.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}
