//! Failures that every operation may meet.

use crate::storage::StoreError;
use crate::vault::DoesNotOpen;

/// The service cannot do its work now; nobody's fault outside.
#[derive(Debug, thiserror::Error)]
pub enum Inner {
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`DoesNotOpen`].
    #[error(transparent)]
    Vault(#[from] DoesNotOpen),
    /// A journal beside the database cannot be written.
    #[error("a journal cannot be written: {0}")]
    Journal(#[from] std::io::Error),
}
