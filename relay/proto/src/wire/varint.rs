//! QUIC variable-length integers (RFC 9000, 16).

/// Largest value.
pub const MAX: u64 = (1 << 62) - 1;

/// Reads one integer: its value and length in bytes. `None` if `bytes` ends before it does.
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let len = 1usize << (first >> 6);
    let body = bytes.get(1..len)?;
    let start = u64::from(first & 0x3f);
    Some((body.iter().fold(start, |value, byte| value << 8 | u64::from(*byte)), len))
}

/// Appends `value` in its shortest form. Values over [`MAX`] are cut to it.
pub fn write(value: u64, out: &mut Vec<u8>) {
    let value = value.min(MAX);
    match value {
        0..=0x3f => out.push(value as u8),
        0x40..=0x3fff => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3fff_ffff => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_boundary_survives_a_round_trip() {
        for (value, len) in [
            (0, 1),
            (63, 1),
            (64, 2),
            (16_383, 2),
            (16_384, 4),
            ((1 << 30) - 1, 4),
            (1 << 30, 8),
            (MAX, 8),
        ] {
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(read(&out), Some((value, len)));
            assert_eq!(read(&out[..len - 1]), None);
        }
    }
}
