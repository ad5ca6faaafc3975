//! The data folder: one process at a time, files readable by their owner only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A locked data folder. The lock goes with the value.
pub(crate) struct DataDir {
    path: PathBuf,
    new: bool,
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    /// Another process has it.
    #[error("{0} is in use by another Sightline process; stop it, or choose another --data")]
    InUse(PathBuf),
    /// The system refuses.
    #[error("cannot use the data folder {path}: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl DataDir {
    /// Makes the folder if need be and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let at = |source| DataDirError::Io { path: path.to_owned(), source };
        let new = !path.exists();
        make_private_dir(path).map_err(at)?;
        let path = path.canonicalize().map_err(at)?;
        let lock = private_options().open(path.join("lock")).map_err(at)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, new, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path)),
            Err(TryLockError::Error(source)) => Err(DataDirError::Io { path, source }),
        }
    }

    /// Absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this start made it.
    pub(crate) fn is_new(&self) -> bool {
        self.new
    }
}

/// Makes a folder that only its owner can enter.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Options for a file that only its owner can read.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

/// Writes a whole file, readable by its owner only, so that a crash leaves the old or the new one.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = private_options().truncate(true).open(&beside)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Reads `path`, or makes it with `make` first. `None` if it exists with the wrong length.
pub(crate) fn secret_file<const N: usize>(path: &Path) -> io::Result<[u8; N]> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            io::Error::other(format!("{} is damaged: it must have {N} bytes", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; N];
            aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
            write_private(path, &bytes)?;
            Ok(bytes)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_and_files_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::open(&path).unwrap();
        assert!(first.is_new());
        assert!(matches!(DataDir::open(&path), Err(DataDirError::InUse(_))));
        let secret: [u8; 32] = secret_file(&path.join("key")).unwrap();
        assert_eq!(secret_file::<32>(&path.join("key")).unwrap(), secret);
        assert!(secret_file::<16>(&path.join("key")).is_err());
        let mode = fs::metadata(path.join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(first);
        assert!(!DataDir::open(&path).unwrap().is_new());
    }
}
