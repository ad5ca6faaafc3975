//! The cheapest way to many UDP viewers: one message a viewer that the kernel or the device cuts
//! into packets, many messages a system call.

use std::io::{self, IoSlice};
use std::net::{SocketAddrV4, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg, sendto};

use crate::flags::Flags;

/// Viewers a system call. With 14 packets of 1216 bytes each this is 545 KB, inside a second
/// level cache.
pub const BATCH: usize = 32;

/// A socket that sends to viewers.
pub struct Sender {
    socket: UdpSocket,
    viewers: Vec<SocketAddrAny>,
}

impl Sender {
    /// Opens the socket; `segment` is the size in bytes of the packets that a message is cut into.
    pub fn open(flags: &Flags, segment: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind((flags.from, 0))?;
        if !flags.per_packet {
            setsockopt(&socket, UdpGsoSegment, &i32::try_from(segment).unwrap_or(i32::MAX))?;
        }
        let address = |port| SocketAddrV4::new(flags.to, port).as_any();
        let ports = flags.ports.clone().flat_map(|port| std::iter::repeat_n(port, flags.share));
        let viewers = ports.map(address).collect();
        Ok(Self { socket, viewers })
    }

    /// Number of viewers.
    pub fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// Sends one message each to the viewers from number `first` on, at most [`BATCH`].
    pub fn send_each<'a>(
        &self,
        first: usize,
        messages: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let slices: Vec<[IoSlice<'_>; 1]> = messages.map(|bytes| [IoSlice::new(bytes)]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = Vec::with_capacity(slices.len());
        controls.resize_with(slices.len(), SendAncillaryBuffer::default);
        let parts = self.viewers[first..].iter().zip(&slices).zip(&mut controls);
        let mut headers: Vec<MMsgHdr<'_>> = parts
            .map(|((to, slice), control)| MMsgHdr::new_with_addr(to, slice, control))
            .collect();
        let mut sent = 0;
        while sent < headers.len() {
            match sendmmsg(&self.socket, &mut headers[sent..], SendFlags::empty()) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends one packet by a system call of its own.
    pub fn send_one(&self, viewer: usize, packet: &[u8]) -> io::Result<()> {
        sendto(&self.socket, packet, SendFlags::empty(), &self.viewers[viewer])?;
        Ok(())
    }
}
