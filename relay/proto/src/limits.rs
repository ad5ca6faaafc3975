//! Bounds of the packet core, each with its unit.

use std::time::Duration;

/// Largest canonical RTP packet with its 12-byte header, bytes: under WebTransport's 1211-byte
/// datagram and every tunnel's overhead.
pub const MAX_CANONICAL_PACKET: usize = 1200;
/// Largest canonical RTP payload, bytes.
pub const MAX_CANONICAL_PAYLOAD: usize = MAX_CANONICAL_PACKET - 12;
/// Largest frame, bytes. A longer one is dropped at ingest.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;
/// Largest single RTP packet taken from a stream transport (RoQ), bytes.
pub const MAX_INGEST_PACKET: usize = MAX_FRAME;
/// Tracks of one stream.
pub const MAX_TRACKS: usize = 8;
/// RTP packets that one stream takes a second; the rest is dropped.
pub const MAX_PUBLISHER_PACKETS: u64 = 20_000;
/// Bytes of RTP that one stream takes a second (100 Mbit/s); the rest is dropped.
pub const MAX_PUBLISHER_BYTES: u64 = 12_500_000;
/// How much a publisher may send at once, as time at the two ceilings: a backlog after a break.
pub const PUBLISHER_BURST: Duration = Duration::from_secs(4);
/// How long a stream without publisher waits for the same device to come back.
pub const PUBLISHER_RESUME: Duration = Duration::from_secs(15);
/// At most one keyframe request per track and this time reaches a camera.
pub const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(1000);
/// Frames kept per stream (all tracks), however small.
pub const MAX_RING_FRAMES: usize = 4096;
/// Bytes kept per stream.
pub const MAX_RING_BYTES: usize = 32 * 1024 * 1024;
/// Bytes kept by all streams together; the longest ring is trimmed first.
pub const MAX_CACHE_BYTES: usize = 1024 * 1024 * 1024;
/// Media time that a viewer may lag behind the newest frame before it skips to a keyframe.
pub const MAX_LAG: Duration = Duration::from_millis(1500);
/// The same before it does without the late frames that no other refers to.
pub const MAX_WHOLE_LAG: Duration = Duration::from_millis(500);
const _: () = assert!(
    MAX_WHOLE_LAG.as_millis() < MAX_LAG.as_millis(),
    "what is needless is left out before a viewer skips"
);
/// Longest time a catch-up from the cached keyframe to the live edge takes.
pub const MAX_CATCH_UP: Duration = Duration::from_millis(2400);
/// How long ingest waits for a missing packet of an unordered transport.
pub const REORDER_WAIT: Duration = Duration::from_millis(120);
/// Packets that ingest holds while it waits for a missing one.
pub const REORDER_PACKETS: usize = 512;
