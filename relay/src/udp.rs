//! Sending runs of datagrams through one UDP socket, each run as one segmented message where the
//! system can (UDP_SEGMENT), and many messages by one call where it can (sendmmsg).

#[cfg(target_os = "linux")]
mod mmsg;

use std::net::SocketAddr;

use mio::net::UdpSocket;
use quinn_udp::{Transmit, UdpSocketState};
use sightline_relay_proto::transmit::{Arena, MAX_SEGMENTS, Run};
use smallvec::SmallVec;

/// Messages of one call, at most.
const BATCH: usize = 64;

/// Bytes of media after which a port sends its arena although more viewers or frames wait: it stays
/// inside the second-level cache.
pub(crate) const FLUSH_BYTES: usize = 256 * 1024;

/// A run and its bytes: one message.
type Message<'a> = (&'a Run, &'a [u8]);

/// Sends the arena and clears it; what a full socket loses is counted under the name `dropped`.
pub(crate) fn flush(
    io: &UdpSocket,
    state: &UdpSocketState,
    six: bool,
    arena: &mut Arena,
    dropped: &'static str,
) {
    let lost = send_runs(io, state, six, arena);
    arena.clear();
    if lost > 0 {
        metrics::counter!(dropped).increment(lost as u64);
    }
}

/// Sends the arena's runs in order. A full socket loses what is left, as networks do: the result
/// is how many datagrams did not go out.
fn send_runs(io: &UdpSocket, state: &UdpSocketState, six: bool, arena: &Arena) -> usize {
    let mut runs = arena.runs();
    let mut batch: SmallVec<[Message<'_>; BATCH]> = SmallVec::new();
    loop {
        batch.clear();
        batch.extend(runs.by_ref().take(BATCH));
        if batch.is_empty() {
            return 0;
        }
        let sent = send_batch(io, state, six, &batch);
        if sent < batch.len() {
            return batch.drain(sent..).chain(runs).map(datagrams).sum();
        }
    }
}

/// Size of the datagrams that the kernel cuts a message into; `None` if it is one datagram.
fn segment_of((run, bytes): Message<'_>) -> Option<usize> {
    (bytes.len() > run.segment).then_some(run.segment)
}

fn datagrams((run, bytes): Message<'_>) -> usize {
    bytes.len().div_ceil(run.segment)
}

/// Sends messages; how many went out before the socket was full.
fn send_batch(
    io: &UdpSocket,
    state: &UdpSocketState,
    six: bool,
    messages: &[Message<'_>],
) -> usize {
    let mut at = 0;
    while let Some(&message) = messages.get(at) {
        #[cfg(target_os = "linux")]
        if messages.len() - at > 1 && state.max_gso_segments() >= MAX_SEGMENTS {
            match mmsg::send(io, six, &messages[at..]) {
                Ok(sent) if sent > 0 => {
                    at += sent;
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return at,
                // The first message is refused: sent alone, the state learns what the device cannot.
                Ok(_) | Err(_) => {}
            }
        }
        if !send_alone(io, state, six, message) {
            return at;
        }
        at += 1;
    }
    at
}

/// `false` when the socket is full.
fn send_alone(
    io: &UdpSocket,
    state: &UdpSocketState,
    six: bool,
    (run, bytes): Message<'_>,
) -> bool {
    let destination = mapped(run.destination, six);
    bytes.chunks(run.segment * state.max_gso_segments().max(1)).all(|contents| {
        let segment_size = (contents.len() > run.segment).then_some(run.segment);
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        state.send(io.into(), &transmit).is_ok()
    })
}

/// A destination as a socket of IPv6 wants it.
fn mapped(destination: SocketAddr, six: bool) -> SocketAddr {
    match destination {
        SocketAddr::V4(to) if six => SocketAddr::new(to.ip().to_ipv6_mapped().into(), to.port()),
        to => to,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pair(bind: &str) -> (UdpSocket, UdpSocketState, bool) {
        let io = UdpSocket::bind(bind.parse().unwrap()).unwrap();
        let state = UdpSocketState::new((&io).into()).unwrap();
        let six = io.local_addr().unwrap().is_ipv6();
        (io, state, six)
    }

    fn viewers(count: usize) -> Vec<std::net::UdpSocket> {
        let viewer = |_| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        };
        (0..count).map(viewer).collect()
    }

    fn received(socket: &std::net::UdpSocket) -> Vec<u8> {
        let mut buffer = [0; 2000];
        let len = socket.recv(&mut buffer).unwrap();
        buffer[..len].to_vec()
    }

    #[test]
    fn every_viewer_gets_its_datagrams_in_order_however_they_are_batched() {
        for bind in ["127.0.0.1:0", "[::]:0"] {
            let (io, state, six) = pair(bind);
            let viewers = viewers(BATCH + 10);
            let mut arena = Arena::default();
            for (number, viewer) in viewers.iter().enumerate() {
                let to = viewer.local_addr().unwrap();
                let number = number as u8;
                // Runs of one size, then single datagrams of several sizes, then another size.
                for len in [1000, 1000, 500] {
                    arena.push(to, &vec![number; len]);
                }
                arena.push(to, &vec![number; 30 + usize::from(number)]);
                arena.push(to, &[number, 1]);
            }
            assert_eq!(send_runs(&io, &state, six, &arena), 0);
            for (number, viewer) in viewers.iter().enumerate() {
                for len in [1000, 1000, 500, 30 + number] {
                    assert_eq!(received(viewer), vec![number as u8; len], "{bind}, {number}");
                }
                assert_eq!(received(viewer), [number as u8, 1]);
            }
        }
    }

    #[test]
    fn a_destination_that_is_refused_costs_the_others_nothing() {
        let (io, state, six) = pair("127.0.0.1:0");
        let viewers = viewers(2);
        let [first, last] = [0, 1].map(|at| viewers[at].local_addr().unwrap());
        let mut arena = Arena::default();
        // Port 0 is no destination, and a socket on loopback reaches nothing else.
        let refused: [SocketAddr; 2] =
            ["127.0.0.1:0".parse().unwrap(), "192.0.2.1:9".parse().unwrap()];
        for to in [first, refused[0], refused[1], last] {
            arena.push(to, &[1; 100]);
            arena.push(to, &[2; 100]);
        }
        assert_eq!(send_runs(&io, &state, six, &arena), 0);
        for viewer in &viewers {
            assert_eq!((received(viewer), received(viewer)), (vec![1; 100], vec![2; 100]));
        }
    }
}
