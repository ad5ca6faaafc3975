//! Guests of a sealed camera: let in and removed by the owner's list, whatever the server holds or
//! hands out; and nothing of one owner works for the next.

#[path = "sealed_guests/side.rs"]
mod side;
#[path = "sealed_guests/stage.rs"]
mod stage;
mod support;

use std::time::{Duration, Instant};

use sightline_client::api::{GenerationsWanted, OtpRequest};
use sightline_client::keys::{Keyring, Scopes, TerminalKeys, Viewer, ViewerList};
use sightline_client::sealed::{FrameError, FrameOpener};
use sightline_grant::Redacted;
use sightline_relay_proto::frame::CaptureTime;
use sightline_relay_proto::ids::Channel;
use sightline_relay_proto::wire::sealed::{DESCRIPTOR_LEN, HEADER_LEN};

use self::side::{Recorded, Recording, Side, now};
use self::stage::{Owner, Stage};
use self::support::network;
use self::support::process::wait_for;

/// Nothing that was captured later than this after a removal is in force opens for who was removed.
const REMOVED_WITHIN: Duration = Duration::from_secs(2);
/// A media session of who was removed ends within this time, on a busy machine.
const CUT_WITHIN: Duration = Duration::from_secs(2);
/// How long a guest is let in for, seconds.
const GUEST_SECS: u64 = 6;
/// Longest wait for frames that a guest opens, and how often they are looked for.
const OPENS_WITHIN: Duration = Duration::from_secs(30);
const OPENS_POLL: Duration = Duration::from_millis(200);
/// Frames that make a sight.
const MIN_FRAMES: usize = 10;
/// Frames of sound between the oldest and the newest of a recording: more than the window of replays.
const BEYOND_WINDOW: usize = 1024 + 8;

/// Opens a recording with some keys; the capture times of what opened.
fn opened(recorded: &[Recorded], keyring: Keyring) -> Vec<u64> {
    let mut opener = FrameOpener::new(keyring, Channel(0));
    let mut open =
        |one: &Recorded| opener.open(&one.frame, CaptureTime(one.arrived), &mut Vec::new()).is_ok();
    recorded.iter().filter(|one| open(one)).map(|one| one.captured).collect()
}

fn after(recorded: &[Recorded], time: u64) -> usize {
    recorded.iter().filter(|one| one.captured > time).count()
}

/// What is captured from `time` on, once there is enough of it.
async fn recorded_after(owner: &Owner, time: u64) -> Vec<Recorded> {
    owner.recording.until("frames", |all| after(all, time) >= 2 * MIN_FRAMES).await;
    owner.recording.all()
}

/// Waits until a terminal opens what it watches. The first frames may be of before it was let in.
async fn opens_live(owner: &Owner, watching: &Recording, keys: &TerminalKeys) {
    let deadline = Instant::now() + OPENS_WITHIN;
    loop {
        let keyring = owner.keyring_of(keys.exchange()).await;
        let seen = opened(&watching.all(), keyring).len();
        if seen >= MIN_FRAMES {
            return;
        }
        assert!(Instant::now() < deadline, "the guest opens {seen} frames live");
        tokio::time::sleep(OPENS_POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_guest_opens_nothing_new_with_all_that_the_server_holds() {
    const NAME: &str = "a_removed_guest_opens_nothing_new_with_all_that_the_server_holds";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut owner = stage.owner("+4915110000081").await;
    let guest = TerminalKeys::generate().expect("keys");
    let side = stage.sign_in_again(&owner).await;
    let refused = side.prove_by(owner.serial(), &guest).await.expect_err("on no list");
    assert_eq!(refused.problem(), Some("device-key-invalid"));

    owner.put_list(vec![owner.viewer(&guest)]).await;
    owner.wait_for_wrap(&guest).await;
    side.prove_by(owner.serial(), &guest).await.expect("on the list");
    let watching = side.watch(owner.serial()).await;
    opens_live(&owner, &watching, &guest).await;

    let asked = now();
    owner.put_list(Vec::new()).await;
    let removed = now();
    watching.ended(CUT_WITHIN).await;
    let refused = side.grant(owner.serial()).await.expect_err("nothing to stand on");
    assert_eq!(refused.problem(), Some("device-key-required"));
    let late = removed + REMOVED_WITHIN.as_micros() as u64;
    let recorded = recorded_after(&owner, late).await;
    let hers = opened(&recorded, owner.keyring_of(&owner.archive()).await);
    assert!(hers.iter().any(|at| *at > late), "the owner goes on seeing");
    let his = opened(&recorded, owner.keyring_of(guest.exchange()).await);
    assert!(his.iter().any(|at| *at < asked), "the guest keeps what he could see");
    let past: Vec<_> = his.iter().filter(|at| **at > late).collect();
    assert!(past.is_empty(), "{} frames opened after the removal", past.len());
    sightline_grant::requirement!("B3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_removed_while_the_camera_is_away_opens_nothing_from_its_next_frame_on() {
    const NAME: &str =
        "a_guest_removed_while_the_camera_is_away_opens_nothing_from_its_next_frame_on";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut owner = stage.owner("+4915110000082").await;
    let guest = TerminalKeys::generate().expect("keys");
    owner.put_list(vec![owner.viewer(&guest)]).await;
    owner.wait_for_wrap(&guest).await;
    recorded_after(&owner, now()).await;
    owner.stop_camera();
    owner.put_list(Vec::new()).await;
    let away = now();
    owner.start_camera();
    owner.watch_again().await;
    let recorded = recorded_after(&owner, away).await;
    let hers = opened(&recorded, owner.keyring_of(&owner.archive()).await);
    assert!(hers.iter().any(|at| *at > away));
    let his = opened(&recorded, owner.keyring_of(guest.exchange()).await);
    let past = his.iter().filter(|at| **at > away).count();
    assert_eq!((past, his.iter().any(|at| *at < away)), (0, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_removed_before_the_camera_finds_its_server_again_opens_nothing_new() {
    const NAME: &str = "a_guest_removed_before_the_camera_finds_its_server_again_opens_nothing_new";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut owner = stage.owner("+4915110000088").await;
    let guest = TerminalKeys::generate().expect("keys");
    owner.put_list(vec![owner.viewer(&guest)]).await;
    owner.wait_for_wrap(&guest).await;
    recorded_after(&owner, now()).await;
    owner.recording.until("frames", |all| all.len() >= MIN_FRAMES).await;
    stage.restart_server();
    owner.put_list(Vec::new()).await;
    let late = now() + REMOVED_WITHIN.as_micros() as u64;
    owner.watch_again().await;
    let recorded = recorded_after(&owner, late).await;
    let hers = opened(&recorded, owner.keyring_of(&owner.archive()).await);
    assert!(hers.iter().any(|at| *at > late));
    let his = opened(&recorded, owner.keyring_of(guest.exchange()).await);
    assert_eq!(his.iter().filter(|at| **at > late).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_whose_time_is_over_is_cut_off() {
    const NAME: &str = "a_guest_whose_time_is_over_is_cut_off";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut owner = stage.owner("+4915110000089").await;
    let guest = TerminalKeys::generate().expect("keys");
    let side = stage.sign_in_again(&owner).await;
    let end = now() / 1_000_000 + GUEST_SECS;
    owner.put_list(vec![Viewer { expires: Some(end), ..owner.viewer(&guest) }]).await;
    side.prove_by(owner.serial(), &guest).await.expect("on the list");
    let watching = side.watch(owner.serial()).await;
    watching.until("frames of the guest", |all| all.len() >= MIN_FRAMES).await;
    let left = Duration::from_micros((end * 1_000_000).saturating_sub(now()));
    watching.ended(left + CUT_WITHIN).await;
    assert!(now() >= end * 1_000_000, "not before its time");
    let late = end * 1_000_000 + REMOVED_WITHIN.as_micros() as u64;
    let recorded = recorded_after(&owner, late).await;
    let his = opened(&recorded, owner.keyring_of(guest.exchange()).await);
    assert!(!his.is_empty() && his.iter().all(|at| *at <= late));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forges_or_replays_a_list_lets_nobody_in() {
    const NAME: &str = "a_server_that_forges_or_replays_a_list_lets_nobody_in";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut owner = stage.owner("+4915110000083").await;
    let [guest, server] = [0, 1].map(|_| TerminalKeys::generate().expect("keys"));
    let first = owner.put_list(vec![owner.viewer(&guest)]).await;
    owner.wait_for_wrap(&guest).await;
    owner.put_list(Vec::new()).await;
    recorded_after(&owner, now()).await;
    // A key of the server's own, under a signature of the server's own; and the list of before.
    let mut forged = owner.signed_by_another(9, vec![owner.viewer(&server)]);
    let ours = owner.side.prove_by(owner.serial(), &server).await;
    assert_eq!(ours.expect_err("not listed").problem(), Some("device-key-invalid"));
    for (list, version) in [(std::mem::take(&mut forged), 9), (first, 1)] {
        let from = now();
        stage.replace_list(owner.serial(), &list, version);
        let proof = owner.side.prove_by(owner.serial(), &server).await;
        assert_eq!(proof.expect_err("forged").problem(), Some("device-key-invalid"));
        // At its start the camera asks for the list, and does not take this one.
        owner.stop_camera();
        owner.start_camera();
        owner.watch_again().await;
        // What the camera sent before it was stopped may still arrive; what it sends after this does
        // not.
        wait_for("the camera's refusal", Duration::from_secs(10), || {
            owner.camera_said().contains("viewer list is not taken").then_some(())
        });
        let recorded = recorded_after(&owner, now()).await;
        let hers = opened(&recorded, owner.keyring_of(&owner.archive()).await);
        assert!(hers.iter().any(|at| *at > from));
        for keys in [&guest, &server] {
            let theirs = opened(&recorded, owner.keyring_of(keys.exchange()).await);
            assert!(theirs.iter().all(|at| *at <= from), "list {version}");
        }
    }
}

/// A change of recorded frames, and how it is told.
type Change = (&'static str, fn(&mut Vec<u8>), fn(&FrameError) -> bool);

const CHANGES: [Change; 6] = [
    ("flags of the descriptor", |frame| frame[1] ^= 1, is_told),
    ("capture time", |frame| frame[13] ^= 1, is_told),
    ("counter in the SFrame header", |frame| frame[DESCRIPTOR_LEN + HEADER_LEN - 1] ^= 1, is_told),
    (
        "ciphertext",
        |frame| frame[DESCRIPTOR_LEN + HEADER_LEN] ^= 1,
        |error| *error == FrameError::Tampered,
    ),
    ("tag", |frame| *frame.last_mut().expect("a tag") ^= 1, |error| *error == FrameError::Tampered),
    ("cut short", |frame| frame.truncate(frame.len() - 1), is_told),
];

fn is_told(error: &FrameError) -> bool {
    !matches!(error, FrameError::Crypto(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_changes_swaps_or_repeats_is_not_shown() {
    const NAME: &str = "what_a_server_changes_swaps_or_repeats_is_not_shown";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut owner = stage.owner("+4915110000084").await;
    let other = stage.owner("+4915110000085").await;
    other.recording.until("another camera", |all| all.len() >= MIN_FRAMES).await;
    let sound = |all: &[Recorded]| all.iter().filter(|one| one.is_sound).count();
    owner.recording.until("enough sound", |all| sound(all) > BEYOND_WINDOW).await;
    let recorded = owner.recording.all();
    let keyring = owner.keyring_of(&owner.archive()).await;
    let mut opener = FrameOpener::new(keyring, Channel(0));
    let open = |opener: &mut FrameOpener, frame: &[u8], at: u64| {
        let mut shown = Vec::new();
        let result = opener.open(frame, CaptureTime(at), &mut shown);
        assert_eq!(result.is_ok(), !shown.is_empty(), "what is refused is not shown");
        result
    };
    for one in &recorded[..MIN_FRAMES] {
        for (what, change, told) in CHANGES {
            let mut changed = one.frame.to_vec();
            change(&mut changed);
            let error = open(&mut opener, &changed, one.arrived).expect_err(what);
            assert!(told(&error), "{what}: {error}");
        }
        for bit in 0..8 * (DESCRIPTOR_LEN + HEADER_LEN) {
            let mut changed = one.frame.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&mut opener, &changed, one.arrived).is_err(), "bit {bit}");
        }
    }
    let sounds: Vec<_> = recorded.iter().filter(|one| one.is_sound).collect();
    let (oldest, newest) = (sounds[0], sounds[sounds.len() - 1]);
    let fresh = open(&mut opener, &newest.frame, newest.arrived).expect("not touched");
    assert_eq!(fresh.delayed, None);
    let again = open(&mut opener, &newest.frame, newest.arrived);
    assert_eq!(again.expect_err("replayed"), FrameError::Replayed);
    let behind = open(&mut opener, &oldest.frame, newest.arrived);
    assert_eq!(behind.expect_err("beyond the window"), FrameError::TooFarBehind);

    // A fresh viewer who is given the beginning of the recording now is told that it is old.
    let keyring = owner.keyring_of(&owner.archive()).await;
    let mut fresh = FrameOpener::new(keyring, Channel(0));
    let old = open(&mut fresh, &recorded[0].frame, now()).expect("authentic");
    assert!(old.delayed.is_some_and(|late| late > Duration::from_secs(5)));

    for one in &other.recording.all()[..MIN_FRAMES] {
        let swapped = open(&mut opener, &one.frame, one.arrived);
        assert_eq!(swapped.expect_err("another camera's"), FrameError::OtherCamera);
    }
    let mut keyring = owner.empty_keyring();
    for blob in other.blobs(&other.archive()).await {
        for key in [owner.archive(), other.archive()] {
            assert!(
                keyring.accept(&blob, &key, now() / 1_000_000).is_err(),
                "another camera's keys"
            );
        }
    }
    owner.stop_camera();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_one_owner_works_for_the_next_and_the_reverse() {
    const NAME: &str = "nothing_of_one_owner_works_for_the_next_and_the_reverse";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut anna = stage.owner("+4915110000086").await;
    let guest = TerminalKeys::generate().expect("keys");
    let annas_list = anna.put_list(vec![anna.viewer(&guest)]).await;
    anna.wait_for_wrap(&guest).await;
    let of_anna = recorded_after(&anna, now()).await;
    let annas_blobs = anna.blobs(guest.exchange()).await;
    let annas_archive_blobs = anna.blobs(&anna.archive()).await;
    let grant = anna.side.grant(anna.serial()).await.expect("a grant");

    let ben = stage.hand_over(&mut anna, "+4915110000087").await;
    let of_ben = recorded_after(&ben, now()).await;
    assert!(opened(&of_ben, ben.keyring_of(&ben.archive()).await).len() >= MIN_FRAMES);

    // Anna's grant, login, list and keys, towards Ben's camera.
    let used = anna.side.api.roq_session(&grant, anna.serial(), 0).await.expect_err("dead");
    assert_eq!(used.problem(), Some("grant-invalid"));
    for refused in [
        anna.side.grant(anna.serial()).await.map(drop),
        anna.side.api.viewer_list(&anna.side.access, anna.serial()).await.map(drop),
        anna.side.api.put_viewer_list(&anna.side.access, anna.serial(), &annas_list).await,
        anna.side.prove_by(anna.serial(), &guest).await,
    ] {
        assert_eq!(refused.expect_err("not hers").problem(), Some("device-not-bound"));
    }
    let replayed = ben.side.api.put_viewer_list(&ben.side.access, ben.serial(), &annas_list).await;
    assert_eq!(replayed.expect_err("Anna's").problem(), Some("list-other-binding"));
    let forged = ViewerList::new(ben.binding(), 1, vec![ben.viewer(&guest)]).expect("a list");
    let forged = forged.sign(&anna.auth());
    let put = ben.side.api.put_viewer_list(&ben.side.access, ben.serial(), forged.bytes()).await;
    assert_eq!(put.expect_err("Anna's secret").problem(), Some("list-invalid"));
    for key in [&anna.archive(), guest.exchange()] {
        let keyring = ben.keyring_of(key).await;
        assert!(opened(&of_ben, keyring).is_empty(), "Ben's frames, keys of Anna's time");
    }
    let mut of_now = ben.empty_keyring();
    for blob in annas_blobs.iter().chain(&annas_archive_blobs) {
        for key in [&anna.archive(), guest.exchange(), &ben.archive()] {
            assert!(of_now.accept(blob, key, now() / 1_000_000).is_err(), "Anna's blobs");
        }
    }

    // And the reverse: Ben's keys and blobs, towards what Anna recorded.
    let mut of_then = anna.empty_keyring();
    for blob in ben.blobs(&ben.archive()).await {
        for key in [&ben.archive(), &anna.archive()] {
            assert!(of_then.accept(&blob, key, now() / 1_000_000).is_err(), "Ben's blobs");
        }
    }
    for blob in &annas_archive_blobs {
        assert!(of_then.accept(blob, &ben.archive(), now() / 1_000_000).is_err());
    }
    assert!(opened(&of_anna, of_then).is_empty(), "Anna's frames, with all that Ben has");
    sightline_grant::requirement!("B3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_guest_who_kept_everything_gets_nothing_from_this_owner_or_the_next() {
    const NAME: &str =
        "a_former_guest_who_kept_everything_gets_nothing_from_this_owner_or_the_next";
    if !network::inside(NAME) {
        return;
    }
    let mut stage = Stage::new().await;
    let mut anna = stage.owner("+4915110000101").await;
    let keys = TerminalKeys::generate().expect("keys");
    let (ben, code) = stage.guest(&anna, "+4915110000102").await;
    let refused = ben.prove_by(anna.serial(), &keys).await.expect_err("on no list");
    assert_eq!(refused.problem(), Some("device-key-invalid"));
    let account = ben.api.me(&ben.access).await.expect("an account").id;
    anna.put_list(vec![Viewer { account, ..anna.viewer(&keys) }]).await;
    anna.wait_for_wrap(&keys).await;
    ben.prove_by(anna.serial(), &keys).await.expect("on the list");
    let watching = ben.watch(anna.serial()).await;
    // The camera takes a second at most to seal for the new list; what is cached is older.
    let from = now() + 1_000_000;
    watching.until("frames of the guest", |all| after(all, from) >= MIN_FRAMES).await;
    let keyring = anna.keyring_of(keys.exchange()).await;
    assert!(opened(&watching.all(), keyring).len() >= MIN_FRAMES, "the guest opens it live");

    // Everything that he can keep: a grant, a ticket, a challenge, the invitation, his keys.
    let kept = Kept {
        grant: ben.grant(anna.serial()).await.expect("a grant"),
        session: ben.socket_ticket(anna.serial()).await.expect("a ticket"),
        code: Redacted::new(code),
        share: ben.api.shares(&ben.access).await.expect("his shares")[0].id.clone(),
    };
    let serial = anna.serial().to_owned();
    anna.terminal.end_share(&serial).await;
    watching.ended(CUT_WITHIN).await;
    kept.gets_nothing(&ben, &serial, &keys).await;
    let still_listed = anna.blobs(keys.exchange()).await;
    assert!(!still_listed.is_empty(), "the list has him on, which helps him to nothing");

    anna.put_list(Vec::new()).await;
    let late = now() + REMOVED_WITHIN.as_micros() as u64;
    let recorded = recorded_after(&anna, late).await;
    let his = opened(&recorded, anna.keyring_of(keys.exchange()).await);
    assert_eq!(his.iter().filter(|at| **at > late).count(), 0, "the camera leaves him out");
    let carl = stage.hand_over(&mut anna, "+4915110000103").await;
    kept.gets_nothing(&ben, carl.serial(), &keys).await;
    let of_carl = recorded_after(&carl, now()).await;
    assert!(opened(&of_carl, carl.keyring_of(keys.exchange()).await).is_empty());
    sightline_grant::requirement!("B3", "B14", "M13");
}

/// What a guest had when the share ended.
struct Kept {
    grant: Redacted<String>,
    session: String,
    code: Redacted<String>,
    share: String,
}

impl Kept {
    /// Tries all of it.
    async fn gets_nothing(&self, ben: &Side, serial: &str, keys: &TerminalKeys) {
        let (api, access) = (&ben.api, &ben.access);
        let used = api.roq_session(&self.grant, serial, 0).await.expect_err("dead");
        // A grant is used up by the first try, whatever became of it.
        let dead = matches!(used.problem(), Some("grant-invalid" | "grant-replayed"));
        assert!(dead, "{used}");
        assert_eq!(ben.enter_socket(&self.session).await, 404, "a ticket");
        let wanted = GenerationsWanted {
            channel: 0,
            recipient: keys.exchange().public().0,
            after: 0,
            limit: 64,
        };
        let view = OtpRequest::View { serial: serial.to_owned() };
        for (what, refused) in [
            ("a grant", ben.grant(serial).await.map(drop)),
            ("keys", api.generations(access, serial, &wanted).await.map(drop)),
            ("a proof", ben.prove_by(serial, keys).await),
            ("a viewing code", api.otp(&view, Some(access)).await.map(drop)),
            ("the list", api.viewer_list(access, serial).await.map(drop)),
            ("the shares", api.shares_of(access, serial).await.map(drop)),
        ] {
            assert_eq!(refused.expect_err(what).problem(), Some("device-not-bound"), "{what}");
        }
        let again = api.invitation(access, &self.code).await.expect_err("used");
        assert_eq!(again.problem(), Some("invitation-unknown"));
        let commitment = [1; 32];
        let met = api.open_share_introduction(access, &self.share, &commitment).await;
        assert_eq!(met.expect_err("over").problem(), Some("introduction-unknown"));
        assert!(api.shares(access).await.expect("a list").is_empty());
        assert!(api.devices(access).await.expect("a list").is_empty());
    }
}

impl Owner {
    /// An entry for a terminal of the owner's account.
    fn viewer(&self, keys: &TerminalKeys) -> Viewer {
        Viewer {
            terminal: keys.public(),
            account: self.account.clone(),
            scopes: Scopes::LIVE,
            expires: None,
        }
    }
}
