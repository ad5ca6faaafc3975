//! Shares over HTTP: who may ask, what is answered, and that a stranger learns nothing.

use super::*;
use crate::consent::DEVICE_SHARED;
use crate::tests::rig::User;

const SHARES: &str = "/v1/devices/CAM-1/shares";

impl Client<'_> {
    async fn invite(&self, body: Value) -> Answer {
        self.call("POST", SHARES, Some(body)).await
    }

    async fn accept(&self, code: &Value, consent: Value, attestation: Value) -> Answer {
        let body = json!({"code": code, "consent": consent, "attestation": attestation});
        self.call("POST", "/v1/shares/accept", Some(body)).await
    }

    /// Accepts with everything that is asked for.
    async fn join(&self, code: &Value) -> Answer {
        self.accept(code, DEVICE_SHARED.version.into(), 1.into()).await
    }
}

fn view() -> Value {
    json!({"scopes": ["view"], "label": "Ben", "attestation": 1})
}

/// An owner of CAM-1, and somebody else, with their clients.
async fn two(rig: &Rig) -> [(User, Client<'_>); 2] {
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let ben = rig.sign_in(BEN, 2).await;
    let (anna_app, ben_app) = (Client::of(rig, &anna, 1), Client::of(rig, &ben, 2));
    [(anna, anna_app), (ben, ben_app)]
}

#[tokio::test]
async fn an_owner_invites_a_guest_accepts_and_both_see_the_share() {
    let rig = Rig::new().await;
    let [(_, anna), (guest, ben)] = two(&rig).await;
    let before = anna.call("GET", SHARES, None).await;
    assert_eq!(before.body["items"], json!([]));
    let words = &before.body["attestation"];
    assert!(words["text"]["en"].is_string() && words["text"]["zh"].is_string());
    let hours = json!({
        "utc_offset_minutes": 60,
        "windows": [{"days": ["mon", "sun"], "from": "22:00", "to": "06:00"}],
    });
    let mut wish = view();
    wish["schedule"] = hours.clone();
    wish["scopes"] = json!(["talk", "view"]);
    let made = anna.invite(wish).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let code = made.body["code"].clone();
    let open = anna.call("GET", SHARES, None).await.body["items"][0].clone();
    assert_eq!((&open["state"], &open["guest_account"]), (&json!("invited"), &Value::Null));
    assert_eq!(open["invite_expires_at"], made.body["expires_at"]);

    let offer = ben.call("POST", "/v1/shares/invitation", Some(json!({"code": code}))).await;
    assert_eq!((&offer.body["name"], &offer.body["schedule"]), (&json!("Door"), &hours));
    assert_eq!(offer.body["scopes"], json!(["view", "talk"]));
    assert!(!offer.body.to_string().contains(guest.session.account.as_str()));
    let no_consent = ben.accept(&code, Value::Null, 1.into()).await;
    assert_eq!((no_consent.status.as_u16(), no_consent.problem()), (403, "consent-required"));
    let old_text = ben.accept(&code, DEVICE_SHARED.version.into(), 0.into()).await;
    assert_eq!((old_text.status.as_u16(), old_text.problem()), (403, "attestation-required"));
    let own = anna.join(&code).await;
    assert_eq!((own.status.as_u16(), own.problem()), (409, "invitation-own"));
    let joined = ben.join(&code).await;
    assert_eq!((joined.status, &joined.body["serial"]), (StatusCode::CREATED, &json!("CAM-1")));
    assert_eq!(ben.join(&code).await.problem(), "invitation-unknown", "single use");

    let seen = anna.call("GET", SHARES, None).await.body["items"][0].clone();
    assert_eq!((&seen["state"], &seen["label"]), (&json!("accepted"), &json!("Ben")));
    assert_eq!(seen["guest_account"], guest.session.account.as_str());
    let text = anna.call("GET", SHARES, None).await.body.to_string();
    assert!(!text.contains(code.as_str().unwrap()), "the code is shown once");
    let owners = anna.call("GET", "/v1/devices", None).await.body["items"][0].clone();
    assert_eq!((&owners["role"], &owners["sharing"]["shares"]), (&json!("owner"), &json!(1)));
    let guests = ben.call("GET", "/v1/devices", None).await.body["items"][0].clone();
    assert_eq!((&guests["role"], &guests["sharing"]["shares"]), (&json!("guest"), &json!(0)));
    assert_eq!(guests["share"]["scopes"], json!(["view", "talk"]));
    let mine = ben.call("GET", "/v1/shares", None).await.body["items"][0].clone();
    assert_eq!(mine["id"], guests["share"]["id"]);
    requirement!("B14");
}

#[tokio::test]
async fn a_share_is_changed_by_what_is_named_and_ended_by_either_side() {
    let rig = Rig::new().await;
    let [(_, anna), (_, ben)] = two(&rig).await;
    let end = rig.clock.now() + 1000;
    let mut wish = view();
    wish["ends_at"] = end.into();
    wish["channels"] = json!([0]);
    let code = anna.invite(wish).await.body["code"].clone();
    let id = ben.join(&code).await.body["id"].as_str().unwrap().to_owned();
    let one = format!("{SHARES}/{id}");
    for (change, member, now) in [
        (json!({}), "ends_at", json!(end)),
        (json!({"label": "Benjamin"}), "channels", json!([0])),
        (json!({"ends_at": null}), "ends_at", Value::Null),
        (json!({"channels": null}), "channels", Value::Null),
        (json!({"scopes": ["view", "events"]}), "scopes", json!(["view", "events"])),
        (json!({"scopes": ["events"]}), "label", json!("Benjamin")),
    ] {
        let changed = anna.call("PATCH", &one, Some(change.clone())).await;
        assert_eq!((changed.status, &changed.body[member]), (StatusCode::OK, &now), "{change}");
    }
    for (bad, status, problem) in [
        (json!({"scopes": []}), 422, "share-invalid"),
        (json!({"scopes": ["fly"]}), 400, "bad-request"),
        (json!({"ends_at": 1}), 422, "share-invalid"),
        (json!({"channels": [7]}), 422, "share-invalid"),
        (json!({"owner": "me"}), 400, "bad-request"),
        (json!({"label": "x".repeat(65)}), 422, "share-invalid"),
        (json!({"schedule": {"utc_offset_minutes": 0, "windows": []}}), 422, "share-invalid"),
    ] {
        let refused = anna.call("PATCH", &one, Some(bad.clone())).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (status, problem), "{bad}");
    }
    let theirs = ben.call("PATCH", &one, Some(json!({}))).await;
    assert_eq!(theirs.problem(), "device-not-bound", "a guest changes nothing");
    assert_eq!(ben.call("DELETE", &one, None).await.problem(), "share-unknown");
    assert_eq!(anna.call("DELETE", "/v1/shares/x", None).await.problem(), "share-unknown");
    assert_eq!(anna.call("DELETE", &one, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(anna.call("DELETE", &one, None).await.problem(), "share-unknown");
    assert_eq!(anna.call("PATCH", &one, Some(json!({}))).await.problem(), "share-unknown");
    assert_eq!(ben.call("GET", "/v1/devices", None).await.body["items"], json!([]));

    let code = anna.invite(view()).await.body["code"].clone();
    let id = ben.join(&code).await.body["id"].as_str().unwrap().to_owned();
    let left = ben.call("DELETE", &format!("/v1/shares/{id}"), None).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert_eq!(anna.call("GET", SHARES, None).await.body["items"], json!([]));
    requirement!("B14");
}

#[tokio::test]
async fn a_stranger_is_answered_as_if_the_device_did_not_exist() {
    let rig = Rig::new().await;
    let [(_, anna), (_, ben)] = two(&rig).await;
    let made = anna.invite(view()).await.body;
    let id = made["id"].as_str().unwrap();
    let ask = async |serial: &str| {
        let shares = format!("/v1/devices/{serial}/shares");
        let one = format!("{shares}/{id}");
        let mut answers = Vec::new();
        for (method, path, body) in [
            ("GET", &shares, None),
            ("POST", &shares, Some(view())),
            ("PATCH", &one, Some(json!({}))),
            ("DELETE", &one, None),
        ] {
            let answer = ben.call(method, path, body).await;
            answers.push((answer.status, answer.body));
        }
        answers
    };
    let there = ask("CAM-1").await;
    assert!(there.iter().all(|(status, _)| *status == StatusCode::NOT_FOUND), "{there:?}");
    assert_eq!(there, ask("CAM-9").await);
    let nobody = Client::new(&rig, 9);
    for path in [SHARES, "/v1/shares"] {
        assert_eq!(nobody.call("GET", path, None).await.status, StatusCode::UNAUTHORIZED);
    }
    requirement!("B14");
}
