//! Viewers over UDP that read and throw away: `udp_drain --on IP --ports FIRST..END`. Each port is
//! a socket that takes segmented messages whole (UDP_GRO), as QUIC clients' sockets do. Prints
//! `ready` once all are open, and runs until it is ended.

use std::io::{self, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::process::ExitCode;

use nix::sys::socket::{setsockopt, sockopt::UdpGroSegment};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use sightline_floor::flags;

const USAGE: &str = "flags: --on IP --ports FIRST..END";
/// Sockets handled a wake.
const EVENTS: usize = 256;

fn open(on: Ipv4Addr, ports: Range<u16>) -> io::Result<Vec<UdpSocket>> {
    let open = |port| {
        let socket = UdpSocket::bind((on, port))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, UdpGroSegment, &true)?;
        Ok(socket)
    };
    ports.map(open).collect()
}

/// Throws away what waits on a socket; nothing is copied.
fn discard(socket: &UdpSocket) -> io::Result<()> {
    loop {
        match recv(socket, &mut [0u8; 1][..], RecvFlags::TRUNC) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn drain(on: Ipv4Addr, ports: Range<u16>) -> io::Result<()> {
    let sockets = open(on, ports)?;
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    for (number, socket) in (0..).zip(&sockets) {
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&poller, socket, EventData::new_u64(number), flags)?;
    }
    println!("ready");
    io::stdout().flush()?;
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&poller, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            discard(&sockets[event.data.u64() as usize])?;
        }
    }
}

fn parse(words: &[String]) -> Option<(Ipv4Addr, Range<u16>)> {
    match words {
        [on, address, ports, range] if on == "--on" && ports == "--ports" => {
            Some((address.parse().ok()?, flags::ports(range)?))
        }
        _ => None,
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = parse(&words).ok_or_else(|| USAGE.to_owned()).and_then(|(on, ports)| {
        drain(on, ports).map_err(|error| format!("cannot read on {on}: {error}"))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
