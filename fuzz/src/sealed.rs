//! Sealed frames: their clear part, their pieces, and how these are joined.

use bytes::Bytes;
use sightline_relay_proto::limits::{MAX_CANONICAL_PAYLOAD, MAX_FRAME};
use sightline_relay_proto::wire::sealed::{self, HEAD_LEN, Head, OVERHEAD, Piece};

/// The bytes as a clear part, as a frame to cut, and, each run of them behind its length in two
/// bytes, as payloads to join: what is read is written the same, and what is joined can be cut.
pub fn sealed(data: &[u8]) {
    if let Ok(head) = Head::parse(data) {
        assert_eq!(head.write(), data[..HEAD_LEN]);
    }
    let frame = Bytes::copy_from_slice(data);
    if let Ok(payloads) = sealed::cut(&frame) {
        check(&payloads);
        assert_eq!(sealed::join(&payloads), Ok(frame));
    }
    let mut payloads = Vec::new();
    let mut rest = data;
    while let [high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (payload, later) = tail.split_at(len.min(tail.len()));
        payloads.push(Bytes::copy_from_slice(payload));
        rest = later;
    }
    for payload in &payloads {
        if let Ok(piece) = Piece::parse(payload) {
            assert_eq!(piece.body, &payload[1..]);
        }
    }
    let Ok(frame) = sealed::join(&payloads) else { return };
    assert!((OVERHEAD + 1..=MAX_FRAME).contains(&frame.len()));
    let again = sealed::cut(&frame).expect("what was joined is a frame");
    check(&again);
    assert_eq!(sealed::join(&again), Ok(frame));
}

fn check(payloads: &[Bytes]) {
    let first = payloads.first().map_or(0, Bytes::len);
    assert!(first > HEAD_LEN);
    for (at, payload) in payloads.iter().enumerate() {
        let last = at + 1 == payloads.len();
        assert!((2..=MAX_CANONICAL_PAYLOAD).contains(&payload.len()));
        assert!(payload.len() == first || last && payload.len() < first);
    }
}
