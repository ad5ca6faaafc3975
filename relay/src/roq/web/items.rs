//! Frames as items of a stream, written once for all viewers.

use std::sync::Arc;

use bytes::Bytes;
use sightline_relay_proto::frame::Frame;
use sightline_relay_proto::gop_stream;

/// Items kept: those that the viewers of a turn share, and some of viewers who are catching up.
const KEPT: usize = 16;

/// The items that were written last.
#[derive(Default)]
pub(in crate::roq) struct Items {
    /// The frame is held, so that no other can take its address.
    entries: [Option<(Arc<Frame>, Option<Bytes>)>; KEPT],
    /// The entry that makes way next.
    next: usize,
}

impl Items {
    /// A frame's item; `None` if it has no access unit.
    pub(super) fn item(&mut self, frame: &Arc<Frame>) -> Option<Bytes> {
        let known = self.entries.iter().flatten().find(|(known, _)| Arc::ptr_eq(known, frame));
        if let Some((_, item)) = known {
            return item.clone();
        }
        let item = gop_stream::item(frame);
        self.entries[self.next] = Some((Arc::clone(frame), item.clone()));
        self.next = (self.next + 1) % KEPT;
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roq::written::tests::frame;

    #[test]
    fn all_viewers_share_one_copy_of_a_frame_and_what_is_kept_is_bounded() {
        let mut items = Items::default();
        let first = frame();
        let item = items.item(&first).unwrap();
        assert_eq!(items.item(&first).unwrap().as_ptr(), item.as_ptr());
        for _ in 0..KEPT {
            assert_ne!(items.item(&frame()).unwrap().as_ptr(), item.as_ptr());
        }
        assert_eq!(Arc::strong_count(&first), 1, "it has made way");
    }
}
