//! Pictures of people: JPEG or PNG, with everything taken out that is not the picture.
//!
//! The file is not decoded, so a picture that would unpack to gigabytes costs nothing. It is read
//! segment by segment (JPEG) or chunk by chunk (PNG), and only what a decoder needs is written again:
//! no EXIF, no place, no thumbnail, no comment, nothing after the end.

mod jpeg;
mod png;

use crate::limits::{AVATAR_BYTES, AVATAR_SIDE};

/// A picture with nothing else in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// `image/jpeg` or `image/png`.
    pub media_type: &'static str,
    /// The file.
    pub file: Vec<u8>,
}

/// Why a picture is not taken.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum BadPicture {
    /// Larger than [`AVATAR_BYTES`].
    #[error("the picture is larger than 512 KiB; make it smaller")]
    Bytes,
    /// Wider or higher than [`AVATAR_SIDE`], or empty.
    #[error("the picture is 0 or more than 1024 pixels wide or high; make it smaller")]
    Pixels,
    /// Something else, broken, or of a kind that browsers do not show.
    #[error("the picture is not a whole JPEG or PNG file")]
    Format,
}

impl Picture {
    /// From a file that [`bare`] made.
    pub(crate) fn of(file: Vec<u8>) -> Self {
        let media_type = if file.starts_with(png::SIGNATURE) { "image/png" } else { "image/jpeg" };
        Self { media_type, file }
    }
}

/// The same picture and nothing else.
///
/// # Errors
/// See [`BadPicture`].
pub fn bare(file: &[u8]) -> Result<Vec<u8>, BadPicture> {
    if file.len() > AVATAR_BYTES {
        return Err(BadPicture::Bytes);
    }
    if file.starts_with(png::SIGNATURE) { png::bare(file) } else { jpeg::bare(file) }
}

fn check_sides(width: u32, height: u32) -> Result<(), BadPicture> {
    let fits = |side| (1..=AVATAR_SIDE).contains(&side);
    if fits(width) && fits(height) { Ok(()) } else { Err(BadPicture::Pixels) }
}

#[cfg(test)]
pub(crate) mod tests;
