//! RTP over QUIC (draft-ietf-avtcore-rtp-over-quic-14): framing, sans-I/O.
//!
//! A uni stream carries a flow identifier once and then length-prefixed packets; a datagram carries
//! a flow identifier and one packet. A flow maps freely to a track and may carry RTP and RTCP.
//! Nothing is inferred from stream boundaries: a sender may mix streams and datagrams at will.

pub mod code;
pub mod receive;
pub mod stream;
pub mod write;

pub use code::Code;
pub use receive::{Action, Received, Receiver};

/// ALPN names in order of preference. The wire format is the same from draft 10 to 14.
pub const ALPN: [&[u8]; 6] = [b"roq", b"roq-14", b"roq-13", b"roq-12", b"roq-11", b"roq-10"];

/// Reads a datagram: its flow and the place where its packet begins. `None` if it has no packet.
pub fn parse_datagram(datagram: &[u8]) -> Option<(u64, usize)> {
    let (flow, len) = crate::wire::varint::read(datagram)?;
    (len < datagram.len()).then_some((flow, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_without_a_packet_is_refused_at_every_flow_length() {
        for flow in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, (1 << 62) - 1] {
            let mut datagram = Vec::new();
            crate::wire::varint::write(flow, &mut datagram);
            let head = datagram.len();
            for len in 0..=head {
                assert_eq!(parse_datagram(&datagram[..len]), None);
            }
            datagram.push(1);
            assert_eq!(parse_datagram(&datagram), Some((flow, head)));
        }
    }
}
