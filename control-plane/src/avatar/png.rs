//! PNG (ISO/IEC 15948): which chunks make the picture.

use super::{BadPicture, check_sides};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Header, palette, data, transparency, brightness of the screen it was made on.
const KEPT: [&[u8; 4]; 5] = [b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA"];
const HEADER_LEN: usize = 13;

/// The picture's chunks, and nothing else.
pub(super) fn bare(file: &[u8]) -> Result<Vec<u8>, BadPicture> {
    let mut rest = file.strip_prefix(SIGNATURE).ok_or(BadPicture::Format)?;
    let mut out = SIGNATURE.to_vec();
    let (mut first, mut data) = (true, false);
    loop {
        let (kind, body, after) = chunk(rest)?;
        if first != (kind == b"IHDR") {
            return Err(BadPicture::Format);
        }
        if first {
            check_header(body)?;
        }
        first = false;
        if kind == b"IEND" {
            write(&mut out, kind, &[]);
            return if data { Ok(out) } else { Err(BadPicture::Format) };
        }
        if KEPT.contains(&kind) {
            data |= kind == b"IDAT";
            write(&mut out, kind, body);
        } else if kind[0].is_ascii_uppercase() {
            // A part that the picture cannot do without, and that we do not know.
            return Err(BadPicture::Format);
        }
        rest = after;
    }
}

/// Kind and body of a chunk, and what follows it.
type Chunk<'a> = (&'a [u8; 4], &'a [u8], &'a [u8]);

/// A chunk with a good checksum.
fn chunk(bytes: &[u8]) -> Result<Chunk<'_>, BadPicture> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(BadPicture::Format)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BadPicture::Format)?;
    let (kind, rest) = rest.split_first_chunk::<4>().ok_or(BadPicture::Format)?;
    let (body, rest) = rest.split_at_checked(length).ok_or(BadPicture::Format)?;
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(BadPicture::Format)?;
    if u32::from_be_bytes(*sum) != crc32(&[kind, body]) {
        return Err(BadPicture::Format);
    }
    Ok((kind, body, rest))
}

fn check_header(body: &[u8]) -> Result<(), BadPicture> {
    if body.len() != HEADER_LEN {
        return Err(BadPicture::Format);
    }
    let side = |at: usize| {
        let bytes = body[at..at + 4].try_into().expect("a header has 13 bytes");
        u32::from_be_bytes(bytes)
    };
    check_sides(side(0), side(4))
}

fn write(out: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    let length = u32::try_from(body.len()).expect("it was read from 32 bits");
    out.extend(length.to_be_bytes());
    out.extend(kind);
    out.extend(body);
    out.extend(crc32(&[kind, body]).to_be_bytes());
}

/// The checksum of a chunk, over its kind and its body.
pub(super) fn crc32(parts: &[&[u8]]) -> u32 {
    let mut sum = u32::MAX;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}
