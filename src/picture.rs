//! Picture codes on a terminal.

use std::io::IsTerminal;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// Black on white, whatever the terminal's own colours are (ECMA-48, 8.3.117).
const ON_WHITE: &str = "\x1b[30;107m";
const PLAIN: &str = "\x1b[0m";
/// Bytes of the colours on each line.
#[cfg(test)]
pub(crate) const COLOURS: usize = ON_WHITE.len() + PLAIN.len();

/// A picture code in half blocks, with the quiet zone that readers need.
pub(crate) fn dense(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    let picture = code.render::<Dense1x2>().build();
    Some(picture.lines().map(|line| format!("{ON_WHITE}{line}{PLAIN}\n")).collect())
}

/// The same if standard output is a terminal.
pub(crate) fn on_terminal(text: &str) -> Option<String> {
    std::io::stdout().is_terminal().then(|| dense(text)).flatten()
}
