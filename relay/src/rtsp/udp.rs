//! The two UDP sockets that all RTSP sessions share, and who is behind which address.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use sightline_relay_proto::hub::Delivery;
use sightline_relay_proto::rtsp::{Lower, TrackSetup};
use sightline_relay_proto::transmit::Arena;

use crate::port::PeerId;
use crate::udp::{FLUSH_BYTES, flush};

use super::output::TrackFields;

/// System calls of one turn that receive.
const RECEIVES: usize = 64;
/// Buffers of one of them.
const SLOTS: usize = 8;
/// Bytes of a buffer: a whole run of coalesced datagrams.
const SLOT_BYTES: usize = 64 * 1024;
/// Messages after which the arena of media is sent although more viewers wait.
const FLUSH_RUNS: usize = 1024;
/// Pairs of ports tried where the system chooses.
const PAIRS: usize = 16;
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
    /// Media of the viewers that were served in this turn.
    media: Arena,
    last: Option<Pushed>,
}

/// The frame that was put into the arena last.
struct Pushed {
    delivery: Delivery,
    fields: TrackFields,
    /// Its runs in the arena.
    runs: Range<usize>,
}

impl Pushed {
    /// Whether this delivery has the same bytes.
    fn is_for(&self, fields: TrackFields, delivery: &Delivery) -> bool {
        Arc::ptr_eq(&self.delivery.frame, &delivery.frame)
            && (self.delivery.seq, self.delivery.timestamp) == (delivery.seq, delivery.timestamp)
            && self.delivery.packets == delivery.packets
            && self.fields == fields
    }
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

    fn flush(&self, arena: &mut Arena) {
        flush(&self.mio, &self.state, self.six, arena, "sightline_rtsp_datagrams_dropped_total");
    }
}

/// Sockets for RTP and RTCP, and the port of the first.
fn bind_pair(address: SocketAddr) -> io::Result<(Socket, Socket, u16)> {
    let rtp = Socket::bind(address)?;
    let first = rtp.mio.local_addr()?;
    let next = first.port().checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
    let rtcp = Socket::bind(SocketAddr::new(first.ip(), next))?;
    Ok((rtp, rtcp, first.port()))
}

fn side(rtcp: bool) -> usize {
    usize::from(rtcp)
}

impl Udp {
    /// Binds RTP to `address` and RTCP to the next port, each in a poller of its own; gives both
    /// ports.
    pub(super) fn bind(
        address: SocketAddr,
        [media, feedback]: [&Registry; 2],
        [rtp_token, rtcp_token]: [Token; 2],
    ) -> io::Result<(Self, (u16, u16))> {
        let mut pair = bind_pair(address);
        // Where the system chooses the first port, the next one may be taken.
        for _ in 1..if address.port() == 0 { PAIRS } else { 1 } {
            pair = pair.or_else(|_| bind_pair(address));
        }
        let (mut rtp, mut rtcp, first) = pair?;
        media.register(&mut rtp.mio, rtp_token, Interest::READABLE)?;
        feedback.register(&mut rtcp.mio, rtcp_token, Interest::READABLE)?;
        let udp = Self {
            rtp,
            rtcp,
            routes: Default::default(),
            buffer: vec![0; SLOTS * SLOT_BYTES],
            media: Arena::with_capacity(2 * FLUSH_BYTES),
            last: None,
        };
        Ok((udp, (first, first + 1)))
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

    /// Puts a frame, or a chunk of one, into the arena of media, for one viewer. Viewers with the
    /// same headers share the bytes of the one before.
    pub(super) fn push_frame(&mut self, to: SocketAddr, fields: TrackFields, delivery: &Delivery) {
        match &self.last {
            Some(last) if last.is_for(fields, delivery) => {
                self.media.repeat(last.runs.clone(), to);
            }
            _ => {
                let first = self.media.begin_group();
                for (index, payload) in delivery.payloads() {
                    let header = fields.header(delivery, index);
                    self.media.push_with(to, |out| {
                        out.extend_from_slice(&header);
                        out.extend_from_slice(payload);
                        true
                    });
                }
                let runs = first..self.media.run_count();
                self.last = Some(Pushed { delivery: delivery.clone(), fields, runs });
            }
        }
        if self.media.len() >= FLUSH_BYTES || self.media.run_count() >= FLUSH_RUNS {
            self.flush_media();
        }
    }

    /// Whether no media waits.
    pub(super) fn is_flushed(&self) -> bool {
        self.media.is_empty()
    }

    /// Sends the media that waits.
    pub(super) fn flush_media(&mut self) {
        self.last = None;
        self.rtp.flush(&mut self.media);
    }

    /// Sends RTCP and clears the arena.
    pub(super) fn send_rtcp(&self, arena: &mut Arena) {
        self.rtcp.flush(arena);
    }

    /// Reads one socket. Datagrams from addresses that no SETUP named are dropped here.
    /// `true` if there may be more.
    pub(super) fn receive(&mut self, rtcp: bool, mut each: impl FnMut(Route, Bytes)) -> bool {
        let socket = if rtcp { &self.rtcp } else { &self.rtp };
        let routes = &self.routes[side(rtcp)];
        for _ in 0..RECEIVES {
            let mut metas = [RecvMeta::default(); SLOTS];
            let mut slots: [IoSliceMut<'_>; SLOTS] = {
                let mut chunks = self.buffer.chunks_mut(SLOT_BYTES);
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()))
            };
            let filled = match socket.state.recv((&socket.mio).into(), &mut slots, &mut metas) {
                Ok(filled) => filled,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Such as an ICMP error of an earlier datagram.
                Err(_) => continue,
            };
            for (meta, slot) in metas.iter().zip(&slots).take(filled) {
                let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
                let Some(route) = routes.get(&from) else { continue };
                let Some(bytes) = slot.get(..meta.len) else { continue };
                // What came as one is stored as one: a frame, as a rule, and always of one source.
                let mut stored = Bytes::copy_from_slice(bytes);
                while !stored.is_empty() {
                    each(*route, stored.split_to(meta.stride.clamp(1, stored.len())));
                }
            }
            // The socket is dry. What comes from now on rings again.
            if filled < SLOTS {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtsp::tests::delivery;

    #[test]
    fn viewers_with_the_same_headers_share_one_copy_and_others_do_not() {
        let poll = mio::Poll::new().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = Udp::bind(any, [poll.registry(); 2], [Token(1), Token(2)]);
        let (mut udp, _) = bound.expect("a free pair of ports");
        let viewers: Vec<_> =
            (0..4).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let fields = TrackFields { payload_type: 96, ssrc: 5 };
        let first = delivery(100, 9, vec![Bytes::from_static(&[7; 1000]); 3]);
        let renumbered = Delivery { seq: 200, ..first.clone() };
        for (viewer, delivery) in viewers.iter().zip([&first, &first, &first, &renumbered]) {
            udp.push_frame(viewer.local_addr().unwrap(), fields, delivery);
        }
        assert_eq!((udp.media.run_count(), udp.media.len()), (4, 2 * 3 * 1012));
        udp.flush_media();
        assert!(udp.media.is_empty() && udp.last.is_none());
        for (viewer, seq) in viewers.iter().zip([100, 100, 100, 200]) {
            for at in 0..3 {
                let mut packet = [0; 1500];
                let len = viewer.recv(&mut packet).unwrap();
                let header = sightline_relay_proto::wire::rtp::parse(&packet[..len]).unwrap();
                assert_eq!((len, header.seq, header.marker), (1012, seq + at, at == 2));
            }
        }
        let chunks =
            [Delivery { packets: 0..2, ..first.clone() }, Delivery { packets: 2..3, ..first }];
        for delivery in &chunks {
            for viewer in &viewers[..2] {
                udp.push_frame(viewer.local_addr().unwrap(), fields, delivery);
            }
        }
        assert_eq!((udp.media.run_count(), udp.media.len()), (4, 3 * 1012), "each chunk once");
    }
}
