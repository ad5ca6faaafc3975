//! How long a code that came by SMS or mail lets its terminal watch a device.

use crate::limits::{VIEW_IDLE_SECS, VIEW_MAX_SECS, VIEW_TOUCH_SECS};

/// Shortest window of which uses are noted often enough, minutes.
const LEAST_MINUTES: u64 = 2 * VIEW_TOUCH_SECS / 60;
/// Longest window, minutes: none outlives [`VIEW_MAX_SECS`].
const MOST_MINUTES: u64 = VIEW_MAX_SECS / 60;

/// What an installation wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewWindow {
    idle_secs: u64,
    every_session: bool,
}

/// No such window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is 0, for a code for every session, or {LEAST_MINUTES} to {MOST_MINUTES} minutes")]
pub struct BadWindow;

impl ViewWindow {
    /// A window that closes after so many minutes without use. 0: every media session needs a code of
    /// its own.
    ///
    /// # Errors
    /// The number is too small or too large.
    pub fn of_minutes(minutes: u64) -> Result<Self, BadWindow> {
        match minutes {
            0 => Ok(Self { every_session: true, ..Self::default() }),
            LEAST_MINUTES..=MOST_MINUTES => {
                Ok(Self { idle_secs: 60 * minutes, every_session: false })
            }
            _ => Err(BadWindow),
        }
    }

    /// How far each use moves the end of a window on, seconds.
    pub fn idle_secs(self) -> u64 {
        self.idle_secs
    }

    /// Whether a window lets one media session in, which may then run on.
    pub fn every_session(self) -> bool {
        self.every_session
    }
}

impl Default for ViewWindow {
    fn default() -> Self {
        Self { idle_secs: VIEW_IDLE_SECS, every_session: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_minutes_within_its_bounds_or_is_for_one_session() {
        let of =
            |minutes| ViewWindow::of_minutes(minutes).map(|it| (it.idle_secs, it.every_session));
        assert_eq!(of(0), Ok((VIEW_IDLE_SECS, true)));
        assert_eq!((of(1), of(2)), (Err(BadWindow), Ok((120, false))));
        assert_eq!((of(720), of(721)), (Ok((VIEW_MAX_SECS, false)), Err(BadWindow)));
        assert_eq!(of(15).ok(), Some((ViewWindow::default().idle_secs, false)));
    }
}
