//! Cutting one long unit into a run of RTP payloads of equal size.

use bytes::{Bytes, BytesMut};

/// Bytes of each part when `total` bytes are cut so that none exceeds `max` and all are alike; the
/// last part may be shorter.
pub(crate) fn part_size(total: usize, max: usize) -> usize {
    let max = max.max(1);
    total.div_ceil(total.div_ceil(max).max(1)).max(1)
}

/// Appends a run of payloads to `out`: `header(first, last)` and then the next part of `pieces`,
/// which are read as one unit. No payload exceeds `max` bytes with its header. The run shares one
/// allocation.
pub(crate) fn cut<const H: usize>(
    pieces: &[Bytes],
    max: usize,
    header: impl Fn(bool, bool) -> [u8; H],
    out: &mut Vec<Bytes>,
) {
    let total: usize = pieces.iter().map(Bytes::len).sum();
    if total == 0 {
        return;
    }
    let size = part_size(total, max.saturating_sub(H));
    let count = total.div_ceil(size);
    let mut buffer = BytesMut::with_capacity(total + count * H);
    let mut rest = Pieces { pieces, offset: 0 };
    for part in 0..count {
        buffer.extend_from_slice(&header(part == 0, part + 1 == count));
        rest.take_into(size, &mut buffer);
        out.push(buffer.split().freeze());
    }
}

/// A reading position in a list of slices.
struct Pieces<'a> {
    pieces: &'a [Bytes],
    offset: usize,
}

impl Pieces<'_> {
    fn take_into(&mut self, mut wanted: usize, buffer: &mut BytesMut) {
        while wanted > 0
            && let Some((piece, later)) = self.pieces.split_first()
        {
            let left = &piece[self.offset..];
            let taken = left.len().min(wanted);
            buffer.extend_from_slice(&left[..taken]);
            wanted -= taken;
            self.offset += taken;
            if self.offset == piece.len() {
                (self.pieces, self.offset) = (later, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_and_only_the_last_is_shorter() {
        for (total, max) in [(1, 10), (10, 10), (11, 10), (99, 10), (100, 7), (5, 1)] {
            let pieces = [Bytes::from(vec![1; total / 2]), Bytes::from(vec![2; total - total / 2])];
            let mut out = Vec::new();
            cut(&pieces, max + 1, |_, _| [0], &mut out);
            let sizes: Vec<_> = out.iter().map(|part| part.len() - 1).collect();
            assert_eq!(sizes.iter().sum::<usize>(), total);
            assert!(sizes.iter().all(|&size| size <= max && size > 0), "{sizes:?}");
            let (last, full) = sizes.split_last().expect("not empty");
            assert!(full.iter().all(|size| size == &sizes[0]) && *last <= sizes[0], "{sizes:?}");
        }
    }

    #[test]
    fn nothing_is_cut_from_nothing() {
        let mut out = Vec::new();
        cut(&[Bytes::new()], 10, |_, _| [0], &mut out);
        assert!(out.is_empty());
    }
}
