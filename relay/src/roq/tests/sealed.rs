//! Sealed cameras: what they send goes through as it is, and nothing else does.

use super::web::{ask, enter, pictures, status};
use super::*;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{DeviceId, Tier};
use sightline_relay_proto::roq::Receiver;
use sightline_relay_proto::wire::sealed::{
    self, Counter, Descriptor, Generation, Head, Header, KeyId, SerialHash,
};

/// What a sealed camera sends, but for the cipher: filler that no key opens.
struct SealedSource {
    head: Head,
    source: Source,
}

impl SealedSource {
    fn new() -> Self {
        let key = stream_key();
        let descriptor = Descriptor {
            keyframe: false,
            discardable: false,
            discontinuity: false,
            tier: Tier::Main,
            codec: Codec::H264,
            track: VIDEO,
            channel: key.channel,
            capture: CaptureTime(1_800_000_000_000_000),
            serial: SerialHash::of(&key.device),
        };
        let generation = Generation::FIRST;
        let key = KeyId { generation, channel: key.channel, track: VIDEO };
        let header = Header { key, counter: Counter::FIRST };
        Self { head: Head { descriptor, header }, source: Source::video() }
    }

    /// The next sealed frame, and its packets.
    fn frame(&mut self, keyframe: bool, len: usize) -> (Bytes, Vec<Bytes>) {
        self.head.descriptor.keyframe = keyframe;
        self.head.descriptor.capture.0 += 33_333;
        self.head.header.counter = self.head.header.counter.next().expect("a short run");
        let frame = Bytes::from([&self.head.write()[..], &vec![0x5a; len]].concat());
        let payloads = sealed::cut(&frame).expect("a sealed frame");
        let last = payloads.len() - 1;
        let packet = |(at, payload): (usize, &Bytes)| self.source.packet(payload, at == last);
        let packets = payloads.iter().enumerate().map(packet).collect();
        self.source.timestamp = self.source.timestamp.wrapping_add(3000);
        (frame, packets)
    }
}

/// A sealed camera on its RoQ connection.
struct Camera {
    client: rig::Client,
    flow: u64,
    source: SealedSource,
}

impl Camera {
    fn connect(rig: &mut Rig) -> Self {
        let device = Identity::ed25519();
        let tracks = vec![TrackInfo::video(Codec::H264)];
        let session = rig.publish_as(Mode::Sealed, device.thumbprint, tracks, Mode::Sealed);
        let session = session.expect("a session");
        assert_eq!(session.mode, Mode::Sealed);
        let mut client = rig.connect(&session, &device);
        rig.until(&mut client, "publication", |rig, _| !rig.directory.publishers.is_empty());
        Self { client, flow: session.tracks[0].flow, source: SealedSource::new() }
    }

    /// Sends a frame, and waits until the relay has or has lost it.
    fn send(&mut self, rig: &mut Rig, keyframe: bool, len: usize) -> Bytes {
        let before = rig.hub.stats();
        let (frame, packets) = self.source.frame(keyframe, len);
        self.client.send_stream(&framed(self.flow, &packets), true);
        rig.until(&mut self.client, "its frame", |rig, _| {
            let now = rig.hub.stats();
            (now.frames_in, now.frames_lost) != (before.frames_in, before.frames_lost)
        });
        frame
    }
}

/// Sealed frames on the streams of a RoQ viewer, in order of their numbers.
fn sealed_frames(client: &rig::Client, flow: u64) -> Vec<Bytes> {
    let mut receiver = Receiver::new([(flow, VIDEO)]);
    let now = Instant::now();
    let mut found = Vec::new();
    for (stream, bytes) in (0..).zip(client.streams.values()) {
        receiver.handle_stream(now, stream, bytes.clone().into());
        let mut payloads = Vec::new();
        let mut first = 0;
        while let Some(received) = receiver.poll_packet() {
            let header = rtp::parse(&received.packet).expect("RTP");
            let payload = received.packet.slice(header.payload);
            let end = sealed::Piece::parse(&payload).expect("a piece").end;
            assert_eq!(header.marker, end, "the marker is on the last packet");
            if payloads.is_empty() {
                first = header.seq;
            }
            payloads.push(payload);
        }
        if let Ok(frame) = sealed::join(&payloads) {
            found.push((first, frame));
        }
    }
    let start = found.iter().map(|(seq, _)| *seq).min_by_key(|seq| seq.wrapping_sub(1) as i16);
    found.sort_by_key(|(seq, _)| seq.wrapping_sub(start.unwrap_or(0)));
    found.into_iter().map(|(_, frame)| frame).collect()
}

#[test]
fn late_viewers_of_a_sealed_camera_start_at_its_keyframe_and_get_its_bytes_unchanged() {
    let mut rig = Rig::new();
    let mut camera = Camera::connect(&mut rig);
    camera.send(&mut rig, true, 2000);
    camera.send(&mut rig, false, 500);
    // The cache starts where a viewer can.
    let mut sent = vec![camera.send(&mut rig, true, 6000)];
    sent.extend((0..4).map(|_| camera.send(&mut rig, false, 3000)));

    let terminal = Identity::p256();
    let session = rig.view(terminal.thumbprint).expect("live");
    assert_eq!(session.mode, Mode::Sealed);
    let web = rig.view_web().expect("live");
    assert_eq!(web.mode, Mode::Sealed);
    let mut native = rig.connect(&session, &terminal);
    rig.until(&mut native, "its first frame", |_, client| !client.streams.is_empty());
    let (mut browser, _) = enter(&mut rig, web.path.expose());
    rig.until(&mut browser, "its first frame", |_, client| !pictures(client).is_empty());
    sent.push(camera.send(&mut rig, false, 100));

    let flow = session.tracks[0].flow;
    rig.until(&mut native, "all frames", |_, client| sealed_frames(client, flow).len() == 6);
    assert_eq!(sealed_frames(&native, flow), sent);
    rig.until(&mut browser, "all items", |_, client| pictures(client)[0].len() == 6);
    let groups = pictures(&browser);
    assert_eq!(groups.len(), 1);
    for (item, frame) in groups[0].iter().zip(&sent) {
        let said = Head::parse(frame).expect("the camera's").descriptor;
        assert!(item.sealed);
        assert_eq!(item.payload, frame);
        assert_eq!((item.keyframe, item.capture), (said.keyframe, Some(said.capture)));
    }
    assert_eq!((native.lost, browser.lost), (None, None));
}

#[test]
fn a_device_announces_what_it_is() {
    let identity = Identity::ed25519().thumbprint;
    let mut rig = Rig::new();
    for (device, mode, refusal) in [
        (Mode::Open, Mode::Open, None),
        (Mode::Sealed, Mode::Sealed, None),
        (Mode::Sealed, Mode::Open, Some(("sealed", "open"))),
        (Mode::Open, Mode::Sealed, Some(("open", "sealed"))),
    ] {
        let answer = rig.publish_as(device, identity, tracks(), mode);
        let refusal =
            refusal.map(|(expected, found)| MediaError::WrongProtection { expected, found });
        assert_eq!(answer.err(), refusal);
    }
    assert_eq!(rig.port.sessions.publishers_of(Some(&stream_key().device)).len(), 2);
}

#[test]
fn a_sealed_pictures_parameter_sets_are_not_taken_in_clear() {
    let identity = Identity::ed25519().thumbprint;
    let mut rig = Rig::new();
    let named = |info: TrackInfo| TrackInfo { fmtp: "config=1190".into(), ..info };
    let picture = vec![named(TrackInfo::video(Codec::H264))];
    let sound = vec![named(TrackInfo::audio(Codec::Aac, 48_000, 2))];
    let mut publish = |mode, tracks| rig.publish_as(mode, identity, tracks, mode);
    assert!(matches!(publish(Mode::Sealed, picture.clone()), Err(MediaError::BadOffer(_))));
    assert!(publish(Mode::Sealed, sound).is_ok());
    assert!(publish(Mode::Open, picture).is_ok());
}

#[test]
fn what_a_sealed_camera_sends_in_clear_or_in_anothers_name_goes_nowhere() {
    let mut rig = Rig::new();
    let mut camera = Camera::connect(&mut rig);
    let clear = Source { seq: 100, ..Source::video() }.packets(&unit(true, 3000), 3000);
    camera.client.send_stream(&framed(camera.flow, &clear), true);
    rig.until(&mut camera.client, "clear media", |rig, _| rig.hub.stats().packets_in >= 4);
    let other = SerialHash::of(&DeviceId::new("CAM-2").expect("legal"));
    let own = std::mem::replace(&mut camera.source.head.descriptor.serial, other);
    camera.source.source.seq = 100 + clear.len() as u16;
    camera.send(&mut rig, true, 3000);
    assert_eq!((rig.hub.stats().frames_in, rig.hub.stats().cached_bytes), (0, 0));
    camera.source.head.descriptor.serial = own;
    camera.send(&mut rig, true, 3000);
    assert_eq!(rig.hub.stats().frames_in, 1);
    assert_eq!(camera.client.lost, None, "it is dropped, not punished");
}

#[test]
fn a_session_is_for_the_mode_that_it_was_set_up_for() {
    let terminal = Identity::p256();
    let (mut rig, _, _, session) = live(&terminal);
    let ticket = rig.view_web().expect("live").path.into_inner();
    assert_eq!(session.mode, Mode::Open);
    let watching = rig.view(terminal.thumbprint).expect("live");
    let mut watcher = rig.connect(&watching, &terminal);
    rig.until(&mut watcher, "media", |_, client| !client.streams.is_empty());

    let mut camera = Camera::connect(&mut rig);
    rig.until(&mut watcher, "its end", |_, client| client.lost.is_some());
    assert_eq!(watcher.close_code(), Some((0, "the stream has ended".to_owned())));
    camera.send(&mut rig, true, 3000);
    let mut native = rig.connect(&session, &terminal);
    rig.until(&mut native, "refusal", |_, client| client.lost.is_some());
    let reason = "the camera was sealed or opened since; ask for a new session".to_owned();
    assert_eq!(native.close_code(), Some((1, reason)));
    let (mut browser, request) = ask(&mut rig, &ticket, TransportConfig::default());
    rig.until(&mut browser, "refusal", |_, client| client.lost.is_some());
    assert_eq!(status(&browser, request).as_deref(), Some("403"));
    assert!(native.streams.is_empty() && pictures(&browser).is_empty());
    assert!(rig.directory.subscribers.is_empty());
}

#[test]
fn a_device_that_may_not_seal_any_more_loses_its_sealed_session_and_every_viewer_of_it() {
    let terminal = Identity::p256();
    let mut rig = Rig::new();
    let mut camera = Camera::connect(&mut rig);
    camera.send(&mut rig, true, 3000);
    let session = rig.view(terminal.thumbprint).expect("live");
    let mut viewer = rig.connect(&session, &terminal);
    rig.until(&mut viewer, "media", |_, client| !client.streams.is_empty());

    for (device, mode) in [("CAM-2", Mode::Open), ("CAM-1", Mode::Sealed)] {
        rig.end_other_mode(device, mode);
        assert_eq!(rig.hub.stats().sealed, 1, "{device} {mode:?} concerns nothing that runs");
    }
    rig.end_other_mode("CAM-1", Mode::Open);
    assert_eq!((rig.hub.stats().streams, rig.hub.stats().sealed), (0, 0));
    rig.until(&mut viewer, "its end", |_, client| client.lost.is_some());
    assert_eq!(viewer.close_code(), Some((0, "the stream has ended".to_owned())));
    rig.until(&mut camera.client, "its end", |_, client| client.lost.is_some());
    let reason = "the device is sealed or opened now".to_owned();
    assert_eq!(camera.client.close_code(), Some((1, reason)));
    assert!(rig.port.sessions.publishers_of(Some(&stream_key().device)).is_empty());
    assert!(rig.directory.publishers.is_empty() && rig.directory.subscribers.is_empty());
}

#[test]
fn a_browser_that_lags_behind_a_sealed_camera_goes_on_at_its_next_keyframe() {
    let mut rig = Rig::new();
    let mut camera = Camera::connect(&mut rig);
    camera.send(&mut rig, true, 3000);
    let path = rig.view_web().expect("live").path.into_inner();
    let (mut client, _) = ask(&mut rig, &path, narrow());
    rig.until(&mut client, "entry", |rig, _| !rig.directory.subscribers.is_empty());
    client.deaf = true;
    for _ in 0..8 {
        camera.send(&mut rig, false, 100_000);
    }
    rig.skip = MAX_LAG + Duration::from_millis(100);
    let key = camera.send(&mut rig, true, 6000);
    let until = Instant::now() + Duration::from_millis(100);
    rig.until(&mut client, "reset", |_, _| Instant::now() > until);
    client.deaf = false;
    rig.until(&mut client, "the next group", |_, client| {
        pictures(client).iter().flatten().any(|item| item.payload == key)
            && !client.resets.is_empty()
    });
    assert!(pictures(&client).iter().all(|group| group[0].keyframe && group[0].sealed));
    assert_eq!(client.lost, None);
}
