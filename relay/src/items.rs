//! Frames as viewers of one kind are sent them, written once for all of these viewers.

use std::sync::Arc;

use sightline_relay_proto::frame::Frame;

/// Frames kept: those that the viewers of a turn share, and some of viewers who are catching up.
const KEPT: usize = 16;

/// The frames that were written last.
pub(crate) struct Items<T> {
    /// The frame is held, so that no other can take its address.
    entries: [Option<(Arc<Frame>, Option<T>)>; KEPT],
    /// The entry that makes way next.
    next: usize,
    write: fn(&Frame) -> Option<T>,
}

impl<T: Clone> Items<T> {
    /// None yet; `write` turns a frame into its item, which must not depend on the viewer.
    pub(crate) fn new(write: fn(&Frame) -> Option<T>) -> Self {
        Self { entries: [const { None }; KEPT], next: 0, write }
    }

    /// A frame's item; `None` if it has none.
    pub(crate) fn item(&mut self, frame: &Arc<Frame>) -> Option<T> {
        let known = self.entries.iter().flatten().find(|(known, _)| Arc::ptr_eq(known, frame));
        if let Some((_, item)) = known {
            return item.clone();
        }
        let item = (self.write)(frame);
        self.entries[self.next] = Some((Arc::clone(frame), item.clone()));
        self.next = (self.next + 1) % KEPT;
        item
    }
}

#[cfg(test)]
mod tests {
    use sightline_relay_proto::gop_stream;

    use super::*;
    use crate::roq::frame;

    #[test]
    fn all_viewers_share_one_copy_of_a_frame_and_what_is_kept_is_bounded() {
        let mut items = Items::new(gop_stream::item);
        let first = frame();
        let item = items.item(&first).unwrap();
        assert_eq!(items.item(&first).unwrap().as_ptr(), item.as_ptr());
        for _ in 0..KEPT {
            assert_ne!(items.item(&frame()).unwrap().as_ptr(), item.as_ptr());
        }
        assert_eq!(Arc::strong_count(&first), 1, "it has made way");
    }
}
