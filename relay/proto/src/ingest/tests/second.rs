//! The formats against a second implementation of them.

use ::rtp::codec::av1::{Av1Depacketizer, Av1Payloader};
use ::rtp::codec::h264::{H264Packet, H264Payloader};
use ::rtp::codec::h265::HevcPayloader;
use ::rtp::packetizer::{Depacketizer, Payloader};

use super::*;
use crate::wire::annexb as codes;

fn units(random: &mut Random, header: &[u8]) -> Vec<Vec<u8>> {
    (0..1 + random.below(4)).map(|n| slice(header, 3 + random.below(6000), n as u64)).collect()
}

fn ingest_all(codec: Codec, payloads: &[Bytes]) -> Frame {
    let mut ingest = ingest(codec, true);
    let mut frames = feed(&mut ingest, start(), &Sender::new().packets(payloads));
    assert_eq!(frames.len(), 1);
    check_canonical(&frames[0]);
    frames.remove(0)
}

#[test]
fn h264_of_the_other_implementation_is_understood_and_ours_by_it() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let mut nals_in = vec![h264_sps(30), h264_pps()];
        nals_in.extend(units(&mut random, &[0x65]));
        for mtu in [200, 1188, 1500, 9000] {
            let theirs =
                H264Payloader::default().payload(mtu, &annexb(&nals_in)).expect("payloads");
            let frame = ingest_all(Codec::H264, &theirs);
            assert_eq!(nals(NalFormat::H264, &frame.payloads), nals_in, "seed {seed} mtu {mtu}");
            let mut reader = H264Packet::default();
            let mut stream = Vec::new();
            for payload in &frame.payloads {
                stream.extend_from_slice(&reader.depacketize(payload).expect("understood"));
            }
            let found: Vec<_> = codes::units(&stream).map(<[u8]>::to_vec).collect();
            assert_eq!(found, nals_in);
        }
    }
}

#[test]
fn h265_of_the_other_implementation_is_understood() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let nals_in = units(&mut random, &[0x26, 1]);
        for mtu in [1188, 1500, 9000] {
            let theirs = HevcPayloader.payload(mtu, &annexb(&nals_in)).expect("payloads");
            let frame = ingest_all(Codec::H265, &theirs);
            assert_eq!(nals(NalFormat::H265, &frame.payloads), nals_in, "seed {seed} mtu {mtu}");
        }
    }
}

#[test]
fn av1_of_the_other_implementation_is_understood_and_ours_by_it() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let mut stream = bytes::BytesMut::new();
        for kind in [1, 5, 6, 6].into_iter().take(2 + random.below(3)).chain([6]) {
            let len = 1 + random.below(4000);
            stream.extend_from_slice(&[kind << 3 | 2]);
            crate::wire::av1::put_leb128(len, &mut stream);
            stream.extend_from_slice(&random.filler(len));
        }
        let stream = stream.freeze();
        for mtu in [300, 1188, 9000] {
            let theirs = Av1Payloader::default().payload(mtu, &stream).expect("payloads");
            let frame = ingest_all(Codec::Av1, &theirs);
            for payloads in [frame.payloads.to_vec(), packetize(Codec::Av1, &stream)] {
                let mut reader = Av1Depacketizer::new();
                let mut found = Vec::new();
                for payload in &payloads {
                    found.extend_from_slice(&reader.depacketize(payload).expect("understood"));
                }
                assert_eq!(found, stream, "seed {seed} mtu {mtu}");
            }
        }
    }
}
