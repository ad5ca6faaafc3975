//! Switching sealing off and on from outside.

use axum::http::StatusCode;

use super::mailbox::{AUTH, CAMERA, watching};
use super::*;
use crate::sealed::testing::order_of;
use crate::tests::rig::{User, terminal};

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
    assert_eq!(fresh.body, json!({"mode": "sealed", "sequence": 0, "history": []}));
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
