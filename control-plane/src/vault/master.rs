//! The master key and its file.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::random::{self, Random};

/// The one key that is not in the database. Kept apart from backups: whoever has a backup and this
/// key can read the personal columns.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why the master key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or written.
    #[error("the master key file cannot be used: {0}")]
    File(#[from] std::io::Error),
    /// Not 32 bytes.
    #[error("the master key file must hold exactly 32 bytes")]
    Length,
    /// Others may read it.
    #[error("the master key file must be readable by its owner only (mode 0600)")]
    Permissions,
    /// A database without its key.
    #[error("there is a database but no master key; put the key file back")]
    Missing,
}

impl MasterKey {
    /// From 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the key; makes one when there is none and `may_create`.
    ///
    /// # Errors
    /// See [`MasterKeyError`].
    pub fn load(
        path: &Path,
        may_create: bool,
        random: &dyn Random,
    ) -> Result<Self, MasterKeyError> {
        match File::open(path) {
            Ok(file) => Self::read(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_create => {
                let key = Self::from_bytes(random::bytes(random));
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(key.bytes())?;
                file.sync_all()?;
                Ok(key)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(MasterKeyError::Missing)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn read(mut file: File) -> Result<Self, MasterKeyError> {
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(MasterKeyError::Permissions);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(33));
        Read::by_ref(&mut file).take(33).read_to_end(&mut bytes)?;
        bytes.as_slice().try_into().map(Self::from_bytes).map_err(|_| MasterKeyError::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn the_key_is_made_once_and_never_in_place_of_a_lost_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        let random = SeededRandom::new(1);
        let refused = MasterKey::load(&path, false, &random);
        assert!(matches!(refused, Err(MasterKeyError::Missing)));
        let made = MasterKey::load(&path, true, &random).expect("made");
        let read = MasterKey::load(&path, false, &random).expect("read");
        assert_eq!(made.bytes(), read.bytes());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        let open = MasterKey::load(&path, false, &random);
        assert!(matches!(open, Err(MasterKeyError::Permissions)));
    }
}
