//! A flood of strangers, who have keys as everybody has, and what others notice of it.

use std::net::IpAddr;

use super::*;
use crate::limits::STRANGER_PROOF_IDS_PER_NETWORK;
use crate::replay::Asker;
use crate::tests::rig::IP;

const REFRESH: &str = "/v1/sessions/refresh";
const TAKE: &str = "/v1/device/provisioning";

/// As many requests of strangers as a network may make at a time.
pub(super) fn flood(rig: &Rig, from: IpAddr) {
    let mut proof = dpop::Proof { key: public(&key(9)), jti: String::new() };
    for number in 0..STRANGER_PROOF_IDS_PER_NETWORK {
        proof.jti = format!("flood {number}");
        // Where somebody has asked before, there is room for fewer.
        let _ = rig.cp.take_proof(&proof, Asker::Stranger(from));
    }
}

#[tokio::test]
async fn strangers_of_a_network_that_floods_wait_and_nobody_known_does() {
    let rig = Rig::new().await;
    rig.add_sealed("CAM-1", 100).await;
    let (mut app, camera) = (Client::new(&rig, 1), Client::new(&rig, 100));
    let signed_in = app.sign_in(ANNA).await;
    flood(&rig, IP);

    let stranger = Client::new(&rig, 2);
    let refused = stranger.call("POST", "/v1/sessions/basic", None).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (503, "unavailable"));
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    let other = dpop::Proof { key: public(&key(2)), jti: "elsewhere".into() };
    let elsewhere = Asker::Stranger("198.51.100.1".parse().unwrap());
    assert!(
        rig.cp.take_proof(&other, elsewhere).is_ok(),
        "other networks have shares of their own"
    );

    assert_eq!(app.call("GET", "/v1/me", None).await.status, StatusCode::OK);
    app.token = None;
    let token = json!({"refresh_token": signed_in.body["refresh_token"]});
    let renewed = app.call("POST", REFRESH, Some(token)).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.body);
    let served = camera.call("POST", TAKE, None).await;
    assert_eq!(served.status, StatusCode::OK, "{}", served.body);

    rig.clock.advance(2 * dpop::PROOF_SKEW_SECS + 1);
    let later = stranger.call("POST", "/v1/sessions/basic", None).await;
    assert_eq!(later.status, StatusCode::CREATED, "{}", later.body);
}

#[tokio::test]
async fn a_proof_is_used_up_by_somebody_known_only() {
    let rig = Rig::new().await;
    rig.add_sealed("CAM-1", 100).await;
    let mut app = Client::new(&rig, 1);
    let signed_in = app.sign_in(ANNA).await;
    app.token = None;
    let known = signed_in.body["refresh_token"].as_str().unwrap();
    for (token, first, second) in [
        (known, StatusCode::OK, "proof-replayed"),
        ("x", StatusCode::UNAUTHORIZED, "login-required"),
    ] {
        let proof = app.proof("POST", REFRESH);
        let body = json!({"refresh_token": token}).to_string();
        let asked = app.send("POST", REFRESH, Some(body.clone()), Some(&proof)).await;
        assert_eq!(asked.status, first, "{}", asked.body);
        let again = app.send("POST", REFRESH, Some(body), Some(&proof)).await;
        assert_eq!(again.problem(), second);
    }
    let thief = Client::new(&rig, 3);
    let stolen = thief.call("POST", REFRESH, Some(json!({"refresh_token": known}))).await;
    assert_eq!(stolen.problem(), "login-required", "it is another terminal's");

    for (seed, first, second) in
        [(100, StatusCode::OK, "proof-replayed"), (77, StatusCode::UNAUTHORIZED, "device-unknown")]
    {
        let camera = Client::new(&rig, seed);
        let proof = camera.proof("POST", TAKE);
        let asked = camera.send("POST", TAKE, None, Some(&proof)).await;
        assert_eq!(asked.status, first, "{}", asked.body);
        let again = camera.send("POST", TAKE, None, Some(&proof)).await;
        assert_eq!(again.problem(), second);
    }
}
