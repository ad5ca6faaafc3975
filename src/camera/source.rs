//! What the camera pushes: a clip, an RTSP camera on its network, or the test card.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use sightline_client::annexb;
use sightline_client::file::Clip;
use sightline_client::pull::{PullTarget, Pulled, Puller};
use sightline_client::retry::Backoff;
use sightline_client::source::{Frame, MediaSource};
use sightline_client::target::TargetPolicy;
use sightline_client::testcard::{Options, PACKET_MS, TestCard, ToneCodec};
use sightline_grant::Redacted;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::ingest::TrackIngest;
use sightline_relay_proto::wire::aac;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Frames that may wait for the network; a live source drops beyond it.
const QUEUE: usize = 64;

/// Flags that choose the source.
#[derive(Args)]
pub(crate) struct SourceArgs {
    /// MP4 clip, or raw .h264/.h265, played in a loop
    #[arg(long, conflicts_with_all = ["rtsp", "testcard"])]
    file: Option<PathBuf>,
    /// Pictures a second of a raw clip
    #[arg(long, default_value_t = 25)]
    file_fps: u32,
    /// RTSP camera on this network, rtsp://host/path without user and password
    #[arg(long, conflicts_with = "testcard")]
    rtsp: Option<url::Url>,
    /// User at the RTSP camera
    #[arg(long, requires = "rtsp")]
    rtsp_user: Option<String>,
    /// File that holds the password at the RTSP camera
    #[arg(long, requires = "rtsp_user")]
    rtsp_password_file: Option<PathBuf>,
    /// The test card: moving picture, frame number, clock, serial and a tone (the default)
    #[arg(long, alias = "demo")]
    testcard: bool,
    /// Test card: width
    #[arg(long, default_value_t = 1280)]
    width: u32,
    /// Test card: height
    #[arg(long, default_value_t = 720)]
    height: u32,
    /// Test card: pictures a second
    #[arg(long, default_value_t = 25)]
    fps: u32,
    /// Test card: seconds from keyframe to keyframe
    #[arg(long, default_value_t = 2.0)]
    gop: f64,
    /// Test card: video bits a second, made up with noise
    #[arg(long, default_value_t = 0)]
    bitrate: u32,
    /// Test card: codec of the tone
    #[arg(long, default_value = "opus", value_parser = ["opus", "pcma", "pcmu"])]
    tone: String,
}

/// Opens the source. `keyframes` counts the server's requests for keyframes.
pub(crate) async fn open(
    args: &SourceArgs,
    serial: &str,
    keyframes: watch::Receiver<u64>,
    stop: CancellationToken,
) -> Result<MediaSource, String> {
    if let Some(path) = &args.file {
        let clip = Clip::open(path, args.file_fps)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        return Ok(MediaSource::Clip(clip.play()));
    }
    if let Some(url) = &args.rtsp {
        let password = match &args.rtsp_password_file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
            None => String::new(),
        };
        let login = args
            .rtsp_user
            .as_ref()
            .map(|user| (user.clone(), Redacted::new(password.trim_end().to_owned())));
        // The agent stands in the camera's own network, so private and local addresses are its job.
        let target = PullTarget { url: url.clone(), login, policy: TargetPolicy::LOCAL };
        return Ok(pulled(target, stop).await);
    }
    test_card(args, serial, keyframes)
}

fn test_card(
    args: &SourceArgs,
    serial: &str,
    keyframes: watch::Receiver<u64>,
) -> Result<MediaSource, String> {
    let tone = match args.tone.as_str() {
        "pcma" => ToneCodec::Pcma,
        "pcmu" => ToneCodec::Pcmu,
        _ => ToneCodec::Opus,
    };
    let options = Options {
        serial: serial.to_owned(),
        width: args.width,
        height: args.height,
        fps: args.fps,
        gop: (args.gop * f64::from(args.fps)).round().clamp(1.0, 10_000.0) as u32,
        bitrate: args.bitrate,
        first_frame: 0,
        tone,
    };
    let card = TestCard::new(options).map_err(|error| error.to_string())?;
    let audio = match tone {
        ToneCodec::Opus => TrackInfo::audio(Codec::Opus, 48_000, 2),
        ToneCodec::Pcma => TrackInfo::audio(Codec::Pcma, 8000, 1),
        ToneCodec::Pcmu => TrackInfo::audio(Codec::Pcmu, 8000, 1),
    };
    let tracks = vec![TrackInfo::video(Codec::H264), audio];
    let (sender, frames) = mpsc::channel(QUEUE);
    let clock = audio_clock(&tracks[1]);
    tokio::spawn(play_card(card, clock, sender, keyframes));
    Ok(MediaSource::Encoder { tracks, frames })
}

/// Ticks of the RTP clock in one packet of sound.
fn audio_clock(track: &TrackInfo) -> u32 {
    track.clock_rate / 1000 * PACKET_MS as u32
}

/// Paints and sounds in real time until nobody listens.
async fn play_card(
    mut card: TestCard,
    audio_ticks: u32,
    sender: mpsc::Sender<Frame>,
    mut keyframes: watch::Receiver<u64>,
) {
    let period = Duration::from_secs(1) / card.options().fps;
    let mut pictures = tokio::time::interval(period);
    let mut sounds = tokio::time::interval(Duration::from_millis(PACKET_MS));
    for ticker in [&mut pictures, &mut sounds] {
        ticker.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let video_ticks = 90_000 / card.options().fps;
    let (mut video_time, mut audio_time) = (0u32, 0u32);
    loop {
        let frame = tokio::select! {
            _ = pictures.tick() => {
                if keyframes.has_changed().unwrap_or(false) {
                    keyframes.mark_unchanged();
                    card.request_keyframe();
                }
                let now = SystemTime::now();
                let unix = now.duration_since(UNIX_EPOCH).unwrap_or_default();
                let picture = card.next_video(unix.as_millis() as u64);
                let frame = frame(0, video_time, now, picture.keyframe, picture.access_unit);
                video_time = video_time.wrapping_add(video_ticks);
                frame
            }
            _ = sounds.tick() => {
                let frame = frame(1, audio_time, SystemTime::now(), true, card.next_audio());
                audio_time = audio_time.wrapping_add(audio_ticks);
                frame
            }
        };
        // A network that does not take frames for QUEUE of them loses the newest; the publisher
        // waits for a keyframe then.
        if sender.try_send(frame).is_err() && sender.is_closed() {
            return;
        }
    }
}

fn frame(track: u8, timestamp: u32, captured: SystemTime, keyframe: bool, unit: Bytes) -> Frame {
    Frame { track: TrackIndex(track), timestamp, captured, ready: Instant::now(), keyframe, unit }
}

/// A camera on the local network, waited for: after a power cut the agent may be up before it. The
/// first connection tells the tracks; later ones must agree.
async fn pulled(target: PullTarget, stop: CancellationToken) -> MediaSource {
    let mut backoff = Backoff::default();
    let puller = loop {
        match Puller::connect(&target).await {
            Ok(puller) => break puller,
            Err(error) => tracing::warn!(%error, "the RTSP camera cannot be reached yet"),
        }
        tokio::time::sleep(backoff.next_wait()).await;
    };
    let tracks = puller.tracks().to_vec();
    let (sender, frames) = mpsc::channel(QUEUE);
    tokio::spawn(keep_pulling(target, puller, tracks.clone(), sender, stop));
    MediaSource::Encoder { tracks, frames }
}

async fn keep_pulling(
    target: PullTarget,
    first: Puller,
    tracks: Vec<TrackInfo>,
    sender: mpsc::Sender<Frame>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    let mut puller = Some(first);
    let mut joiner = Joiner::new(&tracks);
    while !stop.is_cancelled() && !sender.is_closed() {
        if let Some(mut puller) = puller.take() {
            backoff.reset();
            let error = loop {
                match puller.next().await {
                    Ok(items) => joiner.take(items, &sender),
                    Err(error) => break error,
                }
            };
            tracing::warn!(%error, "the RTSP camera is gone");
        }
        tokio::time::sleep(backoff.next_wait()).await;
        match Puller::connect(&target).await {
            Ok(again) if again.tracks() == tracks => {
                joiner.resume(&tracks);
                puller = Some(again);
            }
            Ok(_) => {
                tracing::error!("the RTSP camera has other tracks now; start the agent again");
                return;
            }
            Err(error) => tracing::warn!(%error, "the RTSP camera cannot be reached"),
        }
    }
}

/// Joins pulled packets to access units.
struct Joiner {
    tracks: Vec<(TrackIngest, Codec)>,
}

impl Joiner {
    fn new(tracks: &[TrackInfo]) -> Self {
        let ingest = |(at, info): (usize, &TrackInfo)| {
            let index = TrackIndex(at as u8);
            (TrackIngest::new(index, info.clone(), false, 0, 0), info.codec)
        };
        Self { tracks: tracks.iter().enumerate().map(ingest).collect() }
    }

    fn resume(&mut self, tracks: &[TrackInfo]) {
        for ((ingest, _), info) in self.tracks.iter_mut().zip(tracks) {
            ingest.resume(Instant::now(), info.clone(), false);
        }
    }

    fn take(&mut self, items: Vec<Pulled>, sender: &mpsc::Sender<Frame>) {
        let now = Instant::now();
        for item in items {
            let (track, packet) = match item {
                Pulled::Rtp { track, packet } => (track, packet),
                Pulled::Report { track, info } => {
                    if let Some((ingest, _)) = self.tracks.get_mut(usize::from(track.0)) {
                        ingest.handle_sender_report(now, info);
                    }
                    continue;
                }
            };
            let Some((ingest, codec)) = self.tracks.get_mut(usize::from(track.0)) else { continue };
            ingest.handle_rtp(now, packet);
            while let Some(joined) = ingest.poll_frame(now) {
                let Some(unit) = unit(*codec, &joined.payloads) else { continue };
                let captured = joined.descriptor.capture.map_or_else(SystemTime::now, |capture| {
                    UNIX_EPOCH + Duration::from_micros(capture.0)
                });
                let timestamp = joined.descriptor.media_time.rtp();
                let keyframe = joined.descriptor.keyframe;
                let _ = sender.try_send(frame(track.0, timestamp, captured, keyframe, unit));
            }
        }
    }
}

/// What the publisher packs anew.
fn unit(codec: Codec, payloads: &[Bytes]) -> Option<Bytes> {
    match codec {
        Codec::H264 | Codec::H265 => annexb::access_unit(codec, payloads),
        Codec::Aac => match payloads {
            [payload] => match aac::parse(payload)? {
                aac::AacPayload::Units(units) if units.len() == 1 => units.into_iter().next(),
                _ => None,
            },
            _ => None,
        },
        Codec::Opus | Codec::Pcmu | Codec::Pcma => payloads.first().cloned(),
        // A camera's AV1 comes by WHIP or from a clip; no RTSP camera is known to send it.
        Codec::Av1 => None,
    }
}
