//! The packet core of the Sightline relay, without I/O.
//!
//! Nothing here opens a socket, reads a clock or draws randomness: the caller hands in
//! datagrams, the time and random bytes, and takes out frames, datagrams, events and deadlines.
//! Method families are named by direction: `handle_*` takes something in, `poll_*` gives
//! something out and is called until it returns `None`.
//!
//! A packet's way through this crate:
//! 1. a transport ([`webrtc`], [`rtsp`], [`roq`]) unwraps an RTP packet of a publisher;
//! 2. [`ingest`] orders packets, joins them to a [`frame::Frame`] and cuts canonical packets once,
//!    or, if they are sealed, keeps them and reads what stands in clear ([`wire::sealed`]);
//! 3. [`hub`] stores the frame in the stream's ring and tells which subscribers have work;
//! 4. the subscriber's cursor yields a [`hub::Delivery`] with its place on the viewer's timeline;
//! 5. the viewer's transport writes a header per packet and seals from the shared payload.
//!
//! Only [`frame::Descriptor`] is read to cache, start, pace and drop: never a payload.

pub mod codec;
pub mod frame;
pub mod gop_socket;
pub mod gop_stream;
pub mod hub;
pub mod ids;
pub mod ingest;
pub mod limits;
pub mod pool;
pub mod report_clock;
pub mod roq;
pub mod rtsp;
pub mod sdp;
pub mod transmit;
pub mod webrtc;
pub mod wire;
