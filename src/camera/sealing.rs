//! Sealing: what the source gives becomes sealed frames, under generations that the camera makes,
//! stores, and hands to the server before it uses them. Nothing leaves clear: without a generation
//! that the server has, frames are dropped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sightline_client::Identity;
use sightline_client::api::Api;
use sightline_client::keys::{
    Binding, CameraKeys, ExchangePublic, ListNotTaken, ListRefused, Moment, NewGeneration, Reason,
    SigningPublic,
};
use sightline_client::retry::Backoff;
use sightline_client::sealed::{
    FrameInfo, FrameSealer, MAX_SWITCH_WAIT, OVERHEAD, SealFrameError, Switch,
};
use sightline_client::sframe::Suite;
use sightline_client::source::{Frame, MediaSource};
use sightline_relay_proto::codec::{MediaKind, TrackInfo};
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::{Channel, DeviceId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::data_dir::write_private;

/// File with the list in force and the last generation's number. Nothing in it is secret.
const STATE_FILE: &str = "keys.state";
/// Sealed frames that may wait for the network.
const QUEUE: usize = 64;
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
    /// The camera is about to send again; the asker waits until all that came before was heard.
    Look(oneshot::Sender<()>),
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
}

/// The sealed source, and where news of keys and requests for keyframes go.
pub(crate) struct Sealed {
    /// Frames are sealed.
    pub(crate) source: MediaSource,
    /// For the keeper of the secret.
    pub(crate) news: mpsc::Sender<News>,
    /// Requests of the server.
    pub(crate) wanted: watch::Sender<u64>,
}

impl Sealing {
    /// Seals a source until it ends or `stop` is cancelled.
    pub(crate) fn start(self, source: MediaSource, stop: CancellationToken) -> Sealed {
        let (out, frames) = mpsc::channel(QUEUE);
        let (news, heard) = mpsc::channel(4);
        let (wanted, requests) = watch::channel(0);
        let tracks: Vec<TrackInfo> = source.tracks().to_vec();
        let worker = Worker {
            broken: vec![false; tracks.len()],
            tracks: tracks.clone(),
            camera: self,
            keys: None,
            sealer: None,
            upload: None,
            out,
        };
        tokio::spawn(worker.run(source, heard, requests, stop));
        Sealed { source: MediaSource::Encoder { tracks, frames }, news, wanted }
    }
}

struct Worker {
    camera: Sealing,
    tracks: Vec<TrackInfo>,
    keys: Option<CameraKeys>,
    sealer: Option<FrameSealer>,
    upload: Option<Upload>,
    /// Tracks of which a frame was dropped: they go on at a keyframe.
    broken: Vec<bool>,
    out: mpsc::Sender<Frame>,
}

/// A generation on its way to the server.
struct Upload {
    task: AbortOnDropHandle<()>,
    new: NewGeneration,
    /// When the old generation ends even if the server did not get the new one.
    until: Option<Instant>,
}

impl Worker {
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
        match news {
            News::Bound { epoch, auth, archive, list } => {
                self.take_binding(epoch, auth, archive);
                // Before the first generation is made: it must not be for who is removed.
                list.into_iter().for_each(|list| self.take_list(&list));
            }
            News::List(bytes) => self.take_list(&bytes),
            News::Look(asker) => {
                // Who was removed while the camera was away sees not even the second that a switch
                // may take.
                if self.upload.as_ref().is_some_and(|upload| upload.until.is_some()) {
                    self.sealer = None;
                }
                // Who asked may have lost patience.
                let _ = asker.send(());
            }
        }
    }

    fn take_list(&mut self, bytes: &[u8]) {
        let path = self.state_path();
        let Some(keys) = &mut self.keys else { return };
        match keys.take_list(bytes, |state| write_private(&path, state)) {
            Ok(()) => {
                let version = keys.lists().version();
                tracing::info!(version, "a new viewer list is in force");
            }
            // Every start of the camera is told the list in force.
            Err(ListNotTaken::Refused(ListRefused::Held)) => {}
            Err(error) => tracing::warn!(%error, "the server's viewer list is not taken"),
        }
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
                (self.sealer, self.upload) = (None, None);
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

    /// Makes a generation when one is due, and ends what may not go on.
    fn look(&mut self) {
        let now = moment();
        let is_late = |upload: &Upload| upload.until.is_some_and(|until| until <= now.steady);
        if self.upload.as_ref().is_some_and(is_late) {
            self.sealer = None;
        }
        let path = self.state_path();
        let Some(keys) = &mut self.keys else { return };
        if keys.due(now).is_none() {
            return;
        }
        let made =
            keys.make_generation(&self.camera.identity, now, |state| write_private(&path, state));
        match made {
            Ok(new) => {
                let blob = new.blob.to_bytes();
                let sending = tokio::spawn(upload(self.camera.api.clone(), blob));
                let until = (new.reason == Reason::Viewers).then(|| now.steady + MAX_SWITCH_WAIT);
                let task = AbortOnDropHandle::new(sending);
                self.upload = Some(Upload { task, new, until });
            }
            Err(error) => tracing::error!(%error, "no new generation; the old one goes on"),
        }
    }

    /// The server has the generation: seal under it.
    fn switch(&mut self) {
        let Some(Upload { mut new, .. }) = self.upload.take() else { return };
        let Ok(keys) = new.keys.channel(self.camera.channel) else { return };
        let (generation, reason) = (keys.generation().number(), new.reason);
        match &mut self.sealer {
            Some(sealer) => {
                if let Err(error) = sealer.switch(keys, Switch::AtKeyframe, Instant::now()) {
                    tracing::error!(%error, "the generation is not used");
                }
            }
            None => self.sealer = Some(FrameSealer::new(keys)),
        }
        tracing::info!(generation, ?reason, "frames are sealed under a new generation");
        self.ask_for_keyframe();
    }

    fn ask_for_keyframe(&self) {
        self.camera.keyframes.send_modify(|count| *count += 1);
    }

    /// Seals a frame and queues it; drops it if that cannot be.
    fn pass_on(&mut self, frame: Frame) {
        let at = usize::from(frame.track.0);
        let (Some(info), Some(sealer)) = (self.tracks.get(at), &mut self.sealer) else { return };
        let capture = frame.captured.duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_sound = info.codec.kind() == MediaKind::Audio;
        let keyframe = frame.keyframe || is_sound;
        if self.broken[at] && !keyframe {
            return;
        }
        let said = FrameInfo {
            track: frame.track,
            tier: info.tier,
            codec: info.codec,
            keyframe,
            discardable: false,
            discontinuity: false,
            capture: CaptureTime(u64::try_from(capture.as_micros()).unwrap_or_default()),
        };
        let mut unit = Vec::with_capacity(OVERHEAD + frame.unit.len());
        let sealed = sealer.seal(&said, &frame.unit, Instant::now(), &mut unit);
        let sent = match sealed {
            Ok(()) => self.out.try_send(Frame { unit: unit.into(), keyframe, ..frame }).is_ok(),
            Err(error) => {
                self.refused(error, self.broken[at]);
                false
            }
        };
        self.broken[at] = !sent && !is_sound;
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
