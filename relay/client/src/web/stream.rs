//! One uni stream of the server: the session's, or one of HTTP/3 that says nothing to us.

use std::collections::VecDeque;

use quinn::RecvStream;
use sightline_relay_proto::gop_stream::{FormatError, Item, Reader};
use sightline_relay_proto::wire::varint;

/// Type of a session's uni stream; the session follows.
const SESSION_STREAM: u64 = 0x54;

/// A stream that is being read.
pub(super) struct Incoming {
    pub(super) stream: RecvStream,
    part: Part,
}

impl Incoming {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, part: Part::default() }
    }

    /// More bytes; whole items go to `ready`.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        ready: &mut VecDeque<Item>,
    ) -> Result<(), FormatError> {
        self.part.push(bytes, ready)
    }
}

/// What a stream turned out to be.
enum Part {
    /// Its first integers are not whole yet.
    Head(Vec<u8>),
    Items(Reader),
    /// Nothing for us.
    Other,
}

impl Default for Part {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl Part {
    fn push(&mut self, bytes: &[u8], ready: &mut VecDeque<Item>) -> Result<(), FormatError> {
        match self {
            Self::Other => return Ok(()),
            Self::Items(reader) => reader.push(bytes),
            Self::Head(head) => {
                head.extend_from_slice(bytes);
                match items(head) {
                    None => return Ok(()),
                    Some(part) => *self = part,
                }
            }
        }
        if let Self::Items(reader) = self {
            while let Some(item) = reader.poll_item()? {
                ready.push_back(item);
            }
        }
        Ok(())
    }
}

/// What the stream is, once its first integers are whole.
fn items(head: &[u8]) -> Option<Part> {
    let (kind, at) = varint::read(head)?;
    if kind != SESSION_STREAM {
        return Some(Part::Other);
    }
    let (_session, used) = varint::read(&head[at..])?;
    let mut reader = Reader::default();
    reader.push(&head[at + used..]);
    Some(Part::Items(reader))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sessions_stream_is_read_and_another_is_passed_over() {
        // Type, session, version, track; an item: length, flags, sequence, media time, payload.
        let bytes = [0x40, 0x54, 0, 1, 2, 5, 1, 7, 9, 0xaa, 0xbb];
        for piece in [1, 3, bytes.len()] {
            let (mut part, mut ready) = (Part::default(), VecDeque::new());
            bytes.chunks(piece).for_each(|bytes| part.push(bytes, &mut ready).unwrap());
            assert_eq!(ready.len(), 1);
            assert_eq!((ready[0].sequence, ready[0].track.0), (7, 2));
            assert_eq!(ready[0].payload[..], [0xaa, 0xbb]);
        }
        let (mut part, mut ready) = (Part::default(), VecDeque::new());
        part.push(&[0, 4, 0, 1, 2, 3], &mut ready).unwrap();
        assert!(ready.is_empty() && matches!(part, Part::Other));
    }
}
