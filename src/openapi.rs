//! `sightline openapi`: the description of the whole API, out of the tables of both parts.

use std::io::Write;

use sightline_operation::openapi::Contract;

/// What the description says of itself.
const ABOUT: &str = "A camera cloud whose relay cannot look. Every operation names who may ask \
    (x-rule) and for which purpose personal data is processed (x-purpose); every refusal is a \
    problem (RFC 9457) with a stable type, and x-problems says when each happens.";

/// The operations of all parts.
pub(crate) fn contract() -> Contract {
    Contract::default()
        .with(&sightline_control_plane::http::operations())
        .with(&sightline_signaling::operations())
        .everywhere(&sightline_signaling::refused_everywhere())
}

/// Prints the description.
pub(crate) fn print() -> Result<(), String> {
    let document = contract().document("Sightline", env!("CARGO_PKG_VERSION"), ABOUT);
    let text = serde_json::to_string_pretty(&document).expect("a description is JSON");
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
