//! Writers of streams and datagrams.

use crate::wire::varint;

/// Most bytes that framing puts before a packet on a stream: flow identifier and length.
pub const MAX_OVERHEAD: usize = 16;

/// Flow identifiers that we hand out lie below this, so that each takes at most four bytes.
pub const FLOW_BOUND: u64 = 1 << 30;

/// Appends a datagram: flow identifier and packet.
pub fn datagram(flow: u64, packet: &[u8], out: &mut Vec<u8>) {
    varint::write(flow, out);
    out.extend_from_slice(packet);
}

/// Appends a packet with its length, as a stream carries it after its flow identifier.
pub fn stream_packet(packet: &[u8], out: &mut Vec<u8>) {
    varint::write(packet.len() as u64, out);
    out.extend_from_slice(packet);
}
