//! The journal of unbindings: identities that were taken off an account, kept beside the database and
//! not in it, for the reason of the journal of erasures ([`crate::erasures`]): a database that was put
//! back from a copy must not bring them back.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::erasures::journal;
use crate::{ControlPlane, OpenError, error};

/// Name of the journal in the data folder and in backups.
pub const UNBOUND_FILE: &str = "unbound.log";

/// Every identity that was unbound; none where there is no journal.
///
/// # Errors
/// When the file exists and cannot be read, or holds something else.
pub fn read(path: &Path) -> io::Result<BTreeSet<String>> {
    journal::read(path)
}

/// Writes a journal of exactly these.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write(path: &Path, unbound: &BTreeSet<String>) -> io::Result<()> {
    journal::write(path, unbound.iter().map(String::as_str))
}

impl ControlPlane {
    /// Unbinds again whatever stands in the journal and is in the database all the same. Before anybody
    /// is served.
    ///
    /// # Errors
    /// When the journal cannot be read or the database does not answer.
    pub async fn replay_unbindings(&self) -> Result<(), OpenError> {
        let path = self.config().data_dir.join(UNBOUND_FILE);
        let unbound = read(&path).map_err(OpenError::Unbound)?;
        if !unbound.is_empty() {
            let gone = self.store().identities_unbound(&unbound, self.now()).await;
            gone.map_err(error::Inner::from)?;
        }
        Ok(())
    }
}
