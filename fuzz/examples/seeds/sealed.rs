//! Seeds of sealed frames. What stands for the ciphertext is filler: nothing opens it.

use std::io;

use bytes::Bytes;
use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId, Tier, TrackIndex};
use sightline_relay_proto::wire::sealed::{
    Counter, Descriptor, Generation, Head, Header, KeyId, SerialHash, cut,
};

use super::save;

/// A frame of track 0 of `CAM-1`.
fn frame(codec: Codec, generation: Generation, keyframe: bool, filler: usize) -> Bytes {
    let serial = SerialHash::of(&DeviceId::new("CAM-1").expect("a legal serial"));
    let (channel, track) = (Channel(0), TrackIndex(0));
    let head = Head {
        descriptor: Descriptor {
            keyframe,
            discardable: false,
            discontinuity: false,
            tier: Tier::Main,
            codec,
            track,
            channel,
            capture: CaptureTime(1_800_000_000_000_000),
            serial,
        },
        header: Header { key: KeyId { generation, channel, track }, counter: Counter::FIRST },
    };
    let filler: Vec<u8> = (0..filler).map(|at| at as u8).collect();
    [&head.write()[..], &filler].concat().into()
}

/// A run of one sealed track: a frame in one packet, one in pieces, a new key whose first picture is
/// no keyframe, and its keyframe.
fn operations() -> io::Result<()> {
    let older = Generation::FIRST;
    let newer = Generation::new(older.number() + 1).expect("a legal generation");
    for (number, codec) in [(0, Codec::H264), (3, Codec::Opus)] {
        for unordered in [0, 0x80] {
            let mut run = vec![number | 0x40 | unordered];
            let mut step = |kind: u8, body: &[u8]| {
                run.extend([kind, body.len() as u8]);
                run.extend(body);
            };
            step(0x89, &piece(0xc0, &frame(codec, older, true, 40)));
            let long = frame(codec, older, false, 300);
            let pieces: Vec<&[u8]> = long.chunks(120).collect();
            step(0x88, &piece(0x80, pieces[0]));
            step(0x80, &piece(0, pieces[1]));
            step(0x81, &piece(0x40, pieces[2]));
            step(0x89, &piece(0xc0, &frame(codec, newer, false, 40)));
            step(0x89, &piece(0xc0, &frame(codec, newer, true, 40)));
            step(0x50, &[]);
            step(0x20, &[5]);
            step(0x89, &piece(0xc0, &frame(codec, older, true, 40)));
            step(0x89, &piece(0xc0, &frame(codec, newer, false, 40)));
            let kind = if unordered == 0 { "ordered" } else { "unordered" };
            save("ingest_ops", &format!("sealed-{codec:?}-{kind}").to_lowercase(), &run)?;
        }
    }
    Ok(())
}

fn piece(bits: u8, body: &[u8]) -> Vec<u8> {
    [&[bits], body].concat()
}

pub(super) fn save_all() -> io::Result<()> {
    for (name, len) in [("small", 17), ("cut", 2500)] {
        let frame = frame(Codec::H264, Generation::FIRST, true, len);
        save("sealed", &format!("{name}-frame"), &frame)?;
        let mut payloads = Vec::new();
        for payload in cut(&frame).expect("a sealed frame") {
            payloads.extend((payload.len() as u16).to_be_bytes());
            payloads.extend(payload);
        }
        save("sealed", &format!("{name}-payloads"), &payloads)?;
    }
    operations()
}
