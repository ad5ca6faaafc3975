//! The painted strip: 128 bits in the first cells of a picture, which say whose frame it is, which
//! one, and when it was made. It survives transcoding by any decoder into luma.
//!
//! Bits, most significant first: magic (8), CRC-32 of the serial (32), frame number (32), Unix
//! milliseconds modulo 2^40 (40), CRC-16 over the 14 bytes before (16). One cell of 16x16 pixels
//! per bit, in reading order; white is 1.

/// Side of a cell, pixels.
pub const CELL: usize = 16;
/// Cells of a strip, one per bit.
pub const STRIP_BITS: usize = 128;
/// First byte of every strip.
pub const MAGIC: u8 = 0xB2;
/// The clock's modulus is two to this.
pub const CLOCK_BITS: u32 = 40;

/// What a strip says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strip {
    /// CRC-32/IEEE of the device's serial.
    pub serial_crc: u32,
    /// Number of the frame.
    pub frame_number: u32,
    /// Unix milliseconds modulo 2^40 at the time of painting.
    pub clock: u64,
}

impl Strip {
    /// A strip for a device; `unix_ms` is reduced to its 40 low bits.
    pub fn new(serial: &str, frame_number: u32, unix_ms: u64) -> Self {
        let clock = unix_ms & ((1 << CLOCK_BITS) - 1);
        Self { serial_crc: crc32(serial.as_bytes()), frame_number, clock }
    }

    /// Its 16 bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[0] = MAGIC;
        bytes[1..5].copy_from_slice(&self.serial_crc.to_be_bytes());
        bytes[5..9].copy_from_slice(&self.frame_number.to_be_bytes());
        bytes[9..14].copy_from_slice(&self.clock.to_be_bytes()[3..]);
        let check = crc16(&bytes[..14]);
        bytes[14..].copy_from_slice(&check.to_be_bytes());
        bytes
    }

    /// From 16 bytes; `None` when magic or checksum do not hold.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let field = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0u64, |value, &byte| (value << 8) | u64::from(byte))
        };
        if bytes[0] != MAGIC || field(14, 16) != u64::from(crc16(&bytes[..14])) {
            return None;
        }
        Some(Self {
            serial_crc: field(1, 5) as u32,
            frame_number: field(5, 9) as u32,
            clock: field(9, 14),
        })
    }
}

/// Reads strips out of decoded pictures.
#[derive(Debug)]
pub struct StripReader;

impl StripReader {
    /// Reads the strip of a luma plane of `width` x `height` pixels whose rows are `stride` bytes
    /// apart. `None` when there is no whole strip, or it is damaged.
    pub fn read(luma: &[u8], width: usize, height: usize, stride: usize) -> Option<Strip> {
        let columns = width / CELL;
        if columns == 0 || STRIP_BITS.div_ceil(columns) * CELL > height {
            return None;
        }
        let mut bytes = [0u8; 16];
        for bit in 0..STRIP_BITS {
            let (x, y) = (bit % columns * CELL, bit / columns * CELL);
            bytes[bit / 8] = (bytes[bit / 8] << 1) | u8::from(is_white(luma, stride, x, y)?);
        }
        Strip::from_bytes(bytes)
    }
}

/// Mean of the cell's inner half, where neither filters nor scaling bleed in.
fn is_white(luma: &[u8], stride: usize, x: usize, y: usize) -> Option<bool> {
    let (from, side) = (CELL / 4, CELL / 2);
    let mut sum = 0u32;
    for row in 0..side {
        let start = (y + from + row).checked_mul(stride)? + x + from;
        sum += luma.get(start..start + side)?.iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
    }
    Some(sum >= 128 * (side * side) as u32)
}

/// CRC-32/IEEE (reflected, polynomial 0x04C11DB7), as Ethernet and zlib use it.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF, not reflected).
pub fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFFu16;
    for &byte in bytes {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(strip: Strip, width: usize, height: usize, stride: usize) -> Vec<u8> {
        let mut luma = vec![90u8; stride * height];
        let bytes = strip.to_bytes();
        let columns = width / CELL;
        for bit in 0..STRIP_BITS {
            let white = bytes[bit / 8] >> (7 - bit % 8) & 1 == 1;
            for row in 0..CELL {
                let at = (bit / columns * CELL + row) * stride + bit % columns * CELL;
                luma[at..at + CELL].fill(if white { 140 } else { 110 });
            }
        }
        luma
    }

    #[test]
    fn the_checksums_match_their_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn a_strip_survives_bytes_and_pixels() {
        let strip = Strip::new("CAM-7", 0xDEAD_BEEF, (5 << CLOCK_BITS) | 1_234_567_890_123);
        assert_eq!(strip.clock, (1_234_567_890_123u64) & ((1 << 40) - 1));
        assert_eq!(Strip::from_bytes(strip.to_bytes()), Some(strip));
        for (width, height, stride) in [(1280, 720, 1280), (640, 360, 704), (176, 192, 176)] {
            let luma = plane(strip, width, height, stride);
            assert_eq!(StripReader::read(&luma, width, height, stride), Some(strip));
        }
    }

    #[test]
    fn a_single_wrong_cell_is_noticed() {
        let strip = Strip::new("CAM-7", 7, 8);
        for bit in 0..STRIP_BITS {
            let mut bytes = strip.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Strip::from_bytes(bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn a_picture_too_small_for_a_strip_reads_as_none() {
        let luma = vec![255u8; 64];
        assert_eq!(StripReader::read(&luma, 8, 8, 8), None);
        assert_eq!(StripReader::read(&luma, 1280, 16, 1280), None);
        assert_eq!(StripReader::read(&luma, 1280, 720, 1280), None);
    }
}
