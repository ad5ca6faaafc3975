//! Picture codes for the page, which has no code of its own to make them.

use qrcode::{Color, QrCode};
use serde::Serialize;
use sightline_grant::Redacted;
use utoipa::ToSchema;

/// A picture code (ISO/IEC 18004): a row of `0` (light) and `1` (dark) for each row of modules,
/// without the quiet zone. Empty if the text is too long for one.
#[derive(Serialize, ToSchema)]
pub(super) struct Picture {
    rows: Vec<String>,
}

/// The picture code of a text.
pub(super) fn picture(text: &Redacted<String>) -> Picture {
    let Ok(code) = QrCode::new(text.expose()) else { return Picture { rows: Vec::new() } };
    let colors = code.to_colors();
    let bit = |color: &Color| if *color == Color::Dark { '1' } else { '0' };
    let rows = colors.chunks(code.width()).map(|row| row.iter().map(bit).collect());
    Picture { rows: rows.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_square_and_begins_with_a_finder_pattern() {
        let made = picture(&Redacted::new("SL3:B:CAM-1:ABCDEFGH:TQOI".into()));
        assert!(made.rows.iter().all(|row| row.len() == made.rows.len()));
        assert!(made.rows[0].starts_with("11111110") && made.rows[1].starts_with("10000010"));
        assert!(picture(&Redacted::new("x".repeat(5000))).rows.is_empty());
    }
}
