//! Sending runs of datagrams through one UDP socket, each run as one segmented message where the
//! system can (UDP_SEGMENT).

use std::net::SocketAddr;

use mio::net::UdpSocket;
use quinn_udp::{Transmit, UdpSocketState};
use sightline_relay_proto::transmit::{Arena, Run};

/// Sends the arena's runs in order. A full socket loses what is left, as networks do: the result
/// is how many datagrams did not go out.
pub(crate) fn send_runs(io: &UdpSocket, state: &UdpSocketState, six: bool, arena: &Arena) -> usize {
    let mut lost = 0;
    for (run, bytes) in arena.runs() {
        if lost > 0 || !send(io, state, six, run, bytes) {
            lost += bytes.len().div_ceil(run.segment);
        }
    }
    lost
}

fn send(io: &UdpSocket, state: &UdpSocketState, six: bool, run: &Run, bytes: &[u8]) -> bool {
    let destination = match run.destination {
        SocketAddr::V4(to) if six => SocketAddr::new(to.ip().to_ipv6_mapped().into(), to.port()),
        to => to,
    };
    bytes.chunks(run.segment * state.max_gso_segments().max(1)).all(|contents| {
        let segment_size = (contents.len() > run.segment).then_some(run.segment);
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        state.send(io.into(), &transmit).is_ok()
    })
}
