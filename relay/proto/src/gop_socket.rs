//! What a WebSocket viewer reads: the streams of [`crate::gop_stream`] on one connection.
//!
//! A browser without WebTransport, or on a network that drops UDP, has one stream of bytes and no
//! more. Each binary message is a piece of one of the streams that WebTransport would have had:
//!
//! ```text
//! message = mark, bytes
//! mark    = 2 × number of the stream, + 1 if the stream is given up
//! ```
//!
//! - *mark* is an integer of QUIC (RFC 9000, 16). A number names a stream from its first message to
//!   its last one and is free again then.
//! - *bytes* continue the stream, cut anywhere. None at all: the stream ends here.
//! - A stream that is given up carries nothing more, as one that is reset over WebTransport: the rest
//!   of its group of pictures is skipped, and the next stream begins with a keyframe.
//!
//! Nothing comes the other way but what keeps a WebSocket alive and ends it. The server ends it with
//! the code 1000 (the stream has ended), 1001 (the server stops), 1003 (the viewer said something)
//! or 4001 (the permission to watch has ended); a reader takes any other end for a lost connection.
//!
//! The writer numbers a stream by the track that its frames come from, so that nothing in a message
//! depends on the viewer and one copy serves all.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::gop_stream;
use crate::ids::TrackIndex;
use crate::wire::varint;

/// Longest message that is written, bytes: what cannot be taken back once its first byte is out.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Most bytes of a mark of ours: tracks are numbered by a byte.
const MAX_MARK: usize = 2;

/// Messages of one item: mostly one.
pub type Messages = SmallVec<[Bytes; 1]>;

/// An item of the stream `number`, in messages of [`MAX_MESSAGE`] at most.
pub fn messages(number: u8, item: &[u8]) -> Messages {
    let mark = mark(number, false);
    let piece = MAX_MESSAGE - mark.len();
    let count = item.len().div_ceil(piece);
    let mut out = BytesMut::with_capacity(item.len() + count * mark.len());
    let mut messages = Messages::with_capacity(count);
    for bytes in item.chunks(piece) {
        out.put_slice(&mark);
        out.put_slice(bytes);
        messages.push(out.split().freeze());
    }
    messages
}

/// The start of the stream `number`, of a track of the session.
pub fn start(number: u8, track: TrackIndex) -> Bytes {
    let mut out = mark(number, false).to_vec();
    gop_stream::stream_head(track, &mut out);
    out.into()
}

/// The end of the stream `number`.
pub fn end(number: u8) -> Bytes {
    Bytes::copy_from_slice(&mark(number, false))
}

/// The stream `number` is given up.
pub fn give_up(number: u8) -> Bytes {
    Bytes::copy_from_slice(&mark(number, true))
}

fn mark(number: u8, given_up: bool) -> SmallVec<[u8; MAX_MARK]> {
    let mut out = Vec::with_capacity(MAX_MARK);
    varint::write(2 * u64::from(number) + u64::from(given_up), &mut out);
    out.into()
}

/// A message as a viewer reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// The stream goes on with these bytes.
    Bytes {
        /// Its number.
        number: u64,
        /// At least one.
        bytes: Bytes,
    },
    /// The stream has ended.
    End {
        /// Its number.
        number: u64,
    },
    /// The stream is given up.
    GivenUp {
        /// Its number.
        number: u64,
    },
}

impl Message {
    /// Reads a binary message. `None`: it does not hold a whole mark.
    pub fn parse(mut message: Bytes) -> Option<Self> {
        let (mark, len) = varint::read(&message)?;
        let (number, bytes) = (mark / 2, message.split_off(len));
        Some(match (mark % 2, bytes.is_empty()) {
            (1, _) => Self::GivenUp { number },
            (_, true) => Self::End { number },
            (_, false) => Self::Bytes { number, bytes },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gop_stream::{Reader, item};
    use crate::hub::testing::{FrameSpec, video_frame};

    fn joined(messages: &Messages, of: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            assert!(message.len() <= MAX_MESSAGE);
            let Some(Message::Bytes { number, bytes }) = Message::parse(message.clone()) else {
                panic!("a piece of an item")
            };
            assert_eq!(number, of);
            out.extend_from_slice(&bytes);
        }
        out
    }

    #[test]
    fn an_item_is_cut_where_a_message_is_full_and_read_back_whole() {
        for (number, mark) in [(0, 1), (31, 1), (32, 2), (255, 2)] {
            let piece = MAX_MESSAGE - mark;
            for (len, count) in [(1, 1), (piece, 1), (piece + 1, 2), (3 * piece, 3)] {
                let item: Vec<u8> = (0..len).map(|at| at as u8).collect();
                let messages = messages(number, &item);
                assert_eq!(messages.len(), count, "{number} {len}");
                assert_eq!(joined(&messages, u64::from(number)), item);
            }
        }
    }

    #[test]
    fn a_stream_in_messages_is_the_stream_of_webtransport() {
        let frame = video_frame(FrameSpec { keyframe: true, ..FrameSpec::default() });
        let mut reader = Reader::default();
        let Some(Message::Bytes { number: 3, bytes }) = Message::parse(start(3, TrackIndex(2)))
        else {
            panic!("a start")
        };
        reader.push(&bytes);
        reader.push(&joined(&messages(3, &item(&frame).unwrap()), 3));
        let read = reader.poll_item().unwrap().expect("whole");
        assert_eq!((read.track, read.keyframe, reader.held()), (TrackIndex(2), true, 0));
    }

    #[test]
    fn the_end_of_a_stream_and_its_loss_differ() {
        assert_eq!(Message::parse(end(200)), Some(Message::End { number: 200 }));
        assert_eq!(Message::parse(give_up(200)), Some(Message::GivenUp { number: 200 }));
        assert_eq!(Message::parse(Bytes::from_static(&[4])), Some(Message::End { number: 2 }));
        assert_eq!(Message::parse(Bytes::from_static(&[5])), Some(Message::GivenUp { number: 2 }));
        assert_eq!(Message::parse(Bytes::new()), None);
        assert_eq!(Message::parse(Bytes::from_static(&[0x40])), None, "half a mark");
    }

    proptest! {
        #[test]
        fn any_message_is_survived(bytes: Vec<u8>) {
            let len = bytes.len();
            if let Some(Message::Bytes { bytes, .. }) = Message::parse(bytes.into()) {
                prop_assert!(!bytes.is_empty() && bytes.len() < len);
            }
        }
    }
}
