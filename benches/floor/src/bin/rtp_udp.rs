//! Plain RTP over UDP: the frame's packets are the same bytes for every viewer, so one buffer
//! serves all, one segmented message a viewer and frame. With `--per-packet`: each packet sent by
//! itself.

use std::io;
use std::process::ExitCode;

use sightline_floor::flags::Flags;
use sightline_floor::meter::Meter;
use sightline_floor::rtp::{HEADER, Header, shared_payload};
use sightline_floor::udp::{BATCH, Sender};

/// The source of the stream.
const SSRC: u32 = 1;

/// Writes the frame's headers before its payloads, which do not move.
fn write_headers(frame: u64, buffer: &mut [u8], packet: usize) {
    let count = (buffer.len() / packet) as u64;
    for (number, packet) in (0..).zip(buffer.chunks_exact_mut(packet)) {
        let index = frame * count + number;
        let header = Header { index, frame, ssrc: SSRC, marker: number + 1 == count };
        packet[..HEADER].copy_from_slice(&header.bytes());
    }
}

fn run(flags: &Flags) -> io::Result<String> {
    let packet = HEADER + flags.payload;
    let sender = Sender::open(flags, packet)?;
    let mut buffer = shared_payload(flags.packets, packet);
    let mut meter = Meter::start(flags);
    let mut sent = 0;
    while let Some(frame) = meter.next_frame() {
        write_headers(frame, &mut buffer, packet);
        if flags.per_packet {
            for viewer in 0..sender.viewers() {
                for packet in buffer.chunks_exact(packet) {
                    sender.send_one(viewer, packet)?;
                }
            }
        } else {
            for first in (0..sender.viewers()).step_by(BATCH) {
                let count = BATCH.min(sender.viewers() - first);
                sender.send_each(first, std::iter::repeat_n(&buffer[..], count))?;
            }
        }
        sent += sender.viewers() * flags.packets;
    }
    Ok(meter.finish(sent as u64, 0))
}

fn main() -> ExitCode {
    sightline_floor::main(run)
}
