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
pub(super) fn frame(codec: Codec, generation: Generation, keyframe: bool, filler: usize) -> Bytes {
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
    Ok(())
}
