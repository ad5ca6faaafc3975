//! Switching sealing off and on from outside.

use axum::http::StatusCode;

use super::mailbox::{AUTH, CAMERA, watching};
use super::*;
use crate::admin::NewDevice;
use crate::sealed::testing::order_of;
use crate::tests::rig::{User, device, terminal};

const MODE: &str = "/v1/devices/CAM-1/enc-mode";

impl Client<'_> {
    async fn order(&self, mode: &str, signed: &[u8]) -> Answer {
        let body = json!({"mode": mode, "order": B64.encode(signed)});
        self.call("PUT", MODE, Some(body)).await
    }
}

#[tokio::test]
async fn an_order_reaches_the_camera_and_everybody_who_may_watch_is_told() {
    let rig = Rig::new().await;
    let (anna, app, camera, epoch) = watching(&rig).await;
    let key_epoch = rig.cp.device_of(terminal(CAMERA)).await.unwrap().epochs.key;
    let poll = async |sequence: u64| {
        let known = json!({
            "binding_epoch": epoch, "key_epoch": key_epoch, "enc_sequence": sequence,
        });
        camera.call("POST", "/v1/device/poll", Some(known)).await.body
    };
    let fresh = app.call("GET", MODE, None).await;
    let nothing = json!({
        "mode": "sealed", "binding_epoch": epoch, "sequence": 0, "order": null, "history": [],
    });
    assert_eq!(fresh.body, nothing);
    let open = order_of("CAM-1", epoch, 4, 0, &key(AUTH));
    let (woken, answer) = tokio::join!(poll(0), app.order("open", &open));
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(woken["enc_mode"], "open");
    assert_eq!(woken["enc_order"], B64.encode(&open));
    assert_eq!(poll(0).await["enc_sequence"], 4, "a camera that was away learns of it at once");
    assert_eq!(app.order("open", &open).await.status, StatusCode::OK, "the same again");
    let sealed = order_of("CAM-1", epoch, 5, 1, &key(AUTH));
    let answer = app.order("sealed", &sealed).await;
    assert_eq!((&answer.body["mode"], &answer.body["sequence"]), (&json!("sealed"), &json!(5)));
    assert_eq!(answer.body["order"], B64.encode(&sealed), "whoever doubts it checks it");
    let modes: Vec<_> = answer.body["history"].as_array().unwrap().iter().collect();
    assert_eq!(
        (modes.len(), &modes[0]["mode"], &modes[1]["mode"]),
        (2, &json!("sealed"), &json!("open"))
    );
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    let off = told.iter().find(|shown| shown.message.kind == "sealing_off").unwrap();
    assert!(off.en.contains("server can see") && !off.zh.is_empty());
    assert!(told.iter().any(|shown| shown.message.kind == "sealing_on"));
}

#[tokio::test]
async fn an_order_that_is_not_the_owners_newest_is_refused_with_its_own_problem() {
    let rig = Rig::new().await;
    let (_anna, app, _camera, epoch) = watching(&rig).await;
    let auth = key(AUTH);
    let good = order_of("CAM-1", epoch, 4, 0, &auth);
    assert_eq!(app.order("open", &good).await.status, StatusCode::OK);
    let next = order_of("CAM-1", epoch, 5, 0, &auth);
    let mut flipped = next.clone();
    flipped[20] ^= 1;
    let longer = [&next[..], &[0]].concat();
    for (signed, status, problem) in [
        (order_of("CAM-1", epoch, 4, 1, &auth), 409, "order-not-newer"),
        (order_of("CAM-1", epoch, 3, 1, &auth), 409, "order-not-newer"),
        (order_of("CAM-1", epoch + 1, 5, 1, &auth), 409, "order-other-binding"),
        (order_of("CAM-2", epoch, 5, 1, &auth), 409, "order-other-binding"),
        (order_of("CAM-1", epoch, 5, 1, &key(CAMERA)), 422, "order-invalid"),
        (order_of("CAM-1", epoch, 5, 2, &auth), 422, "order-invalid"),
        (order_of("CAM-1", epoch, 0, 1, &auth), 422, "order-invalid"),
        (next, 422, "order-invalid"),
        (flipped, 422, "order-invalid"),
        (longer, 422, "order-invalid"),
        (Vec::new(), 422, "order-invalid"),
    ] {
        let answer = app.order("sealed", &signed).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, problem));
    }
    assert_eq!(app.call("GET", MODE, None).await.body["sequence"], 4);
    assert_eq!(app.order("off", &good).await.problem(), "bad-request");
}

#[tokio::test]
async fn sealing_is_switched_off_only_after_key_proof_and_sms() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let app = Client::of(&rig, &anna, 1);
    let auth = key(AUTH);
    let try_off = async |user: &User, epoch: u64| {
        let order = order_of("CAM-1", epoch, 4, 0, &auth);
        let answer = Client::of(&rig, user, 1).order("open", &order).await;
        (answer.status.as_u16(), answer.body["type"].as_str().unwrap_or_default().to_owned())
    };
    let problem = |status: u16, name: &str| (status, format!("/problems/{name}"));
    assert_eq!(try_off(&anna, 1).await, problem(404, "device-not-bound"));
    let texts = rig.add_sealed("CAM-1", CAMERA).await;
    let epoch = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.cp.store_verifier(terminal(CAMERA), epoch, auth.public_key().as_ref()).await.unwrap();
    assert_eq!(try_off(&anna, epoch).await, problem(403, "device-key-required"));
    assert!(rig.prove(&anna, "CAM-1", &auth).await);
    assert_eq!(try_off(&anna, epoch).await, problem(403, "sms-required"));
    assert_eq!(app.call("GET", MODE, None).await.body["mode"], "sealed");
    let on = order_of("CAM-1", epoch, 1, 1, &auth);
    assert_eq!(app.order("sealed", &on).await.status, StatusCode::OK, "more protection needs less");
    rig.open_window(&anna, ANNA, "CAM-1").await;
    assert_eq!(try_off(&anna, epoch).await, (200, String::new()));
    let ben = rig.sign_in(BEN, 2).await;
    let stranger = Client::of(&rig, &ben, 2);
    let order = order_of("CAM-1", epoch, 5, 0, &auth);
    assert_eq!(stranger.order("open", &order).await.problem(), "device-not-bound");
    assert_eq!(stranger.call("GET", MODE, None).await.problem(), "device-not-bound");
}

#[tokio::test]
async fn what_a_device_may_send_follows_the_order_in_force_and_is_said_everywhere() {
    let rig = Rig::new().await;
    let (anna, app, _camera, epoch) = watching(&rig).await;
    let auth = key(AUTH);
    let mut changes = rig.cp.device_changes();
    let standing = async || {
        let publisher = rig.cp.publisher_by_identity(terminal(CAMERA)).await.unwrap().unwrap();
        let terms = rig.cp.publishing_terms().await.unwrap();
        let asked = rig.cp.is_sealed("CAM-1").await.unwrap();
        let shown = app.call("GET", "/v1/devices", None).await.body["items"][0].clone();
        let sealed = publisher.sealed;
        assert_eq!((terms["CAM-1"].sealed, asked), (sealed, Some(sealed)));
        assert_eq!((&shown["sealed"], &shown["can_seal"]), (&json!(sealed), &json!(true)));
        assert_eq!(shown["opened_at"].is_null(), sealed);
        let label = shown["mode_label"].as_str().unwrap();
        assert_eq!((label.starts_with("sealed"), label.starts_with("open")), (sealed, !sealed));
        sealed
    };
    assert!(standing().await);
    for (sequence, mode) in [(4, "open"), (5, "sealed"), (6, "open")] {
        let signed = order_of("CAM-1", epoch, sequence, u8::from(mode == "sealed"), &auth);
        assert_eq!(app.order(mode, &signed).await.status, StatusCode::OK);
        assert_eq!(changes.try_recv().unwrap().as_ref(), "CAM-1");
        assert_eq!(standing().await, mode == "sealed");
    }
    // Another key ends the order, and those who watch hear of it.
    let verifier = key(AUTH + 1);
    let verifier = verifier.public_key().as_ref();
    rig.cp.store_verifier(terminal(CAMERA), epoch, verifier).await.unwrap();
    assert_eq!(changes.try_recv().unwrap().as_ref(), "CAM-1");
    assert!(standing().await);
    let history = app.call("GET", MODE, None).await.body["history"].clone();
    let acts = history.as_array().unwrap().iter().map(|act| [&act["mode"], &act["by"]]);
    let [owner, new_key] = [&json!("owner"), &json!("new_key")];
    let [open, sealed] = [&json!("open"), &json!("sealed")];
    let expected = [[sealed, new_key], [open, owner], [sealed, owner], [open, owner]];
    assert_eq!(acts.collect::<Vec<_>>(), expected);
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    let kinds: Vec<_> = told.iter().map(|shown| shown.message.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "sealing_on").count(), 2, "{kinds:?}");
    assert_eq!(rig.cp.is_sealed("CAM-9").await.unwrap(), None);
    assert_eq!(rig.cp.is_sealed("not a serial").await.unwrap(), None);
}

#[tokio::test]
async fn a_device_that_was_added_as_open_has_nothing_to_switch() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let app = Client::of(&rig, &anna, 1);
    let agent = NewDevice { seals: false, ..device("CAM-1", Some(terminal(CAMERA))) };
    let texts = rig.cp.add_device(&agent).await.unwrap();
    let epoch = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let auth = key(AUTH);
    rig.cp.store_verifier(terminal(CAMERA), epoch, auth.public_key().as_ref()).await.unwrap();
    assert!(rig.prove(&anna, "CAM-1", &auth).await);
    rig.open_window(&anna, ANNA, "CAM-1").await;
    assert_eq!(app.call("GET", MODE, None).await.problem(), "device-open");
    for (mode, sealed) in [("open", 0), ("sealed", 1)] {
        let refused = app.order(mode, &order_of("CAM-1", epoch, 4, sealed, &auth)).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (409, "device-open"));
        assert!(refused.body["detail"].as_str().unwrap().contains("added as open"));
    }
    let shown = app.call("GET", "/v1/devices", None).await.body["items"][0].clone();
    assert_eq!((&shown["can_seal"], &shown["sealed"]), (&json!(false), &json!(false)));
    assert_eq!(shown["opened_at"], Value::Null, "nobody switched anything off");
}
