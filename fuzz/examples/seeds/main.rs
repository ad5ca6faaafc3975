//! Writes the seeds of every target anew, but for the MP4 files, which FFmpeg made:
//! `cargo run --example seeds` in this folder.

mod sealed;
mod transports;

use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bytes::Bytes;
use sightline_fuzz::{GRANT_SEED, NOW, REQUEST};
use sightline_grant::{
    Action, Epochs, Grant, GrantId, GrantSigner, PublicKey, Role, Thumbprint, dpop,
};
use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::hub::SenderInfo;
use sightline_relay_proto::wire::packetize::packetize;
use sightline_relay_proto::wire::{aac, remb, rtcp, rtp, twcc};

fn main() -> io::Result<()> {
    headers()?;
    control()?;
    for (name, codec) in
        [("h264", Codec::H264), ("h265", Codec::H265), ("av1", Codec::Av1), ("aac", Codec::Aac)]
    {
        media(name, codec)?;
    }
    save("grant", "signed", signed_grant().as_bytes())?;
    save("dpop", "ed25519", proof().as_bytes())?;
    vectors()?;
    transports::save_all()?;
    sealed::save_all()?;
    operations()
}

fn save(target: &str, name: &str, data: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), data)
}

fn headers() -> io::Result<()> {
    let plain = [&rtp::header(96, true, 65_535, u32::MAX, 7)[..], &[0x65, 0x88]].concat();
    save("rtp", "plain", &plain)?;
    let mut extended = rtp::header(111, false, 1, 2, 3).to_vec();
    extended[0] |= 0x32;
    extended.extend([0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 1, 0x10, 9, 0, 0, 5, 6, 0, 2]);
    save("rtp", "csrc-extension-padding", &extended)
}

fn control() -> io::Result<()> {
    let mut compound = Vec::new();
    let info = SenderInfo { ntp: 0xe800_0000_8000_0000, rtp: 90_000 };
    rtcp::write_sender_report(&mut compound, 1, info, 2, 3, "sightline");
    rtcp::write_nack(&mut compound, 1, 2, &[65_534, 65_535, 0, 14, 40]);
    rtcp::write_pli(&mut compound, 1, 2);
    rtcp::write_fir(&mut compound, 1, 2, 3);
    rtcp::write_bye(&mut compound, 1);
    save("rtcp", "compound", &compound)?;
    let mut report = Vec::new();
    let block = rtcp::ReceptionReport { ssrc: 9, lost: 5, ..Default::default() };
    rtcp::write_receiver_report(&mut report, 1, Some(block), "viewer");
    save("rtcp", "receiver-report", &report)?;
    let mut estimate = Vec::new();
    remb::write(&mut estimate, 1, 4_000_000, &[2, 3]);
    save("rtcp", "estimate", &estimate)?;
    let mut feedback = Vec::new();
    let arrived: Vec<bool> = (0..40).map(|at| at % 3 != 1).collect();
    twcc::write(&mut feedback, 1, 65_530, &arrived);
    save("rtcp", "transport-feedback", &feedback)
}

/// A small and a cut access unit of each video codec, and an AAC unit.
fn unit(codec: Codec, len: usize) -> Vec<u8> {
    let filler = (0..len).map(|index| (index % 251) as u8 + 1);
    let head: &[u8] = match codec {
        Codec::H264 => &[
            0, 0, 0, 1, 0x67, 0x42, 0xc0, 30, 0x95, 0xa0, 0x50, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0,
            0, 0, 1, 0x65, 0x88,
        ],
        Codec::H265 => &[
            0, 0, 0, 1, 0x40, 1, 0x0c, 1, 0, 0, 1, 0x42, 1, 1, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
            0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0xa0, 0x80, 0, 0, 1, 0x44, 1, 0xc1, 0x72, 0, 0, 1,
            0x26, 1, 0x88,
        ],
        // Temporal delimiter, sequence header, and a frame without size field.
        Codec::Av1 => &[0x12, 0, 0x0a, 3, 1, 2, 3, 0x30],
        _ => &[0x21],
    };
    head.iter().copied().chain(filler).collect()
}

fn media(name: &str, codec: Codec) -> io::Result<()> {
    for (size, len) in [("small", 20), ("cut", 2500)] {
        let unit = Bytes::from(unit(codec, len));
        save(name, &format!("{size}-unit"), &unit)?;
        for (index, payload) in packetize(codec, &unit).iter().enumerate() {
            save(name, &format!("{size}-payload-{index}"), payload)?;
        }
    }
    if codec == Codec::Aac {
        let adts = aac::to_adts(&[0x21, 1, 2, 3], 48_000, 2).expect("a legal rate");
        save(name, "adts", &adts)?;
        save(name, "two-units", &[0, 32, 0, 16, 0, 8, 1, 2, 3])?;
    }
    Ok(())
}

fn signed_grant() -> String {
    let signer = GrantSigner::from_seed(&GRANT_SEED).expect("a seed of 32 bytes");
    signer.sign(&Grant {
        id: GrantId(1),
        subject: "account".into(),
        session: "session".into(),
        terminal: Thumbprint([3; 32]),
        serial: "SL-0001".into(),
        channel: 0,
        actions: vec![Action::Live],
        role: Role::Owner,
        epochs: Epochs { binding: 1, key: 1, share: 0, consent: 1, session: 1, proof: 0 },
        consent_seq: 1,
        issued_at: NOW,
        expires_at: NOW + 30,
    })
}

fn proof() -> String {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a seed of 32 bytes");
    let public = pair.public_key().as_ref().try_into().expect("a key of 32 bytes");
    let sign = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    let key = PublicKey::Ed25519(public);
    dpop::create(&key, REQUEST, "https://localhost:8443", NOW, "id-1", sign)
}

/// The vectors of sealed video.
fn vectors() -> io::Result<()> {
    let text = include_str!("../../../relay/client/tests/vectors/sightline.json");
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("\"{name}\": \"")).expect("a field");
        let (hex, _) = rest.split_once('"').expect("a text");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>()
    };
    save("generation", "two-recipients", &field("blob"))?;
    save("viewer_list", "two-terminals", &field("signed"))?;
    save("viewer_list", "order", &field("signed_order"))?;
    save("viewer_list", "reply", &field("reply"))?;
    save("viewer_list", "reveal", &field("reveal"))?;
    save("sframe", "header", &field("header"))?;
    save("sframe", "frame", &field("sealed"))
}

/// One run per codec and kind of transport: a frame, a gap, a wait, a reset, a new source, a
/// resume.
fn operations() -> io::Result<()> {
    let codecs =
        [Codec::H264, Codec::H265, Codec::Av1, Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::Aac];
    for (number, codec) in codecs.into_iter().enumerate() {
        let payloads = packetize(codec, &unit(codec, 100).into());
        for unordered in [0, 0x80] {
            let mut run = vec![number as u8 | unordered];
            let mut step = |kind: u8, body: &[u8]| {
                run.extend([kind, body.len().min(255) as u8]);
                run.extend(&body[..body.len().min(255)]);
            };
            for payload in &payloads {
                step(0x80, payload);
            }
            step(0x89, &payloads[0]);
            step(0x00, &[0, 9]);
            step(0x89, &payloads[0]);
            step(0x78, &payloads[0]);
            step(0x30, &[0, 150]);
            step(0x10, &[0x70, 0, 0, 0]);
            step(0x40, &[0xe8, 0, 0, 0, 0, 0, 0, 0]);
            step(0x89, &payloads[0]);
            step(0x20, &[5]);
            step(0x89, &payloads[0]);
            step(0x89, &payloads[0]);
            step(0x51, &[0x67, 0x42, 0xc0, 30, 0x95]);
            step(0x89, &payloads[0]);
            let kind = if unordered == 0 { "ordered" } else { "unordered" };
            save("ingest_ops", &format!("{codec:?}-{kind}").to_lowercase(), &run)?;
        }
    }
    Ok(())
}
