//! Audio frames.

use super::*;
use crate::wire::aac::{self, AacPayload};

fn frames(codec: Codec, channels: u8, packets: &[&[u8]]) -> (Vec<Frame>, u64) {
    let info = TrackInfo::audio(codec, 48_000, channels);
    let mut ingest = TrackIngest::new(TrackIndex(2), info, true, 0, 0);
    let mut sender = Sender::new();
    let packets: Vec<_> = packets.iter().map(|payload| sender.packet(payload, true)).collect();
    let frames = feed(&mut ingest, start(), &packets);
    frames.iter().for_each(check_canonical);
    (frames, ingest.frames_lost())
}

fn aac_units(payloads: &[Bytes]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut partial = Vec::new();
    for payload in payloads {
        match aac::parse(payload).expect("canonical") {
            AacPayload::Units(units) => out.extend(units.iter().map(|unit| unit.to_vec())),
            AacPayload::Fragment { size, body } => {
                partial.extend_from_slice(&body);
                if partial.len() == size {
                    out.push(mem::take(&mut partial));
                }
            }
        }
    }
    assert!(partial.is_empty());
    out
}

#[test]
fn an_audio_packet_is_a_frame_and_a_keyframe() {
    for codec in [Codec::Opus, Codec::Pcmu, Codec::Pcma] {
        for len in [1, 160, 1188] {
            let payload = Random(3).filler(len);
            let (frames, lost) = frames(codec, 1, &[&payload]);
            assert_eq!((frames.len(), lost), (1, 0));
            assert_eq!(*frames[0].payloads, [Bytes::from(payload)]);
            assert!(frames[0].descriptor.keyframe && !frames[0].descriptor.discardable);
        }
    }
}

#[test]
fn an_opus_packet_too_long_for_a_payload_is_dropped_and_counted() {
    let (found, lost) = frames(Codec::Opus, 2, &[&[1; 1189], &[2; 100]]);
    assert_eq!((found.len(), lost), (1, 1));
    assert!(found[0].descriptor.discontinuity);
}

#[test]
fn long_g711_packets_are_cut_at_whole_samples_and_timed() {
    for (channels, len) in [(1, 1189), (2, 4001 * 2), (1, cut::audio::MAX_G711)] {
        let samples = Random(4).filler(len);
        let (found, _) = frames(Codec::Pcma, channels, &[&samples]);
        let joined: Vec<u8> = found.iter().flat_map(|f| f.payloads[0].to_vec()).collect();
        assert_eq!(joined, samples);
        let mut time = 0;
        for frame in &found {
            assert_eq!(frame.descriptor.media_time.0, time);
            assert!(frame.bytes().is_multiple_of(usize::from(channels)));
            time += (frame.bytes() / usize::from(channels)) as u64;
        }
    }
    let (found, lost) = frames(Codec::Pcma, 1, &[&vec![1; cut::audio::MAX_G711 + 1]]);
    assert_eq!((found.len(), lost), (0, 1));
}

#[test]
fn aac_units_survive_packetizing_and_ingest() {
    for len in [1, 300, 1184, 1185, 1186, 5000, aac::MAX_ACCESS_UNIT] {
        let unit = Bytes::from(Random(len as u64).filler(len));
        let payloads = packetize(Codec::Aac, &unit);
        let parts: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
        let (found, lost) = frames(Codec::Aac, 2, &parts);
        assert_eq!((found.len(), lost), (1, 0), "{len}");
        assert_eq!(aac_units(&found[0].payloads), [unit]);
    }
    let long = Bytes::from(vec![1; aac::MAX_ACCESS_UNIT + 1]);
    assert!(packetize(Codec::Aac, &long).is_empty());
}

#[test]
fn a_large_aac_packet_of_several_units_becomes_a_frame_each() {
    let units = [Random(1).filler(700), Random(2).filler(1800), Random(3).filler(10)];
    let mut packet = vec![0, 48];
    for unit in &units {
        packet.extend(((unit.len() as u16) << 3).to_be_bytes());
    }
    units.iter().for_each(|unit| packet.extend(unit));
    let (found, _) = frames(Codec::Aac, 2, &[&packet]);
    let times: Vec<_> = found.iter().map(|frame| frame.descriptor.media_time.0).collect();
    assert_eq!(times, [0, 1024, 2048]);
    for (frame, unit) in found.iter().zip(&units) {
        assert_eq!(aac_units(&frame.payloads), std::slice::from_ref(unit));
    }
}

#[test]
fn a_small_aac_packet_of_several_units_stays_as_it_is() {
    let packet = [0, 32, 0, 16, 0, 8, 1, 2, 3];
    let (found, _) = frames(Codec::Aac, 2, &[&packet]);
    assert_eq!(*found[0].payloads, [Bytes::copy_from_slice(&packet)]);
}

#[test]
fn an_aac_packet_of_too_many_units_is_dropped() {
    for (units, kept) in [(cut::audio::MAX_AAC_UNITS, 1), (cut::audio::MAX_AAC_UNITS + 1, 0)] {
        let mut packet = ((units * 16) as u16).to_be_bytes().to_vec();
        (0..units).for_each(|_| packet.extend([0, 8]));
        packet.resize(packet.len() + units, 1);
        let (found, lost) = frames(Codec::Aac, 2, &[&packet]);
        assert_eq!((found.len(), lost), (kept, 1 - kept as u64));
    }
}

#[test]
fn adts_headers_are_taken_off_wherever_they_are() {
    let unit = Random(5).filler(200);
    let adts = aac::to_adts(&unit, 48_000, 2).expect("a legal rate");
    let size = (adts.len() as u16) << 3;
    let behind_headers = [&[0, 16][..], &size.to_be_bytes(), &adts].concat();
    for packet in [adts.to_vec(), behind_headers] {
        let (found, _) = frames(Codec::Aac, 2, &[&packet]);
        assert_eq!(aac_units(&found[0].payloads), std::slice::from_ref(&unit));
    }
    assert_eq!(aac_units(&packetize(Codec::Aac, &adts)), [unit]);
}

#[test]
fn a_fragmented_aac_unit_with_a_lost_part_is_dropped() {
    let unit = Bytes::from(Random(6).filler(4000));
    let payloads = packetize(Codec::Aac, &unit);
    let mut sender = Sender::new();
    let mut packets = sender.packets(&payloads);
    sender.step(1024);
    packets.extend(sender.packets(&packetize(Codec::Aac, &Bytes::from_static(&[1, 2, 3]))));
    packets.remove(1);
    let mut ingest = ingest(Codec::Aac, false);
    let found = feed(&mut ingest, start(), &packets);
    assert_eq!(found.len(), 1);
    assert!(found[0].descriptor.discontinuity && ingest.frames_lost() > 0);
}
