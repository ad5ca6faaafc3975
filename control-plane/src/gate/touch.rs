//! Moving on the idle end of viewing windows, behind the decisions that use them.
//!
//! A decision must not wait for the disk. What is lost when the process ends here closes a window
//! early, never late; so the writing may follow, many windows to a commit.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ControlPlane;
use crate::ids::{Serial, SessionId};
use crate::limits::TOUCHES_PENDING;

/// A login and a device that it has just used.
type Used = (SessionId, Serial);

/// Windows that are to be moved on.
#[derive(Default)]
pub(crate) struct Touches {
    state: Mutex<Pending>,
    #[cfg(test)]
    written: tokio::sync::Notify,
}

#[derive(Default)]
struct Pending {
    used: HashSet<Used>,
    /// Somebody is writing, and will look again.
    writing: bool,
}

impl Touches {
    fn state(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a use. Whether the caller must see to the writing; one use too many is not noted: the
    /// window's next use is.
    fn note(&self, used: Used) -> bool {
        let mut state = self.state();
        if state.used.len() < TOUCHES_PENDING {
            state.used.insert(used);
        }
        !mem::replace(&mut state.writing, true)
    }

    /// What is to be written next; when there is nothing, the writing is over.
    fn next(&self) -> Option<Vec<Used>> {
        let mut state = self.state();
        if state.used.is_empty() {
            state.writing = false;
            #[cfg(test)]
            self.written.notify_waiters();
            return None;
        }
        Some(state.used.drain().collect())
    }
}

impl ControlPlane {
    /// Moves on the idle end of a window, soon.
    pub(super) fn touch(&self, session: &SessionId, serial: &Serial) {
        if self.0.touches.note((session.clone(), serial.clone())) {
            tokio::spawn(self.clone().write_touches());
        }
    }

    async fn write_touches(self) {
        while let Some(used) = self.0.touches.next() {
            if let Err(error) = self.store().step_ups_touch(&used, self.now()).await {
                tracing::warn!(%error, "viewing windows were not moved on");
            }
        }
    }

    /// Waits until all that was used is written.
    #[cfg(test)]
    pub(crate) async fn touches_written(&self) {
        loop {
            let written = self.0.touches.written.notified();
            if !self.0.touches.state().writing {
                return;
            }
            written.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writes_for_many_and_what_is_too_much_is_not_noted() {
        let touches = Touches::default();
        let used = |number: usize| (SessionId(number.to_string()), Serial("D".into()));
        assert!(touches.note(used(0)), "the first sees to it");
        assert!(!touches.note(used(0)) && !touches.note(used(1)));
        assert_eq!(touches.next().unwrap().len(), 2);
        for number in 0..=TOUCHES_PENDING {
            assert!(!touches.note(used(number)), "while it is being written");
        }
        assert_eq!(touches.next().unwrap().len(), TOUCHES_PENDING);
        assert_eq!(touches.next(), None);
        assert!(touches.note(used(0)), "it is over");
    }
}
