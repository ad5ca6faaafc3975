//! The stamp in every frame: whose it is, which it is and when it was captured.
//!
//! It is printable text, so that no emulation prevention byte (ITU-T H.264, 7.4.1) is ever needed
//! inside it, and it ends with a checksum, so that damage is not taken for a foreign camera.

/// Begins each stamp.
const MAGIC: &[u8; 4] = b"SLST";
/// Hex digits of the serial's length, the frame number, the capture time and the checksum.
const LEN_DIGITS: usize = 2;
const FRAME_DIGITS: usize = 8;
const TIME_DIGITS: usize = 16;
const SUM_DIGITS: usize = 8;
/// Longest serial, bytes.
pub(super) const MAX_SERIAL: usize = 64;
/// Longest stamp, bytes.
pub(super) const MAX_STAMP: usize =
    MAGIC.len() + LEN_DIGITS + MAX_SERIAL + FRAME_DIGITS + TIME_DIGITS + SUM_DIGITS;

/// What a frame says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp<'a> {
    /// Serial of the camera.
    pub(super) serial: &'a str,
    /// Number of the frame at its camera.
    pub(super) frame: u32,
    /// Capture, microseconds since 1970 UTC.
    pub(super) captured: u64,
}

/// There is no stamp where one must be, or it is damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Damaged;

impl<'a> Stamp<'a> {
    /// Appends the stamp. A serial has at most [`MAX_SERIAL`] bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        let text = format!(
            "{:02x}{}{:08x}{:016x}",
            self.serial.len(),
            self.serial,
            self.frame,
            self.captured
        );
        out.extend_from_slice(text.as_bytes());
        let sum = crc32(&out[start..]);
        out.extend_from_slice(format!("{sum:08x}").as_bytes());
    }

    /// Reads the stamp at the start of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Damaged)?;
        let (len, rest) = hex(rest, LEN_DIGITS)?;
        let (serial, rest) = rest.split_at_checked(len as usize).ok_or(Damaged)?;
        let (frame, rest) = hex(rest, FRAME_DIGITS)?;
        let (captured, rest) = hex(rest, TIME_DIGITS)?;
        let (sum, after) = hex(rest, SUM_DIGITS)?;
        let covered = bytes.len() - after.len() - SUM_DIGITS;
        if u64::from(crc32(&bytes[..covered])) != sum {
            return Err(Damaged);
        }
        let serial = std::str::from_utf8(serial).map_err(|_| Damaged)?;
        Ok(Self { serial, frame: frame as u32, captured })
    }
}

/// Lower-case hex of a fixed length, and what follows it.
fn hex(bytes: &[u8], digits: usize) -> Result<(u64, &[u8]), Damaged> {
    let (head, rest) = bytes.split_at_checked(digits).ok_or(Damaged)?;
    let value = head.iter().try_fold(0, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return Err(Damaged),
        };
        Ok(value << 4 | u64::from(digit))
    })?;
    Ok((value, rest))
}

/// CRC-32 as in Ethernet (IEEE 802.3), bit by bit: stamps are short.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(stamp: &Stamp<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        stamp.write(&mut out);
        out
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_stamp_reads_back_whatever_follows_it() {
        for serial in ["", "LOAD-1", &"S".repeat(MAX_SERIAL)] {
            let stamp = Stamp { serial, frame: 0xfeed, captured: 1_700_000_000_000_001 };
            let mut bytes = written(&stamp);
            assert!(bytes.len() <= MAX_STAMP);
            assert!(bytes.iter().all(|byte| (b' '..=b'~').contains(byte)));
            assert_eq!(Stamp::read(&bytes), Ok(stamp));
            bytes.extend_from_slice(&[0x5a; 9]);
            assert_eq!(Stamp::read(&bytes), Ok(stamp));
        }
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let bytes = written(&Stamp { serial: "LOAD-7", frame: 7, captured: 99 });
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Stamp::read(&changed), Err(Damaged), "byte {at}");
            assert_eq!(Stamp::read(&bytes[..at]), Err(Damaged), "cut at {at}");
        }
    }
}
