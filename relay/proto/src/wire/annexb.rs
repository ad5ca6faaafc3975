//! NAL units in a byte stream with start codes (ITU-T H.264 and H.265, Annex B).

use std::ops::Range;

use bytes::Bytes;

/// Whether `bytes` begin with a start code (`00 00 01` or `00 00 00 01`).
pub fn starts_with_code(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 1, ..] | [0, 0, 0, 1, ..])
}

/// Places of the NAL units of `stream`, without start codes and without the zero bytes around
/// them. Empty units are left out. A stream without any start code is one unit.
pub fn ranges(stream: &[u8]) -> Ranges<'_> {
    let first = find_code(stream, 0);
    let at = match first {
        Some(code) if stream[..code].iter().all(|&byte| byte == 0) => code + 3,
        _ => 0,
    };
    Ranges { stream, at }
}

/// The NAL units of `stream` as in [`ranges`].
pub fn units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    ranges(stream).map(|range| &stream[range])
}

/// The NAL units of `stream` as in [`ranges`], sharing its memory.
pub fn slices(stream: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    ranges(stream).map(|range| stream.slice(range))
}

/// Iterator of [`ranges`].
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    stream: &'a [u8],
    at: usize,
}

impl Iterator for Ranges<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        while self.at < self.stream.len() {
            let start = self.at;
            let code = find_code(self.stream, start);
            let mut end = code.unwrap_or(self.stream.len());
            self.at = code.map_or(self.stream.len(), |code| code + 3);
            // A NAL unit never ends with a zero byte: those belong to the next start code.
            while end > start && self.stream[end - 1] == 0 {
                end -= 1;
            }
            if end > start {
                return Some(start..end);
            }
        }
        None
    }
}

/// Place of the next `00 00 01` at or after `from`.
fn find_code(stream: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(window) = stream.get(at..at + 3) {
        // The third byte decides how far the next candidate can be.
        match window[2] {
            1 if window[0] == 0 && window[1] == 0 => return Some(at),
            0 => at += 1,
            _ => at += 3,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(stream: &[u8]) -> Vec<&[u8]> {
        units(stream).collect()
    }

    #[test]
    fn both_start_codes_and_padding_zeros_separate_units() {
        let stream = [0, 0, 0, 1, 9, 8, 0, 0, 1, 7, 0, 0, 0, 0, 1, 5, 0, 3, 0, 0];
        assert_eq!(split(&stream), [&[9, 8][..], &[7], &[5, 0, 3]]);
    }

    #[test]
    fn a_stream_without_codes_is_one_unit_and_an_empty_one_none() {
        assert_eq!(split(&[1, 2, 3]), [[1, 2, 3]]);
        assert_eq!(split(&[1, 0, 0, 1, 3]), [&[1][..], &[3]]);
        assert!(split(&[]).is_empty());
        assert!(split(&[0, 0, 1]).is_empty());
        assert!(split(&[0, 0, 1, 0, 0, 1]).is_empty());
    }

    #[test]
    fn a_code_is_found_at_every_offset() {
        for lead in 1..8 {
            for fill in [0x11, 0xff] {
                let mut stream = vec![fill; lead];
                stream.extend([0, 0, 1, 0x65]);
                assert_eq!(split(&stream), [&vec![fill; lead][..], &[0x65]]);
            }
        }
    }
}
