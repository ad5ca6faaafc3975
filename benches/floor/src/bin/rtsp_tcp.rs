//! RTP interleaved in RTSP's TCP connection (RFC 2326 section 10.12): the frame's packets with
//! their four bytes each are the same for every viewer, so one buffer serves all, one write a
//! viewer and frame. With `--per-packet`: one write a packet.
//!
//! Waits for its viewers (`tcp_drain`), then runs. A full socket is waited for, which `stalls`
//! counts; many of them mean that the receivers were measured instead of the sender.

use std::io::{self, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sightline_floor::flags::Flags;
use sightline_floor::meter::Meter;
use sightline_floor::rtp::{HEADER, Header, shared_payload};

/// Dollar, channel and length before each packet.
const INTERLEAVE: usize = 4;
/// The source of the stream.
const SSRC: u32 = 1;
/// Longest wait for a full socket; a viewer that reads nothing for so long ends the run.
const STALL_LIMIT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Writes the frame's heads before its payloads, which do not move.
fn write_heads(frame: u64, buffer: &mut [u8], packet: usize) {
    let count = (buffer.len() / packet) as u64;
    let length = (packet - INTERLEAVE) as u16;
    for (number, packet) in (0..).zip(buffer.chunks_exact_mut(packet)) {
        let index = frame * count + number;
        let header = Header { index, frame, ssrc: SSRC, marker: number + 1 == count };
        packet[..2].copy_from_slice(b"$\0");
        packet[2..INTERLEAVE].copy_from_slice(&length.to_be_bytes());
        packet[INTERLEAVE..][..HEADER].copy_from_slice(&header.bytes());
    }
}

/// Writes everything; how often it had to wait.
fn write(mut viewer: &TcpStream, mut bytes: &[u8]) -> io::Result<u64> {
    let mut stalls = 0;
    while !bytes.is_empty() {
        match viewer.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stalls += 1;
                if poll(&mut [PollFd::new(viewer, PollFlags::OUT)], Some(&STALL_LIMIT))? == 0 {
                    return Err(io::Error::new(ErrorKind::TimedOut, "a viewer reads nothing"));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(stalls)
}

fn accept(flags: &Flags) -> io::Result<Vec<TcpStream>> {
    let listener = TcpListener::bind(flags.listen)?;
    let mut viewers = Vec::with_capacity(flags.viewers);
    while viewers.len() < flags.viewers {
        let (viewer, _) = listener.accept()?;
        viewer.set_nodelay(true)?;
        viewer.set_nonblocking(true)?;
        viewers.push(viewer);
    }
    Ok(viewers)
}

fn run(flags: &Flags) -> io::Result<String> {
    let viewers = accept(flags)?;
    let packet = INTERLEAVE + HEADER + flags.payload;
    let mut buffer = shared_payload(flags.packets, packet);
    let piece = if flags.per_packet { packet } else { buffer.len() };
    let mut meter = Meter::start(flags);
    let (mut sent, mut stalls) = (0, 0);
    while let Some(frame) = meter.next_frame() {
        write_heads(frame, &mut buffer, packet);
        for viewer in &viewers {
            for bytes in buffer.chunks_exact(piece) {
                stalls += write(viewer, bytes)?;
            }
        }
        sent += viewers.len() * flags.packets;
    }
    Ok(meter.finish(sent as u64, stalls))
}

fn main() -> ExitCode {
    sightline_floor::main(run)
}
