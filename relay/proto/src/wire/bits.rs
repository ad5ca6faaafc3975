//! A bit reader for the heads of parameter sets.

/// Reads bits of a NAL unit body, most significant first, skipping emulation prevention bytes.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Zero bytes read in a row.
    zeros: u8,
    current: u8,
    left: u8,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, zeros: 0, current: 0, left: 0 }
    }

    /// The next bit; `None` at the end.
    pub(crate) fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            let (&byte, rest) = self.bytes.split_first()?;
            let (byte, rest) = match rest.split_first() {
                Some((&next, later)) if self.zeros >= 2 && byte == 3 => {
                    self.zeros = 0;
                    (next, later)
                }
                _ => (byte, rest),
            };
            self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
            (self.bytes, self.current, self.left) = (rest, byte, 8);
        }
        self.left -= 1;
        Some(u32::from(self.current >> self.left & 1))
    }

    /// The next `count` (at most 32) bits.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    /// Passes over `count` bits.
    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.bit().map(drop))
    }

    /// An unsigned Exp-Golomb number of at most 31 leading zeros.
    pub(crate) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1u64 << zeros) - 1) as u32 + self.bits(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_numbers_read_as_the_standard_lists_them() {
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let found: Vec<_> = (0..5).map_while(|_| reader.exp_golomb()).collect();
        assert_eq!(found, [0, 1, 2, 3, 4]);
        assert_eq!(BitReader::new(&[0; 9]).exp_golomb(), None);
    }

    #[test]
    fn emulation_prevention_bytes_are_no_data() {
        let mut reader = BitReader::new(&[0, 0, 3, 1]);
        assert_eq!(reader.bits(24), Some(1));
        assert_eq!(reader.bit(), None);
    }
}
