//! The two UDP sockets that all RTSP sessions share, and who is behind which address.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use sightline_relay_proto::rtsp::{Lower, TrackSetup};
use sightline_relay_proto::transmit::Arena;

use crate::port::PeerId;

/// Receives of one call, each of up to 64 KiB of coalesced datagrams.
const RECEIVES: usize = 64;
/// Kernel buffers, bytes.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// A socket with its offload state.
struct Socket {
    mio: UdpSocket,
    state: UdpSocketState,
    /// Whether addresses of IPv4 must be written as IPv6.
    six: bool,
}

/// The track behind an address: entered by SETUP alone, never learnt from a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    pub(super) peer: PeerId,
    pub(super) track: usize,
    pub(super) rtcp: bool,
}

pub(super) struct Udp {
    rtp: Socket,
    rtcp: Socket,
    routes: [HashMap<SocketAddr, Route>; 2],
    buffer: Vec<u8>,
}

impl Socket {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let mio = UdpSocket::bind(address)?;
        let state = UdpSocketState::new(UdpSockRef::from(&mio))?;
        // Smaller buffers than wished for still work.
        let _ = state.set_send_buffer_size(UdpSockRef::from(&mio), SOCKET_BUFFER);
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&mio), SOCKET_BUFFER);
        let six = mio.local_addr()?.is_ipv6();
        Ok(Self { mio, state, six })
    }

    fn send(&self, arena: &Arena) {
        for (run, bytes) in arena.runs() {
            let mut destination = run.destination;
            if let (true, IpAddr::V4(ip)) = (self.six, destination.ip()) {
                destination.set_ip(ip.to_ipv6_mapped().into());
            }
            let at_once = run.segment * self.state.max_gso_segments().max(1);
            for contents in bytes.chunks(at_once) {
                let segment_size = (contents.len() > run.segment).then_some(run.segment);
                let transmit =
                    Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
                // A full socket loses datagrams, as networks do.
                let _ = self.state.send(UdpSockRef::from(&self.mio), &transmit);
            }
        }
    }
}

fn side(rtcp: bool) -> usize {
    usize::from(rtcp)
}

impl Udp {
    /// Binds RTP to `address` and RTCP to the next port; gives both ports.
    pub(super) fn bind(
        address: SocketAddr,
        registry: &Registry,
        [rtp_token, rtcp_token]: [Token; 2],
    ) -> io::Result<(Self, (u16, u16))> {
        let mut rtp = Socket::bind(address)?;
        let first = rtp.mio.local_addr()?;
        let next = first.port().checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut rtcp = Socket::bind(SocketAddr::new(first.ip(), next))?;
        registry.register(&mut rtp.mio, rtp_token, Interest::READABLE)?;
        registry.register(&mut rtcp.mio, rtcp_token, Interest::READABLE)?;
        let udp = Self { rtp, rtcp, routes: Default::default(), buffer: vec![0; 64 * 1024] };
        Ok((udp, (first.port(), next)))
    }

    /// Enters the addresses of a track; `false` if one is another track's already.
    pub(super) fn enter(&mut self, peer: PeerId, ip: IpAddr, setup: &TrackSetup) -> bool {
        let Lower::Udp { rtp, rtcp } = setup.lower else { return true };
        let addresses = [SocketAddr::new(ip, rtp), SocketAddr::new(ip, rtcp)];
        let taken = |side: usize| self.routes[side].contains_key(&addresses[side]);
        if taken(0) || taken(1) {
            return false;
        }
        for (rtcp, address) in [(false, addresses[0]), (true, addresses[1])] {
            self.routes[side(rtcp)].insert(address, Route { peer, track: setup.track, rtcp });
        }
        true
    }

    /// Whether the addresses of a track were entered for this peer.
    pub(super) fn belongs_to(&self, peer: PeerId, ip: IpAddr, setup: &TrackSetup) -> bool {
        let Lower::Udp { rtp, .. } = setup.lower else { return false };
        let route = self.routes[side(false)].get(&SocketAddr::new(ip, rtp));
        route.is_some_and(|route| route.peer == peer)
    }

    /// Forgets the addresses of a track.
    pub(super) fn leave(&mut self, ip: IpAddr, setup: &TrackSetup) {
        if let Lower::Udp { rtp, rtcp } = setup.lower {
            self.routes[side(false)].remove(&SocketAddr::new(ip, rtp));
            self.routes[side(true)].remove(&SocketAddr::new(ip, rtcp));
        }
    }

    /// Sends RTP and clears the arena.
    pub(super) fn send_rtp(&self, arena: &mut Arena) {
        self.rtp.send(arena);
        arena.clear();
    }

    /// Sends RTCP and clears the arena.
    pub(super) fn send_rtcp(&self, arena: &mut Arena) {
        self.rtcp.send(arena);
        arena.clear();
    }

    /// Reads one socket. Datagrams from addresses that no SETUP named are dropped here.
    /// `true` if there may be more.
    pub(super) fn receive(&mut self, rtcp: bool, mut each: impl FnMut(Route, Bytes)) -> bool {
        let socket = if rtcp { &self.rtcp } else { &self.rtp };
        let routes = &self.routes[side(rtcp)];
        for _ in 0..RECEIVES {
            let mut meta = [RecvMeta::default()];
            let mut buffers = [IoSliceMut::new(&mut self.buffer)];
            match socket.state.recv(UdpSockRef::from(&socket.mio), &mut buffers, &mut meta) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Such as an ICMP error of an earlier datagram.
                Err(_) => continue,
            }
            let [RecvMeta { addr, len, stride, .. }] = meta;
            let from = SocketAddr::new(addr.ip().to_canonical(), addr.port());
            let Some(route) = routes.get(&from) else { continue };
            let Some(bytes) = self.buffer.get(..len) else { continue };
            for datagram in bytes.chunks(stride.max(1)) {
                each(*route, Bytes::copy_from_slice(datagram));
            }
        }
        true
    }
}
