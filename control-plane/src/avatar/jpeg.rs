//! JPEG (ITU-T T.81): which segments make the picture.

use super::{BadPicture, check_sides};

const START: [u8; 2] = [0xff, 0xd8];
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
/// Huffman tables, quantisation tables, restart interval.
const TABLES: [u8; 3] = [0xc4, 0xdb, 0xdd];
/// Frames that browsers show: baseline, extended, progressive.
const FRAMES: [u8; 3] = [0xc0, 0xc1, 0xc2];
/// Adobe's segment, which says how colours are coded.
const ADOBE: u8 = 0xee;
/// Its name, version, two flags and the colour transform.
const ADOBE_LEN: usize = 12;

/// The picture's segments, and nothing else.
pub(super) fn bare(file: &[u8]) -> Result<Vec<u8>, BadPicture> {
    let mut rest = file.strip_prefix(&START).ok_or(BadPicture::Format)?;
    let mut out = START.to_vec();
    let (mut framed, mut scanned) = (false, false);
    loop {
        let (marker, after) = next_marker(rest)?;
        if marker == END {
            out.extend([0xff, END]);
            return if framed && scanned { Ok(out) } else { Err(BadPicture::Format) };
        }
        let (body, after) = segment(after)?;
        match marker {
            SCAN => {
                if !framed {
                    return Err(BadPicture::Format);
                }
                let coded = coded_len(after);
                write(&mut out, SCAN, body);
                out.extend(&after[..coded]);
                rest = &after[coded..];
                scanned = true;
                continue;
            }
            frame if FRAMES.contains(&frame) => {
                if framed {
                    return Err(BadPicture::Format);
                }
                check_frame(body)?;
                framed = true;
                write(&mut out, frame, body);
            }
            tables if TABLES.contains(&tables) => write(&mut out, tables, body),
            ADOBE if body.len() >= ADOBE_LEN && body.starts_with(b"Adobe") => {
                write(&mut out, ADOBE, &body[..ADOBE_LEN]);
            }
            // Names, comments, thumbnails, places, profiles.
            0xe0..=0xef | 0xfe => {}
            _ => return Err(BadPicture::Format),
        }
        rest = after;
    }
}

/// The marker at the beginning; it may be filled up in front.
fn next_marker(bytes: &[u8]) -> Result<(u8, &[u8]), BadPicture> {
    let filled = bytes.iter().take_while(|byte| **byte == 0xff).count();
    match (filled, bytes.get(filled)) {
        (1.., Some(&marker)) if marker != 0 => Ok((marker, &bytes[filled + 1..])),
        _ => Err(BadPicture::Format),
    }
}

/// The segment after a marker, and what follows it.
fn segment(bytes: &[u8]) -> Result<(&[u8], &[u8]), BadPicture> {
    let (head, _) = bytes.split_first_chunk::<2>().ok_or(BadPicture::Format)?;
    let length = usize::from(u16::from_be_bytes(*head));
    if length < 2 {
        return Err(BadPicture::Format);
    }
    let (whole, after) = bytes.split_at_checked(length).ok_or(BadPicture::Format)?;
    Ok((&whole[2..], after))
}

/// Bytes of coded data up to the next marker that is no restart.
fn coded_len(bytes: &[u8]) -> usize {
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7);
    bytes.windows(2).position(ends).unwrap_or(bytes.len())
}

/// Precision, height, width, components.
fn check_frame(body: &[u8]) -> Result<(), BadPicture> {
    let [_, h1, h0, w1, w0, ..] = *body else { return Err(BadPicture::Format) };
    check_sides(u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into())
}

fn write(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    let length = u16::try_from(body.len() + 2).expect("it was read from 16 bits");
    out.extend([0xff, marker]);
    out.extend(length.to_be_bytes());
    out.extend(body);
}
