//! Several messages by one system call: `sendmmsg` with UDP_SEGMENT. The only unsafe code of this
//! crate. All that it hands to the kernel is borrowed by the caller or lives on its stack.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use smallvec::SmallVec;
use socket2::SockAddr;

use super::{BATCH, Message, mapped};

/// A control message with a `u16`, laid out as the kernel reads it.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    segment: u16,
    padding: [u8; 6],
}

/// Sends messages in order, each cut by the kernel into datagrams of `segment` bytes, if given.
/// How many went out; an error means that not even the first did.
#[allow(unsafe_code)]
pub(super) fn send(
    socket: &UdpSocket,
    segment: Option<usize>,
    six: bool,
    messages: &[Message<'_>],
) -> io::Result<usize> {
    let messages = &messages[..messages.len().min(BATCH)];
    let slices: SmallVec<[IoSlice<'_>; BATCH]> =
        messages.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
    let addresses: SmallVec<[SockAddr; BATCH]> =
        messages.iter().map(|(run, _)| mapped(run.destination, six).into()).collect();
    let segment = segment.map(u16::try_from).transpose().map_err(io::Error::other)?;
    // SAFETY: `cmsghdr` is a plain C struct, for which all zeros are a value.
    let header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    // One control message serves all: the kernel only reads it.
    let mut control = Control { header, segment: segment.unwrap_or_default(), padding: [0; 6] };
    control.header.cmsg_level = libc::SOL_UDP;
    control.header.cmsg_type = libc::UDP_SEGMENT;
    control.header.cmsg_len = std::mem::offset_of!(Control, padding) as _;
    let mut headers: SmallVec<[libc::mmsghdr; BATCH]> = SmallVec::new();
    for (slice, address) in slices.iter().zip(&addresses) {
        // SAFETY: `mmsghdr` is a plain C struct, for which all zeros (null pointers of length 0)
        // are a value.
        let mut entry: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let header = &mut entry.msg_hdr;
        header.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_namelen = address.len();
        // `IoSlice` has the layout of `iovec`, as its documentation promises.
        header.msg_iov = std::ptr::from_ref(slice).cast_mut().cast();
        header.msg_iovlen = 1;
        if segment.is_some() {
            header.msg_control = (&raw mut control).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
        headers.push(entry);
    }
    // SAFETY: `headers` has as many entries as is said, and what they point to (`addresses`,
    // `slices` with the bytes behind them, `control`) lives until the call returns. Sending reads
    // all of it and writes only the lengths in `headers`.
    let sent =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as _, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
