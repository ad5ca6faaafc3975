//! Sealing: what the source gives becomes sealed frames, under generations that the camera makes,
//! stores, and hands to the server before it uses them. Without a generation that the server has,
//! frames are dropped. Nothing leaves clear, unless the owner has signed that it shall.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sightline_client::Identity;
use sightline_client::api::Api;
use sightline_client::keys::{
    Binding, CameraKeys, ExchangePublic, ListNotTaken, ListRefused, Moment, NewGeneration,
    OrderNotTaken, OrderRefused, Reason, SigningPublic,
};
use sightline_client::lan::LanHub;
use sightline_client::retry::Backoff;
use sightline_client::sealed::{FrameInfo, FrameSealer, MAX_SWITCH_WAIT, OVERHEAD, SealFrameError};
use sightline_client::sframe::Suite;
use sightline_client::source::{Frame, MediaSource};
use sightline_relay_proto::codec::{MediaKind, TrackInfo};
use sightline_relay_proto::frame::{CaptureTime, Mode};
use sightline_relay_proto::ids::{Channel, DeviceId};
use sightline_relay_proto::wire::references::References;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::outlet::{Outlet, Periods};
use super::returned::Done;
use crate::data_dir::write_private;

/// File with the list and the order in force and the last generation's number. Nothing in it is
/// secret.
const STATE_FILE: &str = "keys.state";
/// How often expiries and the day's end are looked for.
const LOOK: Duration = Duration::from_millis(250);

/// What the keeper of the secret tells.
#[derive(Debug)]
pub(crate) enum News {
    /// An owner's device secret is in force; these are its public halves.
    Bound {
        /// Epoch of the binding.
        epoch: u64,
        /// Verifies viewer lists.
        auth: SigningPublic,
        /// Opens every generation.
        archive: ExchangePublic,
        /// The viewer list that the server hands out with it.
        list: Option<Vec<u8>>,
    },
    /// A viewer list that the server hands out.
    List(Vec<u8>),
    /// All that was to be told of a camera that was away has been told.
    Told(Done),
    /// An order to seal or not, which the server hands out.
    Order(Vec<u8>),
}

/// What sealing needs to know of its camera.
pub(crate) struct Sealing {
    /// Signs generations.
    pub(crate) identity: Arc<Identity>,
    /// Where generations go.
    pub(crate) api: Api,
    /// The camera.
    pub(crate) serial: DeviceId,
    /// Its channel.
    pub(crate) channel: Channel,
    /// The camera's folder.
    pub(crate) folder: PathBuf,
    /// Asks the source for keyframes.
    pub(crate) keyframes: watch::Sender<u64>,
    /// Viewers in the camera's own network.
    pub(crate) lan: Option<LanHub>,
}

/// What leaves, and where news of keys and requests for keyframes go.
pub(crate) struct Sealed {
    /// Frames are sealed, but in periods that are open by the owner's order.
    pub(crate) periods: Periods,
    /// For the keeper of the secret.
    pub(crate) news: mpsc::Sender<News>,
    /// Requests of the server.
    pub(crate) wanted: watch::Sender<u64>,
}

impl Sealing {
    /// Seals a source until it ends or `stop` is cancelled.
    pub(crate) fn start(self, source: MediaSource, stop: CancellationToken) -> Sealed {
        let (news, heard) = mpsc::channel(4);
        let (wanted, requests) = watch::channel(0);
        let tracks: Vec<TrackInfo> = source.tracks().to_vec();
        let (outlet, periods) = Outlet::new(tracks.clone(), Mode::Sealed, &stop);
        let worker = Worker::new(self, tracks, outlet);
        tokio::spawn(worker.run(source, heard, requests, stop));
        Sealed { periods, news, wanted }
    }
}

struct Worker {
    camera: Sealing,
    tracks: Vec<TrackInfo>,
    keys: Option<CameraKeys>,
    sealer: Option<FrameSealer>,
    upload: Option<Upload>,
    /// When the old generation ends at the latest, since somebody has left the list: counted from that
    /// news, whatever storing, sending and waiting for a keyframe take after it.
    old_until: Option<Instant>,
    /// The owner's list that could not be stored yet, and so is not in force.
    unstored_list: Option<Vec<u8>>,
    /// The owner's order that could not be stored yet, and so is not in force.
    unstored_order: Option<Vec<u8>>,
    /// Which frames of each track no later one refers to.
    references: Vec<References>,
    /// Tracks of which a frame was dropped: they go on at a keyframe.
    broken: Vec<bool>,
    outlet: Outlet,
}

/// A generation on its way to the server.
struct Upload {
    task: AbortOnDropHandle<()>,
    new: NewGeneration,
}

impl Worker {
    /// Without keys: nothing leaves yet.
    fn new(camera: Sealing, tracks: Vec<TrackInfo>, outlet: Outlet) -> Self {
        Self {
            broken: vec![false; tracks.len()],
            references: tracks.iter().map(|track| References::new(track.codec)).collect(),
            tracks,
            camera,
            keys: None,
            sealer: None,
            upload: None,
            old_until: None,
            unstored_list: None,
            unstored_order: None,
            outlet,
        }
    }

    async fn run(
        mut self,
        mut source: MediaSource,
        mut news: mpsc::Receiver<News>,
        mut requests: watch::Receiver<u64>,
        stop: CancellationToken,
    ) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                told = news.recv() => match told {
                    Some(told) => {
                        self.hear(told);
                        self.look();
                    }
                    None => return,
                },
                () = uploaded(&mut self.upload) => self.switch(),
                _ = looks.tick() => self.look(),
                Ok(()) = requests.changed() => self.ask_for_keyframe(),
                frame = source.next() => match frame {
                    Some(frame) => self.pass_on(frame),
                    None => return,
                },
            }
        }
    }

    fn hear(&mut self, news: News) {
        let heard = Instant::now();
        match news {
            News::Bound { epoch, auth, archive, list } => {
                self.take_binding(epoch, auth, archive);
                // Before the first generation is made: it must not be for who is removed.
                list.into_iter().for_each(|list| self.take_list(&list));
                self.drop_outdated();
            }
            News::List(bytes) => {
                self.take_list(&bytes);
                self.limit_old(heard);
            }
            // Nobody waits any more if the connection is gone again.
            News::Told(done) => drop(done.send(())),
            News::Order(bytes) => self.take_order(bytes),
        }
    }

    /// Gives the old generation [`MAX_SWITCH_WAIT`] from `since` on, if others than its viewers are, or
    /// may be, let in now. What is heard later gives it no more time.
    fn limit_old(&mut self, since: Instant) {
        let Some(keys) = &self.keys else { return };
        let is_newest = |sealer: &FrameSealer| Some(sealer.generation()) == keys.newest();
        if self.unstored_list.is_some() || keys.due(moment()) == Some(Reason::Viewers) {
            self.old_until.get_or_insert(since + MAX_SWITCH_WAIT);
        } else if self.sealer.as_ref().is_some_and(is_newest) {
            self.old_until = None;
        }
    }

    /// Ends the old generation when its time is over.
    fn end_old(&mut self, now: Instant) {
        if self.old_until.is_some_and(|until| until <= now) {
            self.drop_sealer();
        }
    }

    /// Nothing is sealed until there is another generation.
    fn drop_sealer(&mut self) {
        self.sealer = None;
        if let (None, Some(keys)) = (&self.upload, &mut self.keys) {
            keys.used_up();
        }
    }

    /// Who was removed opens nothing that leaves after the camera was away. So the old generation
    /// ends, whether the new one is still to be made, is on its way to the server, or waits for
    /// keyframes.
    fn drop_outdated(&mut self) {
        let due = self.keys.as_ref().and_then(|keys| keys.due(moment()));
        if due == Some(Reason::Viewers) || self.unstored_list.is_some() {
            self.upload = None;
            self.drop_sealer();
        } else if self.old_until.is_some() {
            self.drop_sealer();
        }
        match &mut self.sealer {
            Some(sealer) => sealer.end_switch(),
            None => self.broken.fill(true),
        }
    }

    fn take_list(&mut self, bytes: &[u8]) {
        let path = self.state_path();
        let Some(keys) = &mut self.keys else { return };
        match keys.take_list(bytes, |state| write_private(&path, state)) {
            Ok(()) => {
                let version = keys.lists().version();
                self.unstored_list = None;
                tracing::info!(version, "a new viewer list is in force");
            }
            // Every start of the camera is told the list in force.
            Err(ListNotTaken::Refused(ListRefused::Held)) => {}
            Err(error @ ListNotTaken::Refused(_)) => {
                tracing::warn!(%error, "the server's viewer list is not taken");
            }
            Err(error @ ListNotTaken::Store(_)) => {
                tracing::error!(%error, "the viewer list is not in force yet");
                self.unstored_list = Some(bytes.to_vec());
            }
        }
    }

    /// Obeys an order that the owner has signed. Whatever else the server hands out changes nothing.
    fn take_order(&mut self, bytes: Vec<u8>) {
        let path = self.state_path();
        let Some(keys) = &mut self.keys else { return };
        self.unstored_order = None;
        match keys.take_order(&bytes, |state| write_private(&path, state)) {
            Ok(()) => {
                let sealed = keys.sealed();
                tracing::info!(sealed, "the owner's sealing order is in force");
            }
            // Every start of the camera is told of the order in force.
            Err(OrderNotTaken::Refused(OrderRefused::NotNewer { offered, held }))
                if offered == held => {}
            Err(error @ OrderNotTaken::Refused(_)) => {
                let sealed = keys.sealed();
                tracing::warn!(%error, sealed, "the server's sealing order is not taken");
            }
            Err(error @ OrderNotTaken::Store(_)) => {
                tracing::error!(%error, "the owner's sealing order is not in force yet");
                self.unstored_order = Some(bytes);
            }
        }
    }

    /// What may leave now. Without an order of its owner a camera seals.
    fn mode(&self) -> Mode {
        self.keys.as_ref().is_none_or(CameraKeys::sealed).into()
    }

    /// Begins a period of the mode that is in force, without the sealer of the former one. `false`
    /// while it cannot begin.
    fn turn(&mut self) -> bool {
        let mode = self.mode();
        if self.outlet.is(mode) {
            return true;
        }
        (self.sealer, self.upload) = (None, None);
        let begun = self.outlet.turn(mode);
        if begun {
            self.broken.fill(true);
            self.ask_for_keyframe();
        }
        begun
    }

    /// Goes on with the stored keys if they are this owner's, else with none.
    fn take_binding(&mut self, epoch: u64, auth: SigningPublic, archive: ExchangePublic) {
        let binding = Binding { serial: self.camera.serial.clone(), epoch };
        let is_same = |keys: &CameraKeys| {
            *keys.lists().binding() == binding && *keys.lists().verifier() == auth
        };
        let held = self.keys.take().or_else(|| self.stored());
        self.keys = Some(match held {
            Some(keys) if is_same(&keys) => keys,
            other => {
                // A former owner's viewers see nothing from here on.
                self.camera.lan.iter().for_each(LanHub::end);
                (self.sealer, self.upload, self.old_until) = (None, None, None);
                (self.unstored_order, self.unstored_list) = (None, None);
                let suite = Suite::default();
                match other {
                    Some(keys) => keys.rebound(binding, auth, archive),
                    None => CameraKeys::new(binding, auth, archive, suite, None),
                }
            }
        });
    }

    fn stored(&self) -> Option<CameraKeys> {
        let path = self.state_path();
        let bytes = std::fs::read(&path).ok()?;
        CameraKeys::restore(&bytes, Suite::default())
            .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "starting anew"))
            .ok()
    }

    fn state_path(&self) -> PathBuf {
        self.camera.folder.join(STATE_FILE)
    }

    /// Turns to the mode in force, makes a generation when one is due, and ends what may not go on.
    fn look(&mut self) {
        let now = moment();
        if let Some(order) = self.unstored_order.take() {
            self.take_order(order);
        }
        if let Some(list) = self.unstored_list.take() {
            self.take_list(&list);
        }
        if !self.turn() {
            return;
        }
        // A guest's time may be over.
        self.limit_old(now.steady);
        self.end_old(now.steady);
        let path = self.state_path();
        let Some(keys) = &mut self.keys else { return };
        // For whom a generation is to be made is settled once the list in force is.
        if self.unstored_list.is_some() || keys.due(now).is_none() {
            return;
        }
        let made =
            keys.make_generation(&self.camera.identity, now, |state| write_private(&path, state));
        match made {
            Ok(new) => {
                let blob = new.blob.to_bytes();
                let sending = tokio::spawn(upload(self.camera.api.clone(), blob));
                let task = AbortOnDropHandle::new(sending);
                self.upload = Some(Upload { task, new });
            }
            Err(error) => tracing::error!(%error, "no new generation can be made yet"),
        }
    }

    /// The server has the generation: seal under it.
    fn switch(&mut self) {
        let Some(Upload { mut new, .. }) = self.upload.take() else { return };
        let Ok(keys) = new.keys.channel(self.camera.channel) else { return };
        let now = Instant::now();
        self.end_old(now);
        let until = self.old_until.unwrap_or(now + MAX_SWITCH_WAIT);
        let (generation, reason) = (keys.generation().number(), new.reason);
        if let (Some(lan), Some(keys)) = (&self.camera.lan, &self.keys) {
            lan.generation(keys.lists().binding().epoch, new.blob.to_bytes());
        }
        match &mut self.sealer {
            Some(sealer) => {
                if let Err(error) = sealer.switch(keys, until) {
                    tracing::error!(%error, "the generation is not used");
                }
            }
            None => self.sealer = Some(FrameSealer::new(keys)),
        }
        self.limit_old(now);
        tracing::info!(generation, ?reason, "frames are sealed under a new generation");
        self.ask_for_keyframe();
    }

    fn ask_for_keyframe(&self) {
        self.camera.keyframes.send_modify(|count| *count += 1);
    }

    /// Queues a frame in the mode in force; drops it if that cannot be.
    fn pass_on(&mut self, frame: Frame) {
        let at = usize::from(frame.track.0);
        self.end_old(Instant::now());
        let Some(info) = self.tracks.get(at) else { return };
        let is_sound = info.codec.kind() == MediaKind::Audio;
        let frame = Frame { keyframe: frame.keyframe || is_sound, ..frame };
        let mode = self.mode();
        let queued = !self.broken[at] || frame.keyframe;
        // Who watches within the network is served while the server takes nothing, too.
        let nearby = mode.is_sealed() && self.camera.lan.as_ref().is_some_and(LanHub::is_watched);
        if !(queued || nearby) || !self.outlet.is(mode) {
            return;
        }
        let sent = match mode {
            Mode::Open => self.outlet.send(frame),
            Mode::Sealed if self.sealer.is_none() => return,
            Mode::Sealed => self.seal(at, frame, queued),
        };
        self.broken[at] = !sent && !is_sound;
    }

    /// Seals a frame, shows it to who is near, and queues it if it is to be; whether it is on its way.
    fn seal(&mut self, at: usize, frame: Frame, queued: bool) -> bool {
        let (Some(info), Some(sealer)) = (self.tracks.get(at), &mut self.sealer) else {
            return false;
        };
        let capture = frame.captured.duration_since(UNIX_EPOCH).unwrap_or_default();
        let said = FrameInfo {
            track: frame.track,
            tier: info.tier,
            codec: info.codec,
            keyframe: frame.keyframe,
            discardable: self.references[at].is_needless(&frame.unit),
            discontinuity: false,
            capture: CaptureTime(u64::try_from(capture.as_micros()).unwrap_or_default()),
        };
        let mut unit = Vec::with_capacity(OVERHEAD + frame.unit.len());
        let sealed = sealer.seal(&said, &frame.unit, Instant::now(), &mut unit);
        match sealed {
            Ok(()) => {
                let frame = Frame { unit: unit.into(), ..frame };
                if let Some(lan) = &self.camera.lan {
                    lan.send(&frame, info.codec.kind() == MediaKind::Video);
                }
                queued && self.outlet.send(frame)
            }
            Err(error) => {
                self.camera.lan.iter().for_each(LanHub::skip);
                self.refused(error, self.broken[at]);
                false
            }
        }
    }

    fn refused(&mut self, error: SealFrameError, again: bool) {
        match error {
            SealFrameError::KeyframeDue if again => {}
            SealFrameError::KeyframeDue => self.ask_for_keyframe(),
            SealFrameError::UsedUp => {
                if let Some(keys) = &mut self.keys {
                    keys.used_up();
                }
            }
            other => tracing::warn!(error = %other, "a frame is not sealed and not sent"),
        }
    }
}

/// Waits for the end of an upload, or for ever.
async fn uploaded(upload: &mut Option<Upload>) {
    let Some(sending) = upload else { return std::future::pending().await };
    if (&mut sending.task).await.is_err() {
        // It was cut off, and a handle must not be asked twice.
        *upload = None;
        std::future::pending().await
    }
}

/// Hands a generation to the server, however long that takes.
async fn upload(api: Api, blob: Vec<u8>) {
    let mut backoff = Backoff::default();
    while let Err(error) = api.put_generation(&blob).await {
        tracing::warn!(%error, "the server does not take the generation yet");
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

fn moment() -> Moment {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Moment { steady: Instant::now(), unix }
}

#[cfg(test)]
mod tests;
