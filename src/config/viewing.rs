//! `[viewing]`: what watching takes.

use serde::{Deserialize, Serialize};
use sightline_control_plane::viewing::ViewWindow;

use super::ConfigError;

/// `[viewing]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Viewing {
    /// Minutes without watching after which a terminal needs a new code by SMS or mail, 2 to 720; 0:
    /// every session needs one.
    pub(crate) window_minutes: u64,
}

impl Default for Viewing {
    fn default() -> Self {
        Self { window_minutes: ViewWindow::default().idle_secs() / 60 }
    }
}

impl Viewing {
    /// The window, if it is one.
    pub(crate) fn window(&self) -> Result<ViewWindow, ConfigError> {
        ViewWindow::of_minutes(self.window_minutes).map_err(|error| ConfigError::Value {
            key: "viewing.window_minutes",
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_cannot_be_is_named_with_its_key() {
        assert_eq!(Viewing::default().window().unwrap(), ViewWindow::default());
        let of = |window_minutes| Viewing { window_minutes }.window();
        assert!(of(0).unwrap().every_session());
        let error = of(1).unwrap_err().to_string();
        assert!(error.contains("viewing.window_minutes") && error.contains("2 to 720"), "{error}");
    }
}
