//! The UDP socket of the RoQ port: batched receiving (GRO) and segmented sending (GSO).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSocketState};

/// Kernel buffers of the socket, bytes. The kernel may give less.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams of one segmented send, at most: a frame of the usual size with its acknowledgements
/// goes out by one system call.
const MAX_SEGMENTS: usize = 32;
/// Largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;
/// Receive calls that one wake-up may take before others have their turn.
const MAX_RECEIVE_CALLS: usize = 64;
/// Buffers of one receive call.
const BATCH: usize = 8;

/// One received datagram.
pub(super) struct Datagram {
    pub(super) remote: SocketAddr,
    pub(super) local_ip: Option<IpAddr>,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) data: BytesMut,
}

/// The socket with its buffers.
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    registry: Registry,
    token: Token,
    receive: Vec<u8>,
    /// A send that the kernel did not take; goes out first when the socket is writable again.
    held: Option<(Vec<u8>, Transmit)>,
}

impl Socket {
    pub(super) fn bind(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut io = UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&io).into())?;
        // Smaller buffers than asked for cost packets under load, not correctness.
        let _ = state.set_send_buffer_size((&io).into(), SOCKET_BUFFER);
        let _ = state.set_recv_buffer_size((&io).into(), SOCKET_BUFFER);
        registry.register(&mut io, token, Interest::READABLE)?;
        let registry = registry.try_clone()?;
        Ok(Self { io, state, registry, token, receive: vec![0; MAX_DATAGRAM * BATCH], held: None })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    pub(super) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments().clamp(1, MAX_SEGMENTS)
    }

    /// Whether a send waits for the socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.held.is_some()
    }

    /// Takes what has arrived; `true` if the turn ended before the socket was empty.
    pub(super) fn receive(&mut self, into: &mut Vec<Datagram>) -> bool {
        for _ in 0..MAX_RECEIVE_CALLS {
            let mut metas = [RecvMeta::default(); BATCH];
            let mut slices: [IoSliceMut<'_>; BATCH] = {
                let mut chunks = self.receive.chunks_mut(MAX_DATAGRAM);
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()))
            };
            let count = match self.state.recv((&self.io).into(), &mut slices, &mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of some peer; the next call goes on.
                Err(_) => continue,
            };
            for (meta, bytes) in metas.iter().zip(&slices).take(count) {
                // What came as one is stored as one: a frame, as a rule, and always of one source.
                let mut stored = BytesMut::from(&bytes[..meta.len.min(bytes.len())]);
                while !stored.is_empty() {
                    into.push(Datagram {
                        remote: meta.addr,
                        local_ip: meta.dst_ip,
                        ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                        data: stored.split_to(meta.stride.clamp(1, stored.len())),
                    });
                }
            }
            // The socket is dry. What comes from now on rings again.
            if count < BATCH {
                return false;
            }
        }
        true
    }

    /// Sends, or holds the bytes if the kernel is full. Not to be called while blocked.
    pub(super) fn send(&mut self, transmit: Transmit, bytes: &[u8]) {
        if self.try_send(&transmit, bytes).is_err() {
            self.held = Some((bytes.to_vec(), transmit));
            self.listen(Interest::READABLE | Interest::WRITABLE);
        }
    }

    /// Sends what was held; `false` if the socket is still full.
    pub(super) fn flush(&mut self) -> bool {
        if let Some((bytes, transmit)) = self.held.take()
            && self.try_send(&transmit, &bytes).is_err()
        {
            self.held = Some((bytes, transmit));
        } else {
            self.listen(Interest::READABLE);
        }
        self.held.is_none()
    }

    /// Says what the socket rings for: to be told of room while nothing waits for it would make a
    /// turn of the worker for every message that has left.
    fn listen(&mut self, interest: Interest) {
        if let Err(error) = self.registry.reregister(&mut self.io, self.token, interest) {
            tracing::error!(%error, "the RoQ socket cannot be polled");
        }
    }

    fn try_send(&self, transmit: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let ecn = transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8));
        let outgoing = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn,
            contents: &bytes[..transmit.size.min(bytes.len())],
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        self.io.try_io(|| self.state.send((&self.io).into(), &outgoing))
    }
}
