//! One UDP socket with segmentation offload both ways.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use mio::{Interest, Registry, Token};
use quinn_udp::{RecvMeta, UdpSocketState};
use sightline_relay_proto::transmit::Arena;
use socket2::{Domain, Protocol, Type};

use crate::udp::flush;

/// Kernel buffers asked for, bytes each way: a burst of keyframes to many viewers fits.
const KERNEL_BUFFER: usize = 8 * 1024 * 1024;
/// Receive buffers of one system call.
const SLOTS: usize = 16;
/// Bytes of one of them: a whole run of coalesced datagrams.
const SLOT_BYTES: usize = 64 * 1024;
/// System calls of one turn; the rest waits for the next turn, so that no flood starves others.
const READS_PER_TURN: usize = 64;

/// The socket.
pub(super) struct Socket {
    io: mio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    registry: Registry,
    batch: Option<Batch>,
}

/// Datagrams of one read.
pub(super) struct Batch {
    bytes: Vec<u8>,
    meta: [RecvMeta; SLOTS],
    filled: usize,
    reads: usize,
}

impl Socket {
    pub(super) fn bind(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        // The kernel cuts these to its own limits.
        socket.set_recv_buffer_size(KERNEL_BUFFER)?;
        socket.set_send_buffer_size(KERNEL_BUFFER)?;
        socket.bind(&address.into())?;
        let mut io = mio::net::UdpSocket::from_std(socket.into());
        let state = UdpSocketState::new((&io).into())?;
        let local = io.local_addr()?;
        registry.register(&mut io, token, Interest::READABLE)?;
        let registry = registry.try_clone()?;
        Ok(Self { io, state, local, registry, batch: None })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Whether peers that know us under `ip` reach this socket.
    pub(super) fn reaches(&self, ip: &IpAddr) -> bool {
        self.local.is_ipv6() || ip.is_ipv4()
    }

    /// The receive buffers, for one turn.
    pub(super) fn take_batch(&mut self) -> Batch {
        let mut batch = self.batch.take().unwrap_or_else(Batch::new);
        (batch.reads, batch.filled) = (0, 0);
        batch
    }

    pub(super) fn give_back(&mut self, batch: Batch) {
        self.batch = Some(batch);
    }

    /// Reads once; `false` when there is no more or the turn is over.
    pub(super) fn receive(&mut self, batch: &mut Batch) -> bool {
        // After a read that left slots empty the socket is dry: what comes from then on rings again.
        if batch.reads == READS_PER_TURN || (1..SLOTS).contains(&batch.filled) {
            return false;
        }
        let mut slots: [IoSliceMut<'_>; SLOTS] = {
            let mut chunks = batch.bytes.chunks_exact_mut(SLOT_BYTES);
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()))
        };
        batch.filled = 0;
        match self.state.recv((&self.io).into(), &mut slots, &mut batch.meta) {
            Ok(filled) => {
                batch.filled = filled;
                batch.reads += 1;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // Errors of earlier sends surface here (ICMP); they concern no datagram of ours.
            Err(_) => {
                batch.reads += 1;
                true
            }
        }
    }

    /// Asks for another readiness event although the socket was not read dry.
    pub(super) fn read_on(&mut self, token: Token) {
        if let Err(error) = self.registry.reregister(&mut self.io, token, Interest::READABLE) {
            tracing::error!(%error, "the webrtc socket cannot be polled");
        }
    }

    /// Sends the arena and clears it. A full socket loses what is left.
    pub(super) fn flush(&mut self, arena: &mut Arena) {
        let dropped = "sightline_webrtc_datagrams_dropped_total";
        flush(&self.io, &self.state, self.local.is_ipv6(), arena, dropped);
    }
}

impl Batch {
    fn new() -> Self {
        let meta = [RecvMeta::default(); SLOTS];
        Self { bytes: vec![0; SLOTS * SLOT_BYTES], meta, filled: 0, reads: 0 }
    }

    /// Datagrams of the last read with their sources.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let slots = self.bytes.chunks_exact(SLOT_BYTES).zip(&self.meta).take(self.filled);
        slots.flat_map(|(slot, meta)| {
            let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let bytes = slot.get(..meta.len).unwrap_or_default();
            bytes.chunks(meta.stride.max(1)).map(move |datagram| (from, datagram))
        })
    }

    /// Whether the turn ended before the socket was dry.
    pub(super) fn is_cut_short(&self) -> bool {
        self.reads == READS_PER_TURN
    }
}
