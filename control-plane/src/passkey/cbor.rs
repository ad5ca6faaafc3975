//! Reading CBOR as authenticators must write it: the canonical form of CTAP2, which knows no tags, no
//! indefinite lengths and one way to write each number. Whatever else there is, is refused.

/// Deepest nesting of what is passed over; CTAP2 allows four levels.
const DEPTH: usize = 4;

/// Not canonical CBOR, or not what stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotCanonical;

/// Kinds of items that are read, as their three bits.
mod major {
    pub(super) const UNSIGNED: u8 = 0;
    pub(super) const NEGATIVE: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const ARRAY: u8 = 4;
    pub(super) const MAP: u8 = 5;
    pub(super) const SIMPLE: u8 = 7;
}

/// What is left of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// As many bytes as they come.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], NotCanonical> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(NotCanonical)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The same, of a length that is known.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], NotCanonical> {
        self.take(N)?.try_into().map_err(|_| NotCanonical)
    }

    /// A number.
    pub(super) fn int(&mut self) -> Result<i64, NotCanonical> {
        let (kind, argument) = self.head()?;
        let value = i64::try_from(argument).map_err(|_| NotCanonical)?;
        match kind {
            major::UNSIGNED => Ok(value),
            major::NEGATIVE => Ok(-1 - value),
            _ => Err(NotCanonical),
        }
    }

    /// A byte string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], NotCanonical> {
        let (kind, argument) = self.head()?;
        if kind != major::BYTES {
            return Err(NotCanonical);
        }
        self.take(length(argument)?)
    }

    /// The number of pairs of a map, which follow.
    pub(super) fn map(&mut self) -> Result<usize, NotCanonical> {
        let (kind, argument) = self.head()?;
        if kind == major::MAP { length(argument) } else { Err(NotCanonical) }
    }

    /// Passes over one item, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), NotCanonical> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), NotCanonical> {
        let (kind, argument) = self.head()?;
        let within = match kind {
            major::UNSIGNED | major::NEGATIVE | major::SIMPLE => 0,
            major::BYTES => {
                self.take(length(argument)?)?;
                0
            }
            major::TEXT => {
                let text = self.take(length(argument)?)?;
                std::str::from_utf8(text).map_err(|_| NotCanonical)?;
                0
            }
            major::ARRAY => length(argument)?,
            major::MAP => length(argument)?.checked_mul(2).ok_or(NotCanonical)?,
            _ => return Err(NotCanonical),
        };
        if within == 0 {
            return Ok(());
        }
        let depth = depth.checked_sub(1).ok_or(NotCanonical)?;
        // Each item is a byte at least, so a length that lies ends with the text.
        for _ in 0..within {
            self.skip_within(depth)?;
        }
        Ok(())
    }

    /// Kind and argument of the next item; the argument is written as short as it can be.
    fn head(&mut self) -> Result<(u8, u64), NotCanonical> {
        let [first] = self.array()?;
        let (kind, short) = (first >> 5, first & 0x1f);
        let (argument, least) = match short {
            0..=23 => (u64::from(short), 0),
            24 => (u64::from(u8::from_be_bytes(self.array()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.array()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.array()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.array()?), 1 << 32),
            _ => return Err(NotCanonical),
        };
        match kind {
            // False, true and null; a float has its own width whatever its value.
            major::SIMPLE if matches!(short, 20..=22 | 25..=27) => Ok((kind, argument)),
            major::SIMPLE => Err(NotCanonical),
            _ if argument >= least => Ok((kind, argument)),
            _ => Err(NotCanonical),
        }
    }
}

fn length(argument: u64) -> Result<usize, NotCanonical> {
    usize::try_from(argument).map_err(|_| NotCanonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(bytes: &[u8]) -> Result<usize, NotCanonical> {
        let mut reader = Reader::new(bytes);
        reader.skip().map(|()| reader.rest().len())
    }

    #[test]
    fn numbers_are_read_in_their_one_form() {
        let int = |bytes: &[u8]| Reader::new(bytes).int();
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x17], 23),
            (&[0x18, 24], 24),
            (&[0x18, 255], 255),
            (&[0x19, 1, 0], 256),
            (&[0x1a, 0, 1, 0, 0], 65_536),
            (&[0x20], -1),
            (&[0x26], -7),
            (&[0x39, 1, 0], -257),
        ] {
            assert_eq!(int(bytes), Ok(value), "{bytes:?}");
        }
        for bytes in [
            &[0x18, 23][..],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
            &[0x3b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x1c],
            &[0x1f],
            &[0x18],
            &[0x40],
            &[],
        ] {
            assert_eq!(int(bytes), Err(NotCanonical), "{bytes:?}");
        }
    }

    #[test]
    fn whatever_is_canonical_is_passed_over_to_its_end() {
        for bytes in [
            &[0xa1, 0x6b, b'c', b'r', b'e', b'd', b'P', b'r', b'o', b't', b'e', b'c', b't', 2][..],
            &[0x83, 0xf5, 0xf6, 0xf9, 0x3c, 0],
            &[0x81, 0x81, 0x81, 0x81, 0x01],
            &[0xa0],
            &[0x42, 1, 2],
        ] {
            assert_eq!(skipped(bytes), Ok(0), "{bytes:?}");
            let longer = [bytes, &[7]].concat();
            assert_eq!(skipped(&longer), Ok(1), "{bytes:?}");
            for end in 0..bytes.len() {
                assert_eq!(skipped(&bytes[..end]), Err(NotCanonical), "{bytes:?} cut at {end}");
            }
        }
    }

    #[test]
    fn what_is_not_canonical_is_not() {
        for (what, bytes) in [
            ("a tag", &[0xc0, 0x00][..]),
            ("no length", &[0x5f, 0x41, 0, 0xff]),
            ("an open map", &[0xbf, 0xff]),
            ("undefined", &[0xf7]),
            ("a simple value", &[0xf8, 32]),
            ("text in another code", &[0x61, 0xff]),
            ("five levels", &[0x81, 0x81, 0x81, 0x81, 0x81, 0x01]),
            ("a length that lies", &[0x9a, 255, 255, 255, 255, 0, 0]),
            ("pairs beyond counting", &[0xbb, 255, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            assert_eq!(skipped(bytes), Err(NotCanonical), "{what}");
        }
    }
}
