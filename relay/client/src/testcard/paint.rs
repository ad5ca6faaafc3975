//! What the test card shows: the strip, colour bars with a ball, serial, clock, frame number, and
//! a patch of noise that makes up the wanted bit rate.

use super::font::{GLYPH_HEIGHT, GLYPH_WIDTH, glyph};
use super::mosaic::{Area, Block, Colour, Mosaic};
use super::strip::{STRIP_BITS, Strip};

/// 75 % bars of BT.709: grey, yellow, cyan, green, magenta, red, blue.
const BARS: [Colour; 7] = [
    Colour::grey(180),
    Colour::new(168, 44, 136),
    Colour::new(145, 147, 44),
    Colour::new(133, 63, 52),
    Colour::new(63, 193, 204),
    Colour::new(51, 109, 212),
    Colour::new(28, 212, 120),
];
const PANEL: Colour = Colour::grey(30);
const BALL: Colour = Colour::new(210, 100, 150);
const CLOCK: Colour = Colour::new(200, 60, 140);
const MS_PER_DAY: u64 = 86_400_000;

/// Where things lie on a picture of a given size.
#[derive(Debug)]
pub(super) struct Layout {
    bars: Area,
    panel: Area,
    /// Patch of noise; may be empty.
    pub(super) noise: Area,
}

impl Layout {
    /// `None` when the picture has no room for a strip and a row below it.
    pub(super) fn new(columns: usize, whole_columns: usize, rows: usize) -> Option<Self> {
        let top =
            if whole_columns == 0 { return None } else { STRIP_BITS.div_ceil(whole_columns) + 1 };
        let below = rows.checked_sub(top).filter(|&left| left > 0)?;
        let bars_height = below * 2 / 5;
        let bars = Area { left: 0, top, width: columns, height: bars_height };
        let panel_top = top + bars_height;
        let panel = Area { left: 0, top: panel_top, width: columns, height: below - bars_height };
        let noise_width = if columns >= 72 { columns - 54 } else { columns / 4 };
        let noise = Area {
            left: columns - noise_width,
            top: panel_top + 1,
            width: noise_width.saturating_sub(1),
            height: panel.height.saturating_sub(2),
        };
        Some(Self { bars, panel, noise })
    }
}

/// Paints everything but the noise onto `picture`. `whole_columns` is the number of cells in a row
/// of the strip.
pub(super) fn paint(
    picture: &mut Mosaic,
    layout: &Layout,
    whole_columns: usize,
    strip: Strip,
    serial: &str,
    unix_ms: u64,
) {
    paint_strip(picture, whole_columns, strip);
    for column in 0..layout.bars.width {
        let colour = BARS[column * BARS.len() / layout.bars.width];
        let bar = Area { left: column, width: 1, ..layout.bars };
        picture.fill(bar, colour);
    }
    paint_ball(picture, layout.bars, strip.frame_number);
    picture.fill(layout.panel, PANEL);
    let room = layout.noise.left.saturating_sub(1);
    let clock = clock_text(unix_ms);
    let lines = [
        (serial.to_owned(), Colour::WHITE),
        (clock, CLOCK),
        (format!("FRAME {}", strip.frame_number), Colour::grey(160)),
    ];
    let step = (layout.panel.height / lines.len()).max(GLYPH_HEIGHT + 1);
    for (line, (text, colour)) in lines.iter().enumerate() {
        paint_text(picture, 2, layout.panel.top + 1 + line * step, room, text, *colour);
    }
}

fn paint_strip(picture: &mut Mosaic, whole_columns: usize, strip: Strip) {
    let bytes = strip.to_bytes();
    for bit in 0..STRIP_BITS {
        let white = (bytes[bit / 8] >> (7 - bit % 8)) & 1 == 1;
        let colour = if white { Colour::WHITE } else { Colour::BLACK };
        picture.set(bit % whole_columns, bit / whole_columns, Block::Flat(colour));
    }
}

/// A round ball that bounces between the walls of `area`.
fn paint_ball(picture: &mut Mosaic, area: Area, frame: u32) {
    let radius = (area.height / 5).clamp(1, 4);
    let side = 2 * radius + 1;
    if area.height < side || area.width < side {
        return;
    }
    let left = area.left + bounce(frame as usize / 2, area.width - side);
    let top = area.top + bounce(frame as usize / 3, area.height - side);
    for row in 0..side {
        for column in 0..side {
            let (dx, dy) = (column.abs_diff(radius), row.abs_diff(radius));
            if dx * dx + dy * dy <= radius * radius + 1 {
                picture.set(left + column, top + row, Block::Flat(BALL));
            }
        }
    }
}

/// Walks from 0 to `span` and back.
fn bounce(step: usize, span: usize) -> usize {
    let at = step % (2 * span).max(1);
    if at <= span { at } else { 2 * span - at }
}

/// `HH:MM:SS.mmm` in UTC.
fn clock_text(unix_ms: u64) -> String {
    let in_day = unix_ms % MS_PER_DAY;
    let (seconds, ms) = (in_day / 1000, in_day % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Paints the characters that fit before column `right`.
fn paint_text(
    picture: &mut Mosaic,
    left: usize,
    top: usize,
    right: usize,
    text: &str,
    colour: Colour,
) {
    for (index, character) in text.chars().enumerate() {
        let from = left + index * (GLYPH_WIDTH + 1);
        if from + GLYPH_WIDTH > right {
            return;
        }
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for column in 0..GLYPH_WIDTH {
                if (bits >> (GLYPH_WIDTH - 1 - column)) & 1 == 1 {
                    picture.set(from + column, top + row, Block::Flat(colour));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_utc_with_milliseconds() {
        assert_eq!(clock_text(0), "00:00:00.000");
        assert_eq!(clock_text(MS_PER_DAY * 3 + 86_399_999), "23:59:59.999");
        assert_eq!(clock_text(3_723_004), "01:02:03.004");
    }

    #[test]
    fn the_ball_stays_between_the_walls() {
        let walk: Vec<_> = (0..8).map(|step| bounce(step, 3)).collect();
        assert_eq!(walk, [0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(bounce(5, 0), 0);
    }

    #[test]
    fn a_picture_without_room_below_the_strip_is_refused() {
        assert!(Layout::new(80, 80, 45).is_some());
        assert!(Layout::new(80, 80, 4).is_some());
        assert!(Layout::new(80, 80, 3).is_none());
        assert!(Layout::new(0, 0, 500).is_none());
    }
}
