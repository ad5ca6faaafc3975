//! Several messages by one system call: `sendmmsg` with UDP_SEGMENT. The only unsafe code of this
//! crate. All that it hands to the kernel is borrowed by the caller or lives on its stack.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use smallvec::SmallVec;

use super::{BATCH, Message, mapped, segment_of};

/// A control message with a `u16`, laid out as the kernel reads it.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    segment: u16,
    padding: [u8; 6],
}

/// An address as the kernel reads it.
#[repr(C)]
union Address {
    four: libc::sockaddr_in,
    six: libc::sockaddr_in6,
}

/// Sends messages in order, each cut by the kernel into the datagrams of its run. How many went
/// out; an error means that not even the first did.
#[allow(unsafe_code)]
pub(super) fn send(socket: &UdpSocket, six: bool, messages: &[Message<'_>]) -> io::Result<usize> {
    let messages = &messages[..messages.len().min(BATCH)];
    let slices: SmallVec<[IoSlice<'_>; BATCH]> =
        messages.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
    let addresses: SmallVec<[(Address, libc::socklen_t); BATCH]> =
        messages.iter().map(|(run, _)| address(mapped(run.destination, six))).collect();
    let mut controls: SmallVec<[Control; BATCH]> =
        messages.iter().map(|message| control(segment_of(*message).unwrap_or_default())).collect();
    let mut headers: SmallVec<[libc::mmsghdr; BATCH]> = SmallVec::new();
    for ((slice, (address, len)), control) in slices.iter().zip(&addresses).zip(&mut controls) {
        // SAFETY: `mmsghdr` is a plain C struct, for which all zeros (null pointers of length 0)
        // are a value.
        let mut entry: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let header = &mut entry.msg_hdr;
        header.msg_name = std::ptr::from_ref(address).cast_mut().cast();
        header.msg_namelen = *len;
        // `IoSlice` has the layout of `iovec`, as its documentation promises.
        header.msg_iov = std::ptr::from_ref(slice).cast_mut().cast();
        header.msg_iovlen = 1;
        if control.segment > 0 {
            header.msg_control = std::ptr::from_mut(control).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
        headers.push(entry);
    }
    // SAFETY: `headers` has as many entries as is said, and what they point to (`addresses`,
    // `controls`, `slices` with the bytes behind them) lives until the call returns and was not
    // moved since. Sending reads all of it and writes only the lengths in `headers`.
    let sent =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as _, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// What tells the kernel to cut a message into datagrams of `segment` bytes. Runs are shorter than
/// 64 KiB, and so are their segments.
#[allow(unsafe_code)]
fn control(segment: usize) -> Control {
    // SAFETY: `cmsghdr` is a plain C struct, for which all zeros are a value.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    header.cmsg_level = libc::SOL_UDP;
    header.cmsg_type = libc::UDP_SEGMENT;
    header.cmsg_len = std::mem::offset_of!(Control, padding) as _;
    Control { header, segment: segment as u16, padding: [0; 6] }
}

fn address(address: SocketAddr) -> (Address, libc::socklen_t) {
    match address {
        SocketAddr::V4(to) => {
            let four = libc::sockaddr_in {
                sin_family: libc::AF_INET as _,
                sin_port: to.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*to.ip()).to_be() },
                sin_zero: [0; 8],
            };
            (Address { four }, size_of::<libc::sockaddr_in>() as _)
        }
        SocketAddr::V6(to) => {
            let six = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as _,
                sin6_port: to.port().to_be(),
                sin6_flowinfo: to.flowinfo().to_be(),
                sin6_addr: libc::in6_addr { s6_addr: to.ip().octets() },
                sin6_scope_id: to.scope_id(),
            };
            (Address { six }, size_of::<libc::sockaddr_in6>() as _)
        }
    }
}
