//! The ring of one stream: all tracks in arrival order, each frame under a rising index.
//!
//! Overflow rule: the oldest frames go first, whatever they are. When a group of pictures is
//! longer than the bounds, its keyframe goes with them; viewers that are already past it notice
//! nothing, and a newcomer waits for the next keyframe.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::frame::Frame;
use crate::limits::{MAX_RING_BYTES, MAX_RING_FRAMES};

/// Bounds of one ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingLimits {
    /// Frames of all tracks together.
    pub(super) frames: usize,
    /// Payload bytes.
    pub(super) bytes: usize,
}

impl Default for RingLimits {
    fn default() -> Self {
        Self { frames: MAX_RING_FRAMES, bytes: MAX_RING_BYTES }
    }
}

/// Frames `start..end` of a stream.
#[derive(Default, Debug)]
pub(super) struct Ring {
    frames: VecDeque<Arc<Frame>>,
    start: u64,
    bytes: usize,
    limits: RingLimits,
}

impl Ring {
    #[cfg(test)]
    pub(super) fn with_limits(limits: RingLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Stores a frame, drops the oldest ones that the bounds do not allow, and returns its index.
    pub(super) fn push(&mut self, frame: Arc<Frame>) -> u64 {
        let index = self.end();
        self.bytes += frame.bytes();
        self.frames.push_back(frame);
        while self.frames.len() > self.limits.frames || self.bytes > self.limits.bytes {
            self.pop_front();
        }
        index
    }

    /// Drops the oldest frame.
    pub(super) fn pop_front(&mut self) -> Option<Arc<Frame>> {
        let frame = self.frames.pop_front()?;
        self.start += 1;
        self.bytes -= frame.bytes();
        Some(frame)
    }

    pub(super) fn front(&self) -> Option<&Arc<Frame>> {
        self.frames.front()
    }

    pub(super) fn get(&self, index: u64) -> Option<&Arc<Frame>> {
        let at = usize::try_from(index.checked_sub(self.start)?).ok()?;
        self.frames.get(at)
    }

    /// Index of the oldest frame.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Index that the next frame will have.
    pub(super) fn end(&self) -> u64 {
        self.start + self.frames.len() as u64
    }

    /// Payload bytes of all frames.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Panics if the ring's books are wrong.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self) {
        assert!(self.frames.len() <= self.limits.frames, "ring holds too many frames");
        assert!(self.bytes <= self.limits.bytes, "ring holds too many bytes");
        assert!(!self.frames.is_empty() || self.bytes == 0, "an empty ring holds no bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::{FrameSpec, video_frame};

    fn frame(bytes: usize) -> Arc<Frame> {
        Arc::new(video_frame(FrameSpec { bytes, ..FrameSpec::default() }))
    }

    #[test]
    fn a_ring_holds_its_bound_of_frames_and_not_one_more() {
        let mut ring = Ring::with_limits(RingLimits { frames: 3, bytes: 1000 });
        for _ in 0..3 {
            ring.push(frame(10));
        }
        assert_eq!((ring.start(), ring.end(), ring.bytes()), (0, 3, 30));
        ring.push(frame(10));
        assert_eq!((ring.start(), ring.end(), ring.bytes()), (1, 4, 30));
        assert!(ring.get(0).is_none());
        assert!(ring.get(1).is_some());
        ring.check();
    }

    #[test]
    fn a_ring_holds_its_bound_of_bytes_and_not_one_more() {
        let mut ring = Ring::with_limits(RingLimits { frames: 100, bytes: 100 });
        ring.push(frame(60));
        ring.push(frame(40));
        assert_eq!((ring.start(), ring.bytes()), (0, 100));
        ring.push(frame(1));
        assert_eq!((ring.start(), ring.bytes()), (1, 41));
        ring.push(frame(101));
        assert_eq!((ring.start(), ring.end(), ring.bytes()), (4, 4, 0));
        ring.check();
    }
}
