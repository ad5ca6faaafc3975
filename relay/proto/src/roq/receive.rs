//! The receiving half of a connection: flows, streams in progress and their bounds.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::code::Code;
use super::parse_datagram;
use super::stream::{Reassembler, SET_ASIDE};
use crate::ids::TrackIndex;
use crate::limits::MAX_INGEST_PACKET;
use crate::pool::PacketPool;

/// Bytes kept per unknown flow.
pub const UNKNOWN_FLOW_BYTES: usize = 64 * 1024;
/// Packets kept per unknown flow, however small.
pub const UNKNOWN_FLOW_PACKETS: usize = 512;
/// How long packets of an unknown flow are kept.
pub const UNKNOWN_FLOW_WAIT: Duration = Duration::from_millis(500);
/// Unknown flows kept per connection.
pub const UNKNOWN_FLOWS: usize = 16;
/// Bytes of incomplete packets kept per connection, over all streams.
pub const MAX_HELD: usize = 2 * MAX_INGEST_PACKET;

/// The marker bit in the second byte of an RTP packet.
const MARKER: u8 = 0x80;

/// A packet of a known flow: RTP or RTCP, told apart by [`crate::wire::rtp::is_rtcp`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// The track of the flow.
    pub track: TrackIndex,
    /// The packet.
    pub packet: Bytes,
}

/// What the shell must do on the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// STOP_SENDING on a stream; its further bytes are not handed in.
    Stop {
        /// The stream.
        stream: u64,
        /// With this code.
        code: Code,
    },
}

#[derive(Debug)]
struct Unknown {
    flow: u64,
    since: Instant,
    bytes: usize,
    packets: Vec<Bytes>,
    /// Past its bound: everything of it is refused until it becomes known or its time is over.
    refused: bool,
}

/// A flow that is known, with the memory of its packets.
#[derive(Debug)]
struct Known {
    flow: u64,
    track: TrackIndex,
    pool: PacketPool,
}

/// Takes streams and datagrams in any mix and gives out packets of known flows.
#[derive(Default, Debug)]
pub struct Receiver {
    flows: Vec<Known>,
    streams: HashMap<u64, Reassembler>,
    held: usize,
    /// Memory of packets of unknown flows.
    pool: PacketPool,
    unknown: Vec<Unknown>,
    ready: VecDeque<Received>,
    actions: VecDeque<Action>,
}

impl Receiver {
    /// A receiver that knows these flows.
    pub fn new(flows: impl IntoIterator<Item = (u64, TrackIndex)>) -> Self {
        let known = |(flow, track)| Known { flow, track, pool: PacketPool::default() };
        Self { flows: flows.into_iter().map(known).collect(), ..Self::default() }
    }

    /// Makes a flow known; what was kept of it becomes ready.
    pub fn add_flow(&mut self, flow: u64, track: TrackIndex) {
        self.flows.push(Known { flow, track, pool: PacketPool::default() });
        if let Some(at) = self.unknown.iter().position(|unknown| unknown.flow == flow) {
            let packets = self.unknown.swap_remove(at).packets;
            self.ready.extend(packets.into_iter().map(|packet| Received { track, packet }));
        }
    }

    /// Bytes of a stream, in order.
    pub fn handle_stream(&mut self, now: Instant, stream: u64, chunk: Bytes) {
        let mut reassembler = self.streams.remove(&stream).unwrap_or_default();
        self.held -= reassembler.held();
        reassembler.handle(chunk);
        let code = loop {
            let flow = reassembler.begin();
            match reassembler.poll(pool(&mut self.flows, &mut self.pool, flow)) {
                Ok(Some(packet)) => {
                    let flow = reassembler.flow().expect("a packet comes after its flow");
                    if !self.route(now, flow, packet) {
                        break Some(Code::UnknownFlow);
                    }
                }
                Ok(None) if self.held + reassembler.held() > MAX_HELD => {
                    break Some(Code::FrameCancelled);
                }
                Ok(None) => break None,
                Err(_) => break Some(Code::Packet),
            }
        };
        if let Some(code) = code {
            self.actions.push_back(Action::Stop { stream, code });
            return;
        }
        self.held += reassembler.held();
        self.streams.insert(stream, reassembler);
    }

    /// The stream ended or was reset: whole packets stay valid, an incomplete last one is dropped.
    pub fn handle_stream_end(&mut self, stream: u64) {
        if let Some(reassembler) = self.streams.remove(&stream) {
            self.held -= reassembler.held();
            // A stream is a frame.
            pool(&mut self.flows, &mut self.pool, reassembler.flow()).end_frame();
        }
    }

    /// One datagram. `false`: it is malformed or of an unknown flow past its bound, and is dropped.
    pub fn handle_datagram(&mut self, now: Instant, mut datagram: Bytes) -> bool {
        let Some((flow, head)) = parse_datagram(&datagram) else { return false };
        let mut packet = datagram.split_off(head);
        if packet.len() <= SET_ASIDE {
            // What is stored must not pin the datagrams that came with it.
            let pool = pool(&mut self.flows, &mut self.pool, Some(flow));
            packet = pool.store(&packet);
            if packet.get(1).is_some_and(|second| second & MARKER != 0) {
                pool.end_frame();
            }
        }
        self.route(now, flow, packet)
    }

    /// The next packet of a known flow.
    pub fn poll_packet(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    /// Whether [`Self::poll_action`] has something: a stopped stream must not be read on.
    pub fn is_stopping(&self) -> bool {
        !self.actions.is_empty()
    }

    /// The next thing to do on the connection.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.unknown.iter().map(|unknown| unknown.since + UNKNOWN_FLOW_WAIT).min()
    }

    /// Forgets unknown flows whose time is over, and stops their streams.
    pub fn handle_timeout(&mut self, now: Instant) {
        let over = |unknown: &Unknown| now >= unknown.since + UNKNOWN_FLOW_WAIT;
        for unknown in self.unknown.iter().filter(|unknown| over(unknown)) {
            let streams = self.streams.iter().filter(|(_, s)| s.flow() == Some(unknown.flow));
            self.actions.extend(
                streams.map(|(id, _)| Action::Stop { stream: *id, code: Code::UnknownFlow }),
            );
        }
        self.unknown.retain(|unknown| !over(unknown));
        for action in &self.actions {
            let Action::Stop { stream, .. } = action;
            if let Some(reassembler) = self.streams.remove(stream) {
                self.held -= reassembler.held();
            }
        }
    }

    /// Queues a packet, or keeps it if its flow may still become known. `false`: refused.
    fn route(&mut self, now: Instant, flow: u64, packet: Bytes) -> bool {
        if let Some(known) = self.flows.iter().find(|known| known.flow == flow) {
            self.ready.push_back(Received { track: known.track, packet });
            return true;
        }
        let at = match self.unknown.iter().position(|unknown| unknown.flow == flow) {
            Some(at) => at,
            None if self.unknown.len() >= UNKNOWN_FLOWS => return false,
            None => {
                let fresh =
                    Unknown { flow, since: now, bytes: 0, packets: Vec::new(), refused: false };
                self.unknown.push(fresh);
                self.unknown.len() - 1
            }
        };
        let unknown = &mut self.unknown[at];
        let full = unknown.bytes + packet.len() > UNKNOWN_FLOW_BYTES
            || unknown.packets.len() >= UNKNOWN_FLOW_PACKETS;
        if unknown.refused || full {
            unknown.refused = true;
            unknown.packets = Vec::new();
            return false;
        }
        unknown.bytes += packet.len();
        // An own copy, so that a few bytes do not pin a whole received datagram.
        unknown.packets.push(Bytes::copy_from_slice(&packet));
        true
    }
}

/// The memory for packets of a flow.
fn pool<'a>(
    flows: &'a mut [Known],
    unknown: &'a mut PacketPool,
    flow: Option<u64>,
) -> &'a mut PacketPool {
    let known = flows.iter_mut().find(|known| Some(known.flow) == flow);
    known.map_or(unknown, |known| &mut known.pool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roq::write;
    use crate::wire::varint;

    const TRACK: TrackIndex = TrackIndex(3);

    #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
    fn start() -> Instant {
        Instant::now()
    }

    fn stream(flow: u64, packets: &[&[u8]]) -> Bytes {
        let mut out = Vec::new();
        varint::write(flow, &mut out);
        packets.iter().for_each(|packet| write::stream_packet(packet, &mut out));
        out.into()
    }

    fn datagram(flow: u64, packet: &[u8]) -> Bytes {
        let mut out = Vec::new();
        write::datagram(flow, packet, &mut out);
        out.into()
    }

    fn packets(receiver: &mut Receiver) -> Vec<Vec<u8>> {
        let ready = std::iter::from_fn(|| receiver.poll_packet());
        ready.map(|received| received.packet.to_vec()).collect()
    }

    #[test]
    fn two_streams_and_a_datagram_of_one_flow_all_arrive() {
        let now = start();
        let mut receiver = Receiver::new([(7, TRACK)]);
        let first = stream(7, &[&[1; 30]]);
        receiver.handle_stream(now, 2, first.slice(..10));
        receiver.handle_stream(now, 6, stream(7, &[&[2; 30]]));
        assert!(receiver.handle_datagram(now, datagram(7, &[3; 30])));
        receiver.handle_stream(now, 2, first.slice(10..));
        assert_eq!(packets(&mut receiver), [[2; 30], [3; 30], [1; 30]]);
        assert_eq!(receiver.poll_action(), None);
    }

    #[test]
    fn a_reset_drops_only_the_incomplete_last_packet() {
        let now = start();
        let mut receiver = Receiver::new([(7, TRACK)]);
        let bytes = stream(7, &[&[1; 30], &[2; 30]]);
        receiver.handle_stream(now, 2, bytes.slice(..bytes.len() - 1));
        receiver.handle_stream_end(2);
        assert_eq!(packets(&mut receiver), [[1; 30]]);
        assert_eq!(receiver.held, 0);
    }

    #[test]
    fn an_unknown_flow_is_kept_up_to_its_bytes_then_stopped() {
        let now = start();
        let mut receiver = Receiver::default();
        receiver.handle_stream(now, 2, stream(9, &[&vec![0; UNKNOWN_FLOW_BYTES]]));
        assert_eq!(receiver.poll_action(), None);
        receiver.handle_stream(now, 6, stream(9, &[&[1]]));
        let stop = Action::Stop { stream: 6, code: Code::UnknownFlow };
        assert_eq!(receiver.poll_action(), Some(stop));
        assert!(!receiver.handle_datagram(now, datagram(9, &[1])));
    }

    #[test]
    fn an_unknown_flow_is_kept_up_to_its_packets() {
        let now = start();
        let mut receiver = Receiver::default();
        for _ in 0..UNKNOWN_FLOW_PACKETS {
            assert!(receiver.handle_datagram(now, datagram(9, &[1])));
        }
        assert!(!receiver.handle_datagram(now, datagram(9, &[1])));
    }

    #[test]
    fn a_flow_that_becomes_known_in_time_loses_nothing() {
        let now = start();
        let mut receiver = Receiver::default();
        receiver.handle_stream(now, 2, stream(9, &[&[1; 20]]));
        receiver.add_flow(9, TRACK);
        assert_eq!(packets(&mut receiver), [[1; 20]]);
        assert_eq!(receiver.poll_timeout(), None);
    }

    #[test]
    fn an_unknown_flow_is_stopped_when_its_time_is_over_and_not_before() {
        let now = start();
        let mut receiver = Receiver::default();
        receiver.handle_stream(now, 2, stream(9, &[&[1; 20]]));
        receiver.handle_timeout(now + UNKNOWN_FLOW_WAIT - Duration::from_millis(1));
        assert_eq!(receiver.poll_action(), None);
        assert_eq!(receiver.poll_timeout(), Some(now + UNKNOWN_FLOW_WAIT));
        receiver.handle_timeout(now + UNKNOWN_FLOW_WAIT);
        let stop = Action::Stop { stream: 2, code: Code::UnknownFlow };
        assert_eq!(receiver.poll_action(), Some(stop));
    }

    #[test]
    fn the_number_of_unknown_flows_is_bounded() {
        let now = start();
        let mut receiver = Receiver::default();
        for flow in 0..UNKNOWN_FLOWS as u64 {
            assert!(receiver.handle_datagram(now, datagram(flow, &[1])));
        }
        assert!(!receiver.handle_datagram(now, datagram(99, &[1])));
        assert!(receiver.handle_datagram(now, datagram(0, &[1])));
    }

    #[test]
    fn incomplete_packets_of_many_streams_are_bounded_together() {
        let now = start();
        let mut receiver = Receiver::new([(7, TRACK)]);
        let mut head = vec![7];
        varint::write(MAX_INGEST_PACKET as u64, &mut head);
        head.resize(head.len() + MAX_INGEST_PACKET - 1, 0);
        let head = Bytes::from(head);
        receiver.handle_stream(now, 2, head.clone());
        receiver.handle_stream(now, 6, head.clone());
        assert_eq!(receiver.poll_action(), None);
        receiver.handle_stream(now, 10, head);
        let stop = Action::Stop { stream: 10, code: Code::FrameCancelled };
        assert_eq!(receiver.poll_action(), Some(stop));
    }

    #[test]
    fn a_broken_stream_is_stopped_and_the_others_go_on() {
        let now = start();
        let mut receiver = Receiver::new([(7, TRACK)]);
        receiver.handle_stream(now, 2, Bytes::from_static(&[7, 0]));
        let stop = Action::Stop { stream: 2, code: Code::Packet };
        assert_eq!(receiver.poll_action(), Some(stop));
        receiver.handle_stream(now, 6, stream(7, &[&[1; 20]]));
        assert_eq!(packets(&mut receiver).len(), 1);
    }
}
