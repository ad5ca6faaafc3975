//! What the RTSP ports of all workers share: who may come in.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::admission::Admission;
use super::handles::Handles;

/// The logins that wait and the counts of those that have not logged in. Touched once or twice in a
/// connection's life, never by media.
#[derive(Default)]
pub(crate) struct Door {
    handles: Mutex<Handles>,
    admission: Mutex<Admission>,
}

impl Door {
    pub(super) fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
