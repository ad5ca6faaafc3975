//! The mailbox of sealed video from outside: what it takes, refuses and hands out.

use axum::http::StatusCode;
use sightline_grant::requirement;

use super::*;
use crate::limits::{BLOB_BODY_BYTES, GENERATIONS_PER_PAGE};
use crate::sealed::generation::{MAX_BLOB_LEN, MAX_WRAPS, MIN_GENERATION};
use crate::sealed::list::MAX_LIST_LEN;
use crate::sealed::testing::{BlobOf, ListOf, key_of, wrap_for};
use crate::tests::rig::{User, terminal};

const LIST: &str = "/v1/devices/CAM-1/viewer-list";
const GENERATIONS: &str = "/v1/devices/CAM-1/generations";
const WRAPS: &str = "/v1/devices/CAM-1/wraps";
/// Seeds: the camera's identity, and the `auth` key of its device secret.
pub(super) const CAMERA: u8 = 100;
pub(super) const AUTH: u8 = 101;

fn list(epoch: u64, version: u64) -> ListOf<'static> {
    ListOf { serial: "CAM-1", epoch, version, viewers: 2, account: 5 }
}

/// The `nth` generation, for recipients 0 and 1.
fn blob(epoch: u64, nth: u64) -> BlobOf<'static> {
    BlobOf { serial: "CAM-1", epoch, number: MIN_GENERATION + nth, suite: 4, wraps: 2 }
}

fn wanted(recipient: u16) -> Value {
    json!({"channel": 0, "recipient": B64.encode(key_of(recipient)), "limit": 64})
}

impl<'a> Client<'a> {
    pub(super) fn of(rig: &'a Rig, user: &User, seed: u8) -> Self {
        let token = Some(user.signed_in.tokens.access.expose().clone());
        Self { token, ..Self::new(rig, seed) }
    }

    async fn put_list(&self, signed: &[u8]) -> Answer {
        self.call("PUT", LIST, Some(json!({"list": B64.encode(signed)}))).await
    }

    async fn put_blob(&self, blob: &[u8]) -> Answer {
        let body = json!({"blob": B64.encode(blob)});
        self.call("PUT", "/v1/device/generations", Some(body)).await
    }

    async fn add_wrap(&self, nth: u64, wrap: &[u8]) -> Answer {
        let body = json!({"generation": MIN_GENERATION + nth, "wrap": B64.encode(wrap)});
        self.call("POST", WRAPS, Some(body)).await
    }

    /// Numbers, from the first on, and blobs of a page, and whether there are more.
    async fn page(&self, wanted: Value) -> (Vec<u64>, Vec<Vec<u8>>, bool) {
        let answer = self.call("POST", GENERATIONS, Some(wanted)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let items = answer.body["generations"].as_array().unwrap();
        let number = |item: &Value| item["generation"].as_u64().unwrap() - MIN_GENERATION;
        let bytes = |item: &Value| B64.decode(item["blob"].as_str().unwrap()).unwrap();
        let more = answer.body["more"].as_bool().unwrap();
        (items.iter().map(number).collect(), items.iter().map(bytes).collect(), more)
    }
}

/// Anna with a sealed camera and all that the gate asks for; the camera; the binding epoch.
pub(super) async fn watching(rig: &Rig) -> (User, Client<'_>, Client<'_>, u64) {
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let epoch = rig.cp.device_of(terminal(CAMERA)).await.unwrap().epochs.binding;
    let app = Client::of(rig, &anna, 1);
    (anna, app, Client::new(rig, CAMERA), epoch)
}

#[tokio::test]
async fn an_owners_list_reaches_the_camera_and_wakes_its_poll() {
    let rig = Rig::new().await;
    let (_anna, app, camera, epoch) = watching(&rig).await;
    let none = app.call("GET", LIST, None).await;
    assert_eq!(none.body, json!({"binding_epoch": epoch, "version": 0, "list": null}));
    let nine = list(epoch, 9).signed(&key(AUTH));
    for time in ["first", "again"] {
        let answer = app.put_list(&nine).await;
        assert_eq!((answer.status, &answer.body["version"]), (StatusCode::OK, &json!(9)), "{time}");
    }
    let expected = json!({"binding_epoch": epoch, "version": 9, "list": B64.encode(&nine)});
    assert_eq!(app.call("GET", LIST, None).await.body, expected);
    assert_eq!(camera.call("GET", "/v1/device/viewer-list", None).await.body, expected);

    let key_epoch = rig.cp.device_of(terminal(CAMERA)).await.unwrap().epochs.key;
    let poll = async |known: Value| camera.call("POST", "/v1/device/poll", Some(known)).await.body;
    let at_once = poll(json!({"binding_epoch": epoch, "key_epoch": key_epoch})).await;
    assert_eq!(at_once["list_version"], 9, "a camera that knows of no list");
    let knows = json!({"binding_epoch": epoch, "key_epoch": key_epoch, "list_version": 9});
    let ten = list(epoch, 10).signed(&key(AUTH));
    let (woken, put) = tokio::join!(poll(knows), app.put_list(&ten));
    assert_eq!((put.status, &woken["list_version"]), (StatusCode::OK, &json!(10)));
}

#[tokio::test]
async fn a_list_that_is_not_the_owners_newest_is_refused_with_its_own_problem() {
    let rig = Rig::new().await;
    let (_anna, app, camera, epoch) = watching(&rig).await;
    let auth = key(AUTH);
    let old = list(epoch, 8).signed(&auth);
    for version in [8, 9] {
        assert_eq!(app.put_list(&list(epoch, version).signed(&auth)).await.status, StatusCode::OK);
    }
    let mut flipped = list(epoch, 10).signed(&auth);
    flipped[40] ^= 1;
    let (conflict, bad) = (StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY);
    for (signed, status, problem) in [
        (old, conflict, "list-not-newer"),
        (ListOf { viewers: 1, ..list(epoch, 9) }.signed(&auth), conflict, "list-not-newer"),
        (list(epoch - 1, 10).signed(&auth), conflict, "list-other-binding"),
        (list(epoch + 1, 10).signed(&auth), conflict, "list-other-binding"),
        (
            ListOf { serial: "CAM-2", ..list(epoch, 10) }.signed(&auth),
            conflict,
            "list-other-binding",
        ),
        (list(epoch, 10).signed(&key(CAMERA)), bad, "list-invalid"),
        (flipped, bad, "list-invalid"),
        (vec![1; MAX_LIST_LEN + 1], bad, "list-invalid"),
        (Vec::new(), bad, "list-invalid"),
    ] {
        let answer = app.put_list(&signed).await;
        assert_eq!((answer.status, answer.problem()), (status, problem));
    }
    let held = camera.call("GET", "/v1/device/viewer-list", None).await;
    assert_eq!(held.body["version"], 9, "nothing of it changed the list");
    let text = app.call("PUT", LIST, Some(json!({"list": "no base64 ="}))).await;
    assert_eq!(text.problem(), "bad-request");
}

#[tokio::test]
async fn a_list_is_the_owners_and_a_sealed_devices() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", CAMERA).await;
    let app = Client::of(&rig, &anna, 1);
    let problem = async |client: &Client<'_>| {
        let put = client.put_list(&list(1, 1).signed(&key(AUTH))).await;
        let shown = client.call("GET", LIST, None).await;
        (put.problem().to_owned(), shown.body["type"].as_str().map(str::to_owned))
    };
    let not_bound = ("device-not-bound".to_owned(), Some("/problems/device-not-bound".to_owned()));
    assert_eq!(problem(&app).await, not_bound, "nobody's");
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    assert_eq!(problem(&app).await, ("device-key-missing".to_owned(), None), "no key yet");
    let ben = rig.sign_in(BEN, 2).await;
    assert_eq!(problem(&Client::of(&rig, &ben, 2)).await, not_bound, "another's");

    let open = rig.add_open("CAM-2").await;
    let auth = crate::tests::rig::auth_of(open.publish_password.as_ref().unwrap());
    let (challenge, message) = rig.challenge(&anna, "CAM-2").await;
    let wish = json!({
        "serial": "CAM-2", "code": open.verification_code.expose(),
        "challenge_id": challenge, "signature": B64.encode(auth.sign(&message)),
    });
    let bound = app.call("POST", "/v1/bindings", Some(wish)).await;
    assert_eq!(bound.status, StatusCode::CREATED, "{}", bound.body);
    let epoch = bound.body["binding_epoch"].as_u64().unwrap();
    let put = async |auth: &Ed25519KeyPair| {
        let signed = ListOf { serial: "CAM-2", ..list(epoch, 1) }.signed(auth);
        let body = json!({"list": B64.encode(signed)});
        app.call("PUT", "/v1/devices/CAM-2/viewer-list", Some(body)).await
    };
    assert_eq!(put(&key(AUTH)).await.problem(), "list-invalid", "not by its password");
    let stored = put(&auth).await;
    assert_eq!(stored.status, StatusCode::OK, "an open device, for the proofs of guests");
    rig.cp.rotate_publish_password("CAM-2").await.unwrap();
    let shown = app.call("GET", "/v1/devices/CAM-2/viewer-list", None).await;
    assert_eq!(shown.body["version"], 0, "what the former password signed holds no more");
}

#[tokio::test]
async fn a_generation_is_taken_once_from_its_camera_and_only_with_a_higher_number() {
    let rig = Rig::new().await;
    let (_anna, app, camera, epoch) = watching(&rig).await;
    let identity = key(CAMERA);
    for nth in [1, 5, 1, 5] {
        let answer = camera.put_blob(&blob(epoch, nth).signed(&identity)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{nth}: {}", answer.body);
    }
    let mut flipped = blob(epoch, 6).signed(&identity);
    flipped[60] ^= 1;
    let (conflict, bad) = (StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY);
    for (signed, status, problem) in [
        (blob(epoch, 4).signed(&identity), conflict, "generation-not-newer"),
        (BlobOf { wraps: 1, ..blob(epoch, 5) }.signed(&identity), conflict, "generation-not-newer"),
        (blob(epoch - 1, 6).signed(&identity), conflict, "generation-other-binding"),
        (blob(epoch + 1, 6).signed(&identity), conflict, "generation-other-binding"),
        (blob(epoch, 6).signed(&key(AUTH)), bad, "generation-invalid"),
        (flipped, bad, "generation-invalid"),
        (Vec::new(), bad, "generation-invalid"),
    ] {
        let answer = camera.put_blob(&signed).await;
        assert_eq!((answer.status, answer.problem()), (status, problem));
    }
    assert_eq!(app.page(wanted(0)).await.0, [5, 1]);
    let stranger = Client::new(&rig, 99).put_blob(&blob(epoch, 6).signed(&key(99))).await;
    assert_eq!(stranger.problem(), "device-unknown");
}

#[tokio::test]
async fn a_camera_cannot_hand_in_the_blob_of_another() {
    let rig = Rig::new().await;
    let (anna, app, _camera, epoch) = watching(&rig).await;
    let texts = rig.add_sealed("CAM-2", 200).await;
    let other_epoch = rig.bind_sealed(&anna, "CAM-2", &texts).await;
    assert_eq!(other_epoch, epoch, "only serial and key tell them apart");
    let other = Client::new(&rig, 200);
    let swapped = other.put_blob(&blob(epoch, 1).signed(&key(CAMERA))).await;
    assert_eq!(swapped.problem(), "generation-other-binding");
    let renamed = BlobOf { serial: "CAM-2", ..blob(epoch, 1) }.signed(&key(CAMERA));
    assert_eq!(other.put_blob(&renamed).await.problem(), "generation-invalid");
    assert_eq!(app.page(wanted(0)).await.0, [0; 0]);
}

#[tokio::test]
async fn the_largest_generation_is_taken_and_no_larger_body() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let serial = "S".repeat(64);
    let texts = rig.add_sealed(&serial, CAMERA).await;
    let epoch = rig.bind_sealed(&anna, &serial, &texts).await;
    let camera = Client::new(&rig, CAMERA);
    let wraps = MAX_WRAPS as u16;
    let largest = BlobOf { serial: &serial, wraps, ..blob(epoch, 1) }.signed(&key(CAMERA));
    assert_eq!(largest.len(), MAX_BLOB_LEN);
    assert_eq!(camera.put_blob(&largest).await.status, StatusCode::NO_CONTENT);
    let longer = [&largest[..], &[0]].concat();
    assert_eq!(camera.put_blob(&longer).await.problem(), "generation-invalid");
    let put = async |body: String| {
        let path = "/v1/device/generations";
        let proof = camera.proof("PUT", path);
        camera.send("PUT", path, Some(body), Some(&proof)).await
    };
    let fits = format!(r#"{{"blob":"{}"}} "#, "A".repeat(BLOB_BODY_BYTES - 12));
    assert_eq!(fits.len(), BLOB_BODY_BYTES);
    assert_eq!(put(fits.clone()).await.problem(), "generation-invalid");
    assert_eq!(put(fits + " ").await.problem(), "body-too-large");
}

#[tokio::test]
async fn generations_pass_the_whole_gate_in_its_order() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let app = Client::of(&rig, &anna, 1);
    let ask = async |client: &Client<'_>| {
        let answer = client.call("POST", GENERATIONS, Some(wanted(0))).await;
        (answer.status.as_u16(), answer.problem().to_owned())
    };
    let refused = |status: u16, problem: &str| (status, problem.to_owned());
    let thief = Client { token: app.token.clone(), ..Client::new(&rig, 2) };
    assert_eq!(ask(&thief).await, refused(401, "wrong-terminal"));
    let texts = rig.add_sealed("CAM-1", CAMERA).await;
    assert_eq!(ask(&app).await, refused(404, "device-not-bound"));
    let epoch = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let camera = Client::new(&rig, CAMERA);
    let put = camera.put_blob(&blob(epoch, 1).signed(&key(CAMERA))).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT);
    assert_eq!(ask(&app).await, refused(403, "device-key-required"));
    let auth = key(AUTH);
    rig.cp.store_verifier(terminal(CAMERA), epoch, auth.public_key().as_ref()).await.unwrap();
    assert!(rig.prove(&anna, "CAM-1", &auth).await);
    assert_eq!(ask(&app).await, refused(403, "sms-required"));
    rig.open_window(&anna, ANNA, "CAM-1").await;
    assert_eq!(ask(&app).await, refused(403, "consent-required"));
    rig.cp.grant_consent(&anna.session, "media.view", 1).await.unwrap();
    assert_eq!(app.page(wanted(0)).await.0, [1]);
    let channel = json!({"channel": 1, "recipient": B64.encode(key_of(0)), "limit": 1});
    let other = app.call("POST", GENERATIONS, Some(channel)).await;
    assert_eq!(other.problem(), "device-not-bound", "no such channel");
    rig.cp.withdraw_consent(&anna.session, "media.view").await.unwrap();
    assert_eq!(ask(&app).await, refused(403, "consent-required"));
    requirement!("A23");
}

#[tokio::test]
async fn a_viewer_gets_its_own_wrap_page_by_page_and_nobody_elses() {
    let rig = Rig::new().await;
    let (_anna, app, camera, epoch) = watching(&rig).await;
    let identity = key(CAMERA);
    for nth in 1..=3 {
        let put = camera.put_blob(&blob(epoch, nth).signed(&identity)).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT);
    }
    let bare = BlobOf { wraps: 0, ..blob(epoch, 3) }.signed(&identity);
    let signed = &bare[..bare.len() - 2];
    for recipient in [0, 1] {
        let one = [signed, &[0, 1], &wrap_for(recipient, 0)].concat();
        assert_eq!(app.page(wanted(recipient)).await.1[0], one);
    }
    assert_eq!(app.page(wanted(7)).await.1[0], bare, "not a recipient");

    let with = |after: u64, limit: u64| {
        let after = if after == 0 { 0 } else { MIN_GENERATION + after };
        let recipient = B64.encode(key_of(0));
        json!({"channel": 0, "recipient": recipient, "after": after, "limit": limit})
    };
    for (after, limit, numbers, more) in [
        (0, 3, &[3, 2, 1][..], false),
        (0, 2, &[3, 2], true),
        (1, 1, &[2], true),
        (1, 2, &[2, 3], false),
        (3, 1, &[], false),
    ] {
        let page = app.page(with(after, limit)).await;
        assert_eq!((page.0.as_slice(), page.2), (numbers, more), "{limit} after {after}");
    }
    assert_eq!(app.page(with(0, GENERATIONS_PER_PAGE)).await.0, [3, 2, 1]);
    let short = json!({"channel": 0, "recipient": B64.encode([0; 31]), "limit": 1});
    for body in [with(0, 0), with(0, GENERATIONS_PER_PAGE + 1), short] {
        let answer = app.call("POST", GENERATIONS, Some(body)).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (400, "bad-request"));
    }
}

#[tokio::test]
async fn an_owner_adds_wraps_and_leaves_the_cameras_alone() {
    let rig = Rig::new().await;
    let (_anna, app, camera, epoch) = watching(&rig).await;
    assert_eq!(app.add_wrap(1, &wrap_for(9, 9)).await.problem(), "generation-unknown");
    camera.put_blob(&blob(epoch, 1).signed(&key(CAMERA))).await;
    assert_eq!(app.add_wrap(1, &wrap_for(9, 9)).await.status, StatusCode::NO_CONTENT);
    assert!(app.page(wanted(9)).await.1[0].ends_with(&wrap_for(9, 9)));
    let taken = app.add_wrap(1, &wrap_for(1, 9)).await;
    assert_eq!((taken.status, taken.problem()), (StatusCode::CONFLICT, "wrap-exists"));
    assert!(app.page(wanted(1)).await.1[0].ends_with(&wrap_for(1, 0)));
    for bytes in [&wrap_for(9, 9)[1..], &[wrap_for(9, 9), vec![0]].concat()] {
        let answer = app.add_wrap(1, bytes).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "wrap-invalid"));
    }
    for recipient in 10..10 + MAX_WRAPS as u16 - 3 {
        let added = app.add_wrap(1, &wrap_for(recipient, 0)).await;
        assert_eq!(added.status, StatusCode::NO_CONTENT, "{recipient}");
    }
    let full = app.add_wrap(1, &wrap_for(9999, 0)).await;
    assert_eq!((full.status, full.problem()), (StatusCode::CONFLICT, "wraps-full"));
    let ben = rig.sign_in(BEN, 2).await;
    let stranger = Client::of(&rig, &ben, 2).add_wrap(1, &wrap_for(9, 1)).await;
    assert_eq!(stranger.problem(), "device-not-bound");
}

#[tokio::test]
async fn a_new_owner_gets_nothing_of_the_former_owners_mailbox_and_the_reverse() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.admitted(&anna, ANNA, "CAM-1").await;
    let first = rig.cp.device_of(terminal(CAMERA)).await.unwrap().epochs.binding;
    let (camera, identity) = (Client::new(&rig, CAMERA), key(CAMERA));
    let annas = list(first, 7).signed(&key(AUTH));
    let old_blob = blob(first, 1).signed(&identity);
    let app = Client::of(&rig, &anna, 1);
    assert_eq!(app.put_list(&annas).await.status, StatusCode::OK);
    assert_eq!(camera.put_blob(&old_blob).await.status, StatusCode::NO_CONTENT);
    let ben = rig.sign_in(BEN, 2).await;
    assert!(rig.cp.unbind(&anna.session, "CAM-1").await.unwrap());
    let nobodys = camera.call("GET", "/v1/device/viewer-list", None).await;
    assert_eq!((&nobodys.body["version"], &nobodys.body["list"]), (&json!(0), &Value::Null));
    let unbound = camera.put_blob(&blob(first + 1, 2).signed(&identity)).await;
    assert_eq!(unbound.problem(), "generation-other-binding");

    let second = rig.bind_sealed(&ben, "CAM-1", &texts).await;
    rig.key_and_facts(&ben, BEN, "CAM-1", second, 102).await;
    let new = Client::of(&rig, &ben, 2);
    let empty = new.call("GET", LIST, None).await;
    assert_eq!(empty.body, json!({"binding_epoch": second, "version": 0, "list": null}));
    assert_eq!(new.page(wanted(0)).await.0, [0; 0]);
    assert_eq!(new.add_wrap(1, &wrap_for(9, 9)).await.problem(), "generation-unknown");
    assert_eq!(new.put_list(&annas).await.problem(), "list-other-binding");
    let forged = list(second, 8).signed(&key(AUTH));
    assert_eq!(new.put_list(&forged).await.problem(), "list-invalid", "the former secret");
    assert_eq!(camera.put_blob(&old_blob).await.problem(), "generation-other-binding");
    let reused = camera.put_blob(&blob(second, 1).signed(&identity)).await;
    assert_eq!(reused.problem(), "generation-not-newer", "numbers go on over owners");

    assert_eq!(new.put_list(&list(second, 1).signed(&key(102))).await.status, StatusCode::OK);
    let put = camera.put_blob(&blob(second, 2).signed(&identity)).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT);
    assert_eq!(new.page(wanted(0)).await.0, [2]);
    for answer in [
        app.call("GET", LIST, None).await,
        app.put_list(&annas).await,
        app.call("POST", GENERATIONS, Some(wanted(0))).await,
        app.add_wrap(2, &wrap_for(9, 9)).await,
    ] {
        assert_eq!(answer.problem(), "device-not-bound");
    }

    // Back with the first owner: what was hers before is not hers again.
    assert!(rig.cp.unbind(&ben.session, "CAM-1").await.unwrap());
    let third = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let empty = app.call("GET", LIST, None).await;
    assert_eq!(empty.body, json!({"binding_epoch": third, "version": 0, "list": null}));
    let verifier = key(AUTH);
    let verifier = verifier.public_key().as_ref();
    rig.cp.store_verifier(terminal(CAMERA), third, verifier).await.unwrap();
    assert_eq!(app.put_list(&annas).await.problem(), "list-other-binding");
    requirement!("B3");
}

#[tokio::test]
async fn an_erased_owner_leaves_nothing_in_the_mailbox() {
    let rig = Rig::new().await;
    let (anna, app, camera, epoch) = watching(&rig).await;
    let annas = list(epoch, 7).signed(&key(AUTH));
    assert_eq!(app.put_list(&annas).await.status, StatusCode::OK);
    let old_blob = blob(epoch, 1).signed(&key(CAMERA));
    assert_eq!(camera.put_blob(&old_blob).await.status, StatusCode::NO_CONTENT);
    rig.cp.delete_account(&anna.session.account).await.unwrap();
    let held = camera.call("GET", "/v1/device/viewer-list", None).await;
    assert_eq!(held.body["list"], Value::Null);
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        for (what, secret) in [("list", &annas), ("generation", &old_blob[..100].to_vec())] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "a {what} in {}", file.display());
        }
    }
}
