//! What leaves a camera that seals, above all when it was away while its viewers changed.

use sightline_client::DeviceSecret;
use sightline_client::keys::{Scopes, TerminalKeys, Viewer, ViewerList};
use sightline_client::secret::AuthKey;
use sightline_relay_proto::codec::Codec;
use sightline_relay_proto::ids::TrackIndex;
use sightline_relay_proto::wire::sealed::Head;

use super::super::outlet::Period;
use super::*;

const EPOCH: u64 = 3;

/// A bound camera that seals, and whose server hears of nothing unless the test says so.
struct Stage {
    worker: Worker,
    auth: AuthKey,
    archive: ExchangePublic,
    first: Period,
    _folder: tempfile::TempDir,
    _periods: Periods,
}

impl Stage {
    /// With a generation that the server has, and a picture that left under it.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Arc::new(Identity::generate_device().unwrap());
        let secret = DeviceSecret::generate().unwrap();
        let (auth, archive) = (secret.auth_key().unwrap(), secret.archive_key().unwrap().public());
        let camera = Sealing {
            api: Api::for_device("http://localhost:1", None, identity.clone()).unwrap(),
            identity,
            serial: DeviceId::new("CAM-1").unwrap(),
            channel: Channel(0),
            folder: folder.path().to_owned(),
            keyframes: watch::channel(0).0,
            lan: None,
        };
        let tracks = vec![TrackInfo::video(Codec::H264)];
        let (outlet, mut periods) =
            Outlet::new(tracks.clone(), Mode::Sealed, &CancellationToken::new());
        let first = periods.recv().await.unwrap();
        let worker = Worker::new(camera, tracks, outlet);
        let mut stage = Self { worker, auth, archive, first, _folder: folder, _periods: periods };
        stage.returns(None);
        stage.worker.look();
        stage.worker.switch();
        assert!(stage.sends(true), "a keyframe begins");
        assert!(stage.sends(false));
        stage
    }

    /// What the camera is told with each connection.
    fn returns(&mut self, list: Option<Vec<u8>>) {
        let (auth, archive) = (self.auth.verifier(), self.archive);
        self.worker.hear(News::Bound { epoch: EPOCH, auth, archive, list });
    }

    /// A list of the owner's with one more viewer than the version before.
    fn list(&self, version: u64) -> Vec<u8> {
        self.list_of(version, version)
    }

    fn list_of(&self, version: u64, viewers: u64) -> Vec<u8> {
        let binding = Binding { serial: self.worker.camera.serial.clone(), epoch: EPOCH };
        let viewers = (0..viewers).map(|number| Viewer {
            terminal: TerminalKeys::generate().unwrap().public(),
            account: format!("account-{number}"),
            scopes: Scopes::LIVE,
            expires: None,
        });
        let list = ViewerList::new(binding, version, viewers.collect()).unwrap();
        list.sign(&self.auth).bytes().to_vec()
    }

    /// Gives the camera a frame; whether it leaves.
    fn sends(&mut self, keyframe: bool) -> bool {
        self.sent(keyframe, &[1; 100]).is_some()
    }

    /// Gives the camera an access unit; what leaves of it.
    fn sent(&mut self, keyframe: bool, unit: &'static [u8]) -> Option<Frame> {
        let MediaSource::Encoder { frames, .. } = &mut self.first.source else {
            panic!("what is sealed comes from a queue");
        };
        let (captured, ready) = (SystemTime::now(), Instant::now());
        let (track, unit) = (TrackIndex(0), unit.into());
        self.worker.pass_on(Frame { track, timestamp: 0, captured, ready, keyframe, unit });
        frames.try_recv().ok()
    }

    fn until(&self) -> Option<Instant> {
        self.worker.old_until
    }
}

#[tokio::test]
async fn a_camera_that_was_away_uses_no_old_generation_while_the_new_one_is_on_its_way() {
    let mut stage = Stage::new().await;
    let list = stage.list(1);
    stage.worker.hear(News::List(list.clone()));
    stage.worker.look();
    assert!(stage.until().is_some() && stage.sends(false), "a camera that is there goes on");
    stage.returns(Some(list));
    assert!(!stage.sends(false) && !stage.sends(true));
    assert!(stage.worker.upload.is_some(), "the new generation is still on its way");
    stage.worker.switch();
    assert!(!stage.sends(false), "it starts with a keyframe");
    assert!(stage.sends(true) && stage.sends(false));
}

#[tokio::test]
async fn a_camera_that_was_away_uses_no_old_generation_until_the_next_keyframe() {
    let mut stage = Stage::new().await;
    let list = stage.list(1);
    stage.worker.hear(News::List(list.clone()));
    stage.worker.look();
    stage.worker.switch();
    stage.returns(Some(list));
    assert!(!stage.sends(false));
    assert!(stage.sends(true) && stage.sends(false));
}

#[tokio::test]
async fn a_list_that_changed_while_the_camera_was_away_ends_the_old_generation() {
    let mut stage = Stage::new().await;
    let list = stage.list(1);
    stage.returns(Some(list));
    assert!(!stage.sends(false) && !stage.sends(true));
    stage.worker.look();
    stage.worker.switch();
    assert!(stage.sends(true) && stage.sends(false));
}

#[tokio::test]
async fn a_camera_that_missed_nothing_goes_on_where_it_was() {
    let mut stage = Stage::new().await;
    stage.returns(None);
    assert!(stage.sends(false));
    let keys = stage.worker.keys.as_mut().unwrap();
    keys.used_up();
    stage.worker.look();
    stage.returns(None);
    assert!(stage.worker.upload.is_some() && stage.until().is_none());
    assert!(stage.sends(false), "nobody was removed");
}

#[tokio::test]
async fn a_second_list_gives_the_old_generation_no_more_time() {
    let mut stage = Stage::new().await;
    let (first, second) = (stage.list(1), stage.list(2));
    stage.worker.hear(News::List(first));
    stage.worker.look();
    let until = stage.until();
    stage.worker.hear(News::List(second));
    stage.worker.look();
    assert!(until.is_some());
    assert_eq!(stage.until(), until);
    stage.worker.keys.as_mut().unwrap().used_up();
    stage.worker.look();
    assert_eq!(stage.until(), until, "whatever it is made for");
}

#[tokio::test]
async fn who_is_removed_is_gone_in_time_though_the_server_does_not_get_the_new_generation() {
    let mut stage = Stage::new().await;
    let before = Instant::now();
    let list = stage.list(1);
    stage.worker.hear(News::List(list));
    stage.worker.look();
    let until = stage.until().unwrap();
    let heard = until.checked_sub(MAX_SWITCH_WAIT).unwrap();
    assert!((before..=Instant::now()).contains(&heard), "counted from the news");
    stage.worker.end_old(until - Duration::from_micros(1));
    assert!(stage.sends(false));
    stage.worker.end_old(until);
    assert!(!stage.sends(false) && !stage.sends(true));
    stage.worker.switch();
    assert!(!stage.sends(false), "it starts with a keyframe");
    assert!(stage.sends(true) && stage.sends(false));
    assert_eq!(stage.until(), None);
}

#[tokio::test]
async fn a_late_generation_gives_the_old_one_no_more_time_until_its_keyframe() {
    let mut stage = Stage::new().await;
    let list = stage.list(1);
    stage.worker.hear(News::List(list));
    stage.worker.look();
    let until = stage.until().unwrap();
    stage.worker.switch();
    assert!(stage.sends(false), "the old generation goes on until the keyframe");
    let info = FrameInfo {
        track: TrackIndex(0),
        tier: stage.worker.tracks[0].tier,
        codec: Codec::H264,
        keyframe: false,
        discardable: false,
        discontinuity: false,
        capture: CaptureTime(1),
    };
    let sealer = stage.worker.sealer.as_mut().unwrap();
    let mut seal = |now| sealer.seal(&info, b"unit", now, &mut Vec::new());
    assert_eq!(seal(until - Duration::from_micros(1)), Ok(()));
    assert_eq!(seal(until), Err(SealFrameError::KeyframeDue));
}

#[tokio::test]
async fn a_list_that_cannot_be_stored_ends_the_old_generation_in_time_and_is_in_force_once_it_is() {
    let mut stage = Stage::new().await;
    let path = stage.worker.state_path();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let list = stage.list(1);
    stage.worker.hear(News::List(list));
    stage.worker.look();
    assert!(stage.worker.upload.is_none(), "nobody knows yet for whom");
    assert!(stage.sends(false));
    let until = stage.until().unwrap();
    stage.worker.end_old(until);
    assert!(!stage.sends(false) && !stage.sends(true));
    std::fs::remove_dir(&path).unwrap();
    stage.worker.look();
    assert_eq!(stage.worker.keys.as_ref().unwrap().lists().version(), 1);
    stage.worker.switch();
    assert!(stage.sends(true) && stage.sends(false));
    assert_eq!(stage.until(), None);
}

#[tokio::test]
async fn a_camera_whose_old_generation_has_ended_makes_another_though_its_viewers_are_the_same() {
    let mut stage = Stage::new().await;
    let path = stage.worker.state_path();
    let list = stage.list_of(1, 0);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    stage.worker.hear(News::List(list));
    let until = stage.until().unwrap();
    stage.worker.end_old(until);
    std::fs::remove_dir(&path).unwrap();
    stage.worker.look();
    stage.worker.switch();
    assert!(stage.sends(true) && stage.sends(false));
}

#[tokio::test]
async fn a_sealed_frame_says_in_the_clear_whether_others_refer_to_it() {
    let mut stage = Stage::new().await;
    let units: [(&[u8], bool); 2] =
        [(&[0, 0, 0, 1, 0x41, 0x9a], false), (&[0, 0, 0, 1, 1, 0x9a], true)];
    for (unit, discardable) in units {
        let sent = stage.sent(false, unit).unwrap();
        assert_eq!(Head::parse(&sent.unit).unwrap().descriptor.discardable, discardable);
    }
}
