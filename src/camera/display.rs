//! The camera's own display: its terminal. What is shown here goes nowhere else.

use std::io::{IsTerminal, Write};

use sightline_client::secret::ShownSecret;

use crate::picture;

/// Shows an owner the secret, as text and, to people, as a picture code for the page.
pub(super) fn show(serial: &str, shown: &ShownSecret, camera_key: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "[camera {serial}] bound to a new owner");
    let _ = writeln!(out, "[camera {serial}] device secret: {}", shown.text().expose());
    let _ = writeln!(out, "[camera {serial}] camera key: {camera_key}");
    if out.is_terminal()
        && let Some(code) = picture::dense(shown.picture(serial).expose())
    {
        let _ = writeln!(out, "{code}");
    }
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use sightline_client::DeviceSecret;
    use sightline_client::secret::CameraCheck;

    use super::*;

    #[test]
    fn the_longest_serial_fits_a_picture_code_that_a_terminal_shows() {
        let secret = DeviceSecret::generate().unwrap();
        let shown = ShownSecret { secret, check: Some(CameraCheck::of(&[1; 32])) };
        let text = shown.picture(&"S".repeat(64));
        let code = picture::dense(text.expose()).unwrap();
        let colours = picture::COLOURS;
        let widest = code.lines().map(|line| line.chars().count() - colours).max().unwrap();
        assert!(widest <= 80 && code.lines().count() <= 40, "{widest} x {}", code.lines().count());
    }
}
