//! Viewers of `rtsp_tcp` that read and throw away: `tcp_drain --connect ADDRESS --count N`. Ends
//! when the server has closed every connection, and prints how many bytes came.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

const USAGE: &str = "flags: --connect ADDRESS --count N";
/// Most bytes thrown away by one call; the kernel drops them without a copy.
const PIECE: usize = 256 * 1024;
/// Connections handled a wake.
const EVENTS: usize = 256;
/// How long the server may take to listen.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Time from try to try.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let deadline = Instant::now() + CONNECT_LIMIT;
    loop {
        match TcpStream::connect(to) {
            Err(_) if Instant::now() < deadline => thread::sleep(CONNECT_PAUSE),
            connected => return connected,
        }
    }
}

/// Throws away what is there; `None` when the connection has ended.
fn discard(viewer: &TcpStream, space: &mut [u8]) -> Option<u64> {
    match recv(viewer, space, RecvFlags::TRUNC) {
        Ok((_, 0)) => None,
        Ok((_, count)) => Some(count as u64),
        Err(Errno::AGAIN | Errno::INTR) => Some(0),
        Err(_) => None,
    }
}

fn drain(to: SocketAddr, count: u64) -> io::Result<u64> {
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    let mut viewers = HashMap::new();
    for number in 0..count {
        let viewer = connect(to)?;
        viewer.set_nonblocking(true)?;
        epoll::add(&poller, &viewer, EventData::new_u64(number), EventFlags::IN)?;
        viewers.insert(number, viewer);
    }
    let mut space = vec![0; PIECE];
    let mut events = Vec::with_capacity(EVENTS);
    let mut bytes = 0;
    while !viewers.is_empty() {
        match epoll::wait(&poller, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let number = event.data.u64();
            let Some(viewer) = viewers.get(&number) else { continue };
            match discard(viewer, &mut space) {
                Some(count) => bytes += count,
                // Closing the connection takes it out of the poller.
                None => drop(viewers.remove(&number)),
            }
        }
    }
    Ok(bytes)
}

fn parse(words: &[String]) -> Option<(SocketAddr, u64)> {
    match words {
        [connect, to, count, number] if connect == "--connect" && count == "--count" => {
            Some((to.parse().ok()?, number.parse().ok()?))
        }
        _ => None,
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = parse(&words).ok_or_else(|| USAGE.to_owned()).and_then(|(to, count)| {
        drain(to, count).map_err(|error| format!("cannot read from {to}: {error}"))
    });
    match result {
        Ok(bytes) => {
            println!("{{\"bytes\":{bytes}}}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
