//! A terminal's proof of the device key from outside.

use super::mailbox::{AUTH, watching};
use super::*;
use crate::sealed::testing::list_of;

const PROOF: &str = "/v1/devices/CAM-1/key-proof";
/// Seed of the terminal's key for sealed video.
const TERMINAL: u8 = 60;

impl Client<'_> {
    /// Signs a challenge with a terminal's key, and names `terminal` as the one that did.
    async fn prove_as(&self, terminal: &str) -> Answer {
        let path = "/v1/devices/CAM-1/key-challenge";
        let issued = self.call("POST", path, Some(json!({"channel": 0}))).await;
        let message = B64.decode(issued.body["message"].as_str().unwrap()).unwrap();
        let proof = json!({
            "challenge_id": issued.body["challenge_id"],
            "signature": B64.encode(key(TERMINAL).sign(&message)),
            "terminal": terminal,
        });
        self.call("POST", PROOF, Some(proof)).await
    }
}

#[tokio::test]
async fn a_listed_terminal_proves_the_device_key_and_all_wrong_ones_are_refused_alike() {
    let rig = Rig::new().await;
    let (anna, app, _camera, epoch) = watching(&rig).await;
    let pair = key(TERMINAL);
    let terminal = B64.encode(pair.public_key().as_ref());
    let unlisted = app.prove_as(&terminal).await;
    assert_eq!(unlisted.status, StatusCode::FORBIDDEN);
    assert_eq!(unlisted.problem(), "device-key-invalid");
    let account = app.call("GET", "/v1/me", None).await.body["id"].as_str().unwrap().to_owned();
    assert_eq!(account, anna.session.account.0, "what a list calls the account");
    let entry = (pair.public_key().as_ref(), account.as_str(), 1, 0);
    let list = list_of(("CAM-1", epoch, 1), &[entry], &key(AUTH));
    let body = json!({"list": B64.encode(list)});
    let put = app.call("PUT", "/v1/devices/CAM-1/viewer-list", Some(body)).await;
    assert_eq!(put.status, StatusCode::OK);
    let other = app.prove_as(&B64.encode(key(61).public_key().as_ref())).await;
    assert_eq!((other.status, &other.body), (unlisted.status, &unlisted.body));
    for malformed in ["", &terminal[1..], "no base64 ="] {
        assert_eq!(app.prove_as(malformed).await.problem(), "bad-request");
    }
    assert_eq!(app.prove_as(&terminal).await.status, StatusCode::NO_CONTENT);
}
