//! The cameras: each with an identity of its own, publishing stamped frames by RTP over QUIC.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use sightline_client::api::{Api, DeviceKnown};
use sightline_client::news::{ASK_PAUSE, Told};
use sightline_client::publish::{Outcome, Publisher};
use sightline_client::retry::Backoff;
use sightline_client::source::Frame;
use sightline_client::wire::RoqTrack;
use sightline_client::{DeviceSecret, Identity, SessionTarget};
use sightline_control_plane::ControlPlane;
use sightline_control_plane::admin::NewDevice;
use sightline_grant::Redacted;
use sightline_relay_proto::codec::{Codec, TrackInfo};
use sightline_relay_proto::frame::Mode;
use sightline_relay_proto::ids::TrackIndex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Failure;
use super::clock::{Window, now};
use super::gate::Doors;
use super::picture::Sizes;
use super::sealing::Sealing;
use super::sound::{self, Sound};
use super::stamp::Stamp;

/// Ticks of the video clock in a second.
const CLOCK: u64 = 90_000;

/// What a camera sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    /// Sizes of its frames.
    pub(super) sizes: Sizes,
    /// Frames a second.
    pub(super) fps: u32,
    /// Frames from one keyframe to the next.
    pub(super) gop: u64,
    /// There is sound too.
    pub(super) sound: bool,
}

/// What became of a camera's frames.
#[derive(Default)]
pub(super) struct Counters {
    /// Frames of the measured time that were sent.
    pub(super) sent: AtomicU64,
    /// Frames that were given up because the connection was too slow.
    pub(super) dropped: AtomicU64,
    /// Frames whose time was over before the camera came to them.
    pub(super) skipped: AtomicU64,
    /// Attempts to publish after the first.
    pub(super) reconnects: AtomicU64,
}

/// One camera.
pub(super) struct Camera {
    /// Serial.
    pub(super) serial: String,
    /// Printed verification code.
    pub(super) code: Redacted<String>,
    /// What became of its frames.
    pub(super) counters: Counters,
    api: Api,
    /// `None`: it is open.
    sealing: Option<Sealing>,
    secret: Mutex<Option<Arc<DeviceSecret>>>,
    live: watch::Sender<bool>,
    told: Told,
}

impl Camera {
    /// Makes an identity and adds the camera to the server's database, as `admin device add` does.
    pub(super) async fn add(
        control: &ControlPlane,
        doors: &Doors,
        serial: String,
        sealed: bool,
    ) -> Result<Arc<Self>, String> {
        let identity = Identity::generate_device().map_err(|error| error.to_string())?;
        let new = NewDevice {
            serial: serial.clone(),
            name: "Load".into(),
            model: String::new(),
            identity: Some(identity.thumbprint()),
            seals: sealed,
            channels: 1,
        };
        let texts = control.add_device(&new).await.map_err(|error| error.to_string())?;
        Ok(Arc::new(Self {
            serial,
            code: texts.verification_code,
            counters: Counters::default(),
            api: doors.api(identity).map_err(|error| error.to_string())?,
            sealing: sealed.then(Sealing::default),
            secret: Mutex::new(None),
            live: watch::Sender::new(false),
            told: Told::default(),
        }))
    }

    /// Makes a new secret and hands in its verifier, as every camera does after a binding.
    pub(super) async fn renew_secret(&self, doors: &Doors) -> Result<(), Failure> {
        let known = DeviceKnown { binding_epoch: u64::MAX, ..DeviceKnown::default() };
        let state = doors.patiently(|| self.api.device_poll(&known)).await?;
        let secret = DeviceSecret::generate().map_err(|error| error.to_string())?;
        let verifier = secret.auth_key().map_err(|error| error.to_string())?.verifier();
        let store = || self.api.put_key_verifier(state.binding_epoch, &verifier);
        doors.patiently(store).await?;
        if let Some(sealing) = &self.sealing {
            sealing.renew(&self.api, &self.serial, state.binding_epoch, &secret).await?;
        }
        *self.secret.lock().expect("unpoisoned") = Some(Arc::new(secret));
        Ok(())
    }

    /// The secret that its owner reads on the camera; `None` before it is bound.
    pub(super) fn secret(&self) -> Option<Arc<DeviceSecret>> {
        self.secret.lock().expect("unpoisoned").clone()
    }

    /// How it seals, unless it is open.
    pub(super) fn sealing(&self) -> Option<&Sealing> {
        self.sealing.as_ref()
    }

    /// Asks for news of the binding again and again, as every agent does. Never ends.
    async fn ask(self: Arc<Self>) {
        let mut known = DeviceKnown::default();
        let mut backoff = Backoff::default();
        let mut news = self.told.news();
        loop {
            match news.wait(&self.api, &known).await {
                Ok(state) => {
                    backoff.reset();
                    known = DeviceKnown {
                        binding_epoch: state.binding_epoch,
                        key_epoch: state.key_epoch,
                        list_version: state.list_version,
                        ..DeviceKnown::default()
                    };
                    tokio::time::sleep(ASK_PAUSE).await;
                }
                Err(_) => tokio::time::sleep(backoff.next_wait()).await,
            }
        }
    }

    /// Waits until its first frame is on its way.
    pub(super) async fn live(&self) {
        // The sender is this camera's own, so it outlives the wait.
        let _ = self.live.subscribe().wait_for(|live| *live).await;
    }

    /// Publishes until `stop`, over a new session whenever one ends. `phase` is where between two
    /// frames this camera begins, so that cameras do not all send at once.
    pub(super) async fn publish(
        self: Arc<Self>,
        doors: Arc<Doors>,
        picture: Picture,
        window: Arc<Window>,
        phase: Duration,
        stop: CancellationToken,
    ) {
        let _asking = AbortOnDropHandle::new(tokio::spawn(self.clone().ask()));
        let start = Instant::now() + phase;
        let mut backoff = Backoff::default();
        loop {
            let session = async {
                match self.connect(&doors, picture.sound).await {
                    Ok(publisher) => {
                        backoff.reset();
                        self.send_frames(publisher, picture, &window, start).await;
                    }
                    Err(text) => eprintln!("load: {} cannot publish: {text}", self.serial),
                }
                tokio::time::sleep(backoff.next_wait()).await;
            };
            tokio::select! {
                () = session => self.counters.reconnects.fetch_add(1, Ordering::Relaxed),
                () = stop.cancelled() => return,
            };
        }
    }

    async fn connect(&self, doors: &Doors, sound: bool) -> Result<Publisher, String> {
        let picture = TrackInfo::video(Codec::H264);
        let (mode, announced) = match self.sealing {
            Some(_) => (Mode::Sealed, RoqTrack::announce_sealed(&picture)),
            None => (Mode::Open, RoqTrack::announce(&picture)),
        };
        let mut tracks = vec![announced];
        tracks.extend(sound.then(|| RoqTrack::announce(&sound::track())));
        let session = doors.patiently(|| self.api.roq_publish(0, &tracks, mode)).await;
        let target = SessionTarget {
            server: doors.ip,
            session: session.map_err(|error| error.to_string())?,
            roots: doors.roots.clone(),
            identity: self.api.identity().clone(),
            endpoint: None,
        };
        Publisher::connect(&target, &self.told).await.map_err(|error| error.to_string())
    }

    /// Sends a frame at each tick until the connection ends. Ticks that were missed are left out,
    /// so that a pause is followed by no burst. After the measured time nothing is sent.
    async fn send_frames(
        &self,
        mut publisher: Publisher,
        picture: Picture,
        window: &Window,
        start: Instant,
    ) {
        let mut wanted = publisher.keyframe_requests();
        let mut ticks = Ticks::new(start, picture.fps);
        let mut sound = picture.sound.then(Sound::new);
        let mut keyframe_due = true;
        // Ticks that were missed leave no gap in what viewers count.
        let mut sent = 0_u32;
        if self.sealing.is_some() {
            // It has nothing to say before it is bound, and is there to be bound.
            self.live.send_replace(true);
        }
        loop {
            let (number, skipped) = ticks.take();
            if let Some(sound) = &mut sound
                && sound.send_until(ticks.due(number), &mut publisher).await.is_none()
            {
                return;
            }
            tokio::time::sleep_until(ticks.due(number).into()).await;
            self.counters.skipped.fetch_add(skipped, Ordering::Relaxed);
            let captured = now();
            if window.is_over(captured) {
                return std::future::pending().await;
            }
            keyframe_due |= wanted.has_changed().unwrap_or(false);
            let keyframe = keyframe_due || number % picture.gop == 0;
            let stamp = Stamp { serial: &self.serial, frame: sent, captured };
            let Some(unit) = self.unit(&stamp, picture, keyframe) else { continue };
            let frame = Frame {
                track: TrackIndex(0),
                timestamp: (number * CLOCK / u64::from(picture.fps)) as u32,
                captured: SystemTime::now(),
                ready: Instant::now(),
                keyframe,
                unit,
            };
            wanted.mark_unchanged();
            match publisher.send(&frame).await {
                Ok(Outcome::Sent) => {
                    sent = sent.wrapping_add(1);
                    keyframe_due = false;
                    self.live.send_replace(true);
                    let counts = u64::from(window.holds(captured));
                    self.counters.sent.fetch_add(counts, Ordering::Relaxed);
                }
                Ok(Outcome::Dropped) => {
                    keyframe_due = true;
                    self.counters.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => return,
            }
        }
    }

    /// What leaves the camera for a frame; `None` while it seals and has no key.
    fn unit(&self, stamp: &Stamp<'_>, picture: Picture, keyframe: bool) -> Option<Bytes> {
        let unit = picture.sizes.unit(stamp, keyframe);
        match &self.sealing {
            Some(sealing) => sealing.seal(&unit, keyframe, stamp.captured),
            None => Some(unit),
        }
    }
}

/// The ticks of a camera's clock.
struct Ticks {
    start: Instant,
    fps: u32,
    last: Option<u64>,
}

impl Ticks {
    fn new(start: Instant, fps: u32) -> Self {
        Self { start, fps, last: None }
    }

    /// The next tick that is not over, to be waited for: its number, and how many were missed
    /// before it.
    fn take(&mut self) -> (u64, u64) {
        let (number, skipped) = self.coming(Instant::now());
        self.last = Some(number);
        (number, skipped)
    }

    /// The tick to wait for at `now`: the next one, unless another has come since.
    fn coming(&self, now: Instant) -> (u64, u64) {
        let elapsed = now.saturating_duration_since(self.start);
        let current = (elapsed.as_nanos() * u128::from(self.fps) / 1_000_000_000) as u64;
        match self.last {
            Some(last) if last + 1 >= current => (last + 1, 0),
            Some(last) => (current + 1, current - last),
            None => (current + 1, 0),
        }
    }

    fn due(&self, number: u64) -> Instant {
        self.start + Duration::from_nanos(number * 1_000_000_000 / u64::from(self.fps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_are_left_out_and_counted() {
        let start = Instant::now();
        let mut ticks = Ticks::new(start, 10);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(ticks.coming(at(0)), (1, 0));
        ticks.last = Some(1);
        assert_eq!(ticks.coming(at(101)), (2, 0));
        // A little late: the tick of 200 ms is still made, at once.
        assert_eq!(ticks.coming(at(230)), (2, 0));
        // A pause of five seconds: only the tick that comes next is made.
        assert_eq!(ticks.coming(at(5_130)), (52, 50));
        assert_eq!(ticks.due(52), at(5_200));
    }
}
