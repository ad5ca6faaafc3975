//! Memory for the packets of a publisher's track, taken a frame at a time: what is stored once for all
//! viewers costs an allocation or two a frame and not one a packet.

use std::mem;

use bytes::{Bytes, BytesMut};

/// Largest piece, bytes, but for a packet that is longer. Packets of a piece are freed together, so
/// pieces are bounded and none is shared by two frames.
pub const MAX_PIECE: usize = 16 * 1024;

/// What a frame needs beyond the expected comes in pieces of this share of what it has, so that at
/// most as much stays unused.
const GROWTH_DIVISOR: usize = 4;

/// Gives packets their memory out of pieces that are as large as the smaller of the last two frames
/// was: a keyframe is many times the frame after it, and what that does not use stays for as long.
#[derive(Debug, Default)]
pub struct PacketPool {
    /// What is left of the piece in use.
    piece: BytesMut,
    /// Bytes of the frame so far.
    taken: usize,
    /// Bytes of the last two frames.
    before: [usize; 2],
}

impl PacketPool {
    /// Empty memory with room for `len` bytes.
    pub fn take(&mut self, len: usize) -> BytesMut {
        if self.piece.capacity() < len {
            let [last, other] = self.before;
            let expected = last.min(other).saturating_sub(self.taken);
            let rest = expected.max(self.taken / GROWTH_DIVISOR);
            self.piece = BytesMut::with_capacity(rest.min(MAX_PIECE).max(len));
        }
        self.taken += len;
        let rest = self.piece.split_off(len);
        mem::replace(&mut self.piece, rest)
    }

    /// A packet's bytes in memory of the pool.
    pub fn store(&mut self, packet: &[u8]) -> Bytes {
        let mut room = self.take(packet.len());
        room.extend_from_slice(packet);
        room.freeze()
    }

    /// The frame is whole: what follows shares no memory with it.
    pub fn end_frame(&mut self) {
        self.before = [mem::take(&mut self.taken), self.before[0]];
        self.piece = BytesMut::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces that packets lie in: a packet that begins where the last one ended shares its piece.
    fn pieces(packets: &[Bytes]) -> usize {
        let apart = |pair: &[Bytes]| pair[0].as_ptr_range().end != pair[1].as_ptr();
        1 + packets.windows(2).filter(|pair| apart(pair)).count()
    }

    fn frame(pool: &mut PacketPool, packets: usize, len: usize) -> Vec<Bytes> {
        let stored = (0..packets).map(|at| pool.store(&vec![at as u8; len])).collect();
        pool.end_frame();
        stored
    }

    #[test]
    fn a_frame_as_long_as_the_two_before_lies_in_one_piece() {
        let mut pool = PacketPool::default();
        let first = frame(&mut pool, 10, 1200);
        let second = frame(&mut pool, 10, 1200);
        let third = frame(&mut pool, 10, 1200);
        assert_eq!(pieces(&third), 1);
        for (at, packet) in first.iter().chain(&second).chain(&third).enumerate() {
            assert_eq!(packet, &vec![(at % 10) as u8; 1200]);
        }
    }

    #[test]
    fn pieces_keep_their_bound_however_long_frames_are() {
        let mut pool = PacketPool::default();
        frame(&mut pool, 100, 1200);
        frame(&mut pool, 100, 1200);
        let long = frame(&mut pool, 100, 1200);
        assert_eq!(pieces(&long), 100_usize.div_ceil(MAX_PIECE / 1200));
        let larger = pool.store(&vec![1; MAX_PIECE + 1]);
        assert_eq!(larger.len(), MAX_PIECE + 1);
    }

    #[test]
    fn a_keyframe_among_short_frames_leaves_little_memory_unused() {
        for (key, short) in [(30, 3), (4, 1), (140, 10)] {
            let mut pool = PacketPool::default();
            let (mut held, mut stored) = (0, 0);
            for number in 0..60 {
                let packets = if number % 2 == 0 { key } else { short };
                for _ in 0..packets {
                    let room = pool.piece.capacity();
                    pool.take(1000);
                    stored += 1000;
                    if pool.piece.capacity() + 1000 != room {
                        held += pool.piece.capacity() + 1000;
                    }
                }
                pool.end_frame();
            }
            assert!(held * 4 <= stored * 5, "{held} for {stored}");
        }
    }

    #[test]
    fn a_frame_that_grows_takes_few_pieces() {
        let mut pool = PacketPool::default();
        frame(&mut pool, 10, 1200);
        frame(&mut pool, 10, 1200);
        assert_eq!(pieces(&frame(&mut pool, 12, 1200)), 2);
        let keyframe = frame(&mut pool, 100, 1200);
        assert!(pieces(&keyframe) <= 14, "{}", pieces(&keyframe));
    }

    #[test]
    fn a_short_frame_after_a_long_one_keeps_no_memory_of_it() {
        let mut pool = PacketPool::default();
        frame(&mut pool, 1, 100);
        let mut room = pool.take(100);
        assert_eq!((room.len(), room.capacity()), (0, 100));
        room.extend_from_slice(&[1; 100]);
        pool.end_frame();
        assert_eq!(pool.piece.capacity(), 0);
    }
}
