//! Steps of the packet path, alone: parse, cut or join what is sealed, store and hand out, seal.
//!
//! `cargo xtask test bench`, or `cargo bench --bench datapath -- fan_out`. Figures are for comparing
//! steps and changes within one run on one machine.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::{CaptureTime, Mode};
use sightline_relay_proto::hub::{Hub, Pacing, Publication, PublisherId, Selection};
use sightline_relay_proto::ids::{Channel, DeviceId, StreamKey, Tier, TrackIndex};
use sightline_relay_proto::ingest::{SealedBy, TrackIngest};
use sightline_relay_proto::transmit::Arena;
use sightline_relay_proto::webrtc::srtp::{Plain, Profile, Sending, Srtp};
use sightline_relay_proto::wire::packetize::packetize;
use sightline_relay_proto::wire::sealed::{
    Counter, Descriptor, Generation, Head, Header, KeyId, SerialHash,
};
use sightline_relay_proto::wire::{rtp, sealed};

/// Packets of one frame of 4 Mbit/s at 30 pictures a second.
const PACKETS: usize = 14;
/// Time from picture to picture.
const PERIOD: Duration = Duration::from_nanos(33_333_333);
const TRACK: TrackIndex = TrackIndex(0);

/// RTP packets of pictures, numbered and timed as a camera would.
struct Camera {
    seq: u16,
    timestamp: u32,
    payloads: [Vec<Bytes>; 2],
}

impl Camera {
    fn new() -> Self {
        let unit = |head: u8| {
            let mut unit = vec![0, 0, 0, 1, 0x67, 66, 0xe0, 31, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
            if head != 0x65 {
                unit.clear();
            }
            unit.extend_from_slice(&[0, 0, 0, 1, head]);
            unit.resize(unit.len() + PACKETS * 1160, 0x5a);
            packetize(Codec::H264, &Bytes::from(unit))
        };
        Self { seq: 0, timestamp: 0, payloads: [unit(0x65), unit(0x41)] }
    }

    /// The same pictures, sealed but for the cipher.
    fn sealed(key: &StreamKey) -> Self {
        let generation = Generation::FIRST;
        let payloads = [true, false].map(|keyframe| {
            let descriptor = Descriptor {
                keyframe,
                discardable: false,
                discontinuity: false,
                tier: Tier::Main,
                codec: Codec::H264,
                track: TRACK,
                channel: key.channel,
                capture: CaptureTime(0),
                serial: SerialHash::of(&key.device),
            };
            let key = KeyId { generation, channel: key.channel, track: TRACK };
            let header = Header { key, counter: Counter::FIRST };
            let head = Head { descriptor, header }.write();
            let frame = [&head[..], &vec![0x5a; PACKETS * 1160]].concat();
            sealed::cut(&frame.into()).expect("a sealed frame")
        });
        Self { payloads, ..Self::new() }
    }

    fn picture(&mut self, keyframe: bool) -> Vec<Bytes> {
        let payloads = &self.payloads[usize::from(!keyframe)];
        let last = payloads.len() - 1;
        let packets = payloads.iter().enumerate().map(|(at, payload)| {
            let header = rtp::header(96, at == last, self.seq, self.timestamp, 7);
            self.seq = self.seq.wrapping_add(1);
            Bytes::from([&header[..], payload].concat())
        });
        let packets = packets.collect();
        self.timestamp = self.timestamp.wrapping_add(3000);
        packets
    }
}

fn parse(c: &mut Criterion) {
    let packet = Camera::new().picture(false).remove(0);
    c.bench_function("parse/rtp header", |b| b.iter(|| rtp::parse(black_box(&packet))));
}

fn cut(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(PACKETS as u64));
    let (key, info) = (key(), TrackInfo::video(Codec::H264));
    let open = TrackIngest::new(TRACK, info.clone(), false, 0, 0);
    let by = Some(SealedBy::of(&key));
    let sealed = TrackIngest::sealed(TRACK, info, by, false, (0, 0));
    let cases = [
        ("a picture of 14 packets", open, Camera::new()),
        ("a sealed picture of 14 packets", sealed, Camera::sealed(&key)),
    ];
    for (name, mut ingest, mut camera) in cases {
        group.bench_function(name, |b| {
            let mut now = Instant::now();
            // A key begins with a keyframe.
            for packet in camera.picture(true) {
                ingest.handle_rtp(now, packet);
            }
            assert!(ingest.poll_frame(now).is_some());
            b.iter(|| {
                now += PERIOD;
                for packet in camera.picture(false) {
                    ingest.handle_rtp(now, packet);
                }
                while let Some(frame) = ingest.poll_frame(now) {
                    black_box(frame);
                }
            });
            assert_eq!(ingest.frames_lost(), 0);
        });
    }
    group.finish();
}

fn key() -> StreamKey {
    StreamKey::up(DeviceId::new("BENCH").expect("a legal serial"), Channel(0))
}

fn publish(hub: &mut Hub, now: Instant) -> (PublisherId, StreamKey) {
    let key = key();
    let publication = Publication {
        key: key.clone(),
        tracks: vec![TrackInfo::video(Codec::H264)],
        mode: Mode::Open,
        takes_keyframe_requests: false,
        unordered: false,
    };
    (hub.publish(now, publication).expect("one track"), key)
}

/// A picture in, handed out to every viewer: the hub's work without sealing and sending.
fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan_out");
    for viewers in [1, 10, 100, 1000] {
        group.throughput(Throughput::Elements((viewers * PACKETS) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(viewers), &viewers, |b, &viewers| {
            let (mut hub, mut camera, mut now) = (Hub::new(1), Camera::new(), Instant::now());
            let (publisher, key) = publish(&mut hub, now);
            for packet in camera.picture(true) {
                hub.handle_rtp(now, publisher, TRACK, packet);
            }
            for _ in 0..viewers {
                let selection =
                    Selection { tracks: vec![TRACK], pacing: Pacing::Chunks, mode: Mode::Open };
                hub.subscribe(now, &key, selection).expect("the stream is live");
            }
            let mut number = 0u32;
            b.iter(|| {
                now += PERIOD;
                number += 1;
                for packet in camera.picture(number.is_multiple_of(60)) {
                    hub.handle_rtp(now, publisher, TRACK, packet);
                }
                hub.handle_timeout(now);
                while let Some(subscriber) = hub.poll_ready(now) {
                    while let Some(delivery) = hub.poll_delivery(now, subscriber) {
                        black_box(delivery);
                    }
                }
                while let Some(event) = hub.poll_event() {
                    black_box(event);
                }
            });
        });
    }
    group.finish();
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    group.throughput(Throughput::Elements(1));
    let profiles = [
        ("AES-128-GCM", Profile::AeadAes128Gcm),
        ("AES-256-GCM", Profile::AeadAes256Gcm),
        ("AES-CM SHA1-80", Profile::Aes128CmSha1),
    ];
    for (name, profile) in profiles {
        group.bench_function(name, |b| {
            let material = vec![7; 2 * (profile.key_len() + profile.salt_len())];
            let mut srtp = Srtp::new(profile, &material, false).expect("material that fits");
            let source = srtp.sender.add_source(7);
            let (payload, mut seq, mut place) = ([0x5a; 1188], 0u16, [0; 1500]);
            b.iter(|| {
                seq = seq.wrapping_add(1);
                let header = rtp::header(96, false, seq, 0, 7);
                let plain = Plain { header: &header, prefix: &[], payload: &payload };
                let out = &mut place[..srtp.sender.sealed_len(plain)];
                assert!(srtp.sender.seal(source, Sending::First, seq, plain, out));
                black_box(&out);
            });
        });
    }
    group.finish();
}

/// A viewer's frame into the arena; figures are per frame, elements are packets.
fn seal_frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal_frame");
    group.throughput(Throughput::Elements(PACKETS as u64));
    let cases = [
        ("AES-128-GCM", Profile::AeadAes128Gcm, true),
        ("AES-CM SHA1-80 packet by packet", Profile::Aes128CmSha1, false),
        ("AES-CM SHA1-80 together", Profile::Aes128CmSha1, true),
    ];
    for (name, profile, together) in cases {
        group.bench_function(name, |b| {
            let material = vec![7; 2 * (profile.key_len() + profile.salt_len())];
            let mut srtp = Srtp::new(profile, &material, false).expect("material that fits");
            let source = srtp.sender.add_source(7);
            let to = SocketAddr::from(([127, 0, 0, 1], 9));
            let payloads = [[0x5a; 1188]; PACKETS];
            let (mut arena, mut seq) = (Arena::with_capacity(64 * 1024), 0u16);
            b.iter(|| {
                arena.clear();
                // One packet a frame is never worth the lanes.
                for payloads in payloads.chunks(if together { PACKETS } else { 1 }) {
                    let mut frame = srtp.sender.begin_frame(source, to, &mut arena);
                    for payload in payloads {
                        seq = seq.wrapping_add(1);
                        let header = rtp::header(96, false, seq, 0, 7);
                        frame.push(seq, Plain { header: &header, prefix: &[], payload });
                    }
                }
                assert_eq!(arena.run_count(), 1);
                black_box(&arena);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parse, cut, fan_out, seal, seal_frame);
criterion_main!(benches);
