//! Adding, handing over and knowing devices, from outside.

use axum::http::StatusCode;

use super::*;
use crate::tests::rig::Rig;

const CAMERA: u8 = 100;
const DEVICE: &str = "/v1/devices/CAM-1";

async fn agree(app: &Client<'_>, purpose: &str) {
    let consent = json!({"purpose": purpose, "version": 1, "decision": "granted"});
    let agreed = app.call("POST", "/v1/consents", Some(consent)).await;
    assert_eq!(agreed.status, StatusCode::CREATED, "{}", agreed.body);
}

async fn bound<'a>(rig: &'a Rig) -> (Client<'a>, Client<'a>, u64) {
    let texts = rig.add_sealed("CAM-1", CAMERA).await;
    let (mut app, camera) = (Client::new(rig, 1), Client::new(rig, CAMERA));
    app.sign_in(ANNA).await;
    let wish = json!({"serial": "CAM-1", "code": texts.verification_code.expose()});
    let bound = app.call("POST", "/v1/bindings", Some(wish)).await;
    assert_eq!(bound.status, StatusCode::CREATED, "{}", bound.body);
    let epoch = bound.body["binding_epoch"].as_u64().unwrap();
    (app, camera, epoch)
}

#[tokio::test]
async fn a_camera_adds_itself_with_a_token_that_its_owner_to_be_made() {
    let rig = Rig::new().await;
    rig.add_sealed("CAM-1", CAMERA).await;
    let (mut app, camera) = (Client::new(&rig, 1), Client::new(&rig, CAMERA));
    app.sign_in(ANNA).await;
    let made = app.call("POST", "/v1/bind-tokens", Some(json!({"serial": "CAM-1"}))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let rows = made.body["picture"]["rows"].as_array().unwrap();
    assert!(rows.len() > 20, "a picture code");
    let path = format!("/v1/bind-tokens/{}", made.body["id"].as_str().unwrap());
    assert_eq!(app.call("GET", &path, None).await.body["used"], false);
    let wrong = camera.call("POST", "/v1/device/bind", Some(json!({"token": "SLU1.AAAA"}))).await;
    assert_eq!((wrong.status.as_u16(), wrong.problem()), (403, "bind-token-refused"));
    let token = json!({"token": made.body["token"]});
    let added = camera.call("POST", "/v1/device/bind", Some(token.clone())).await;
    assert_eq!((added.status, &added.body["serial"]), (StatusCode::CREATED, &json!("CAM-1")));
    let used = app.call("GET", &path, None).await;
    assert_eq!((&used.body["used"], &used.body["serial"]), (&json!(true), &json!("CAM-1")));
    let again = camera.call("POST", "/v1/device/bind", Some(token)).await;
    assert_eq!(again.problem(), "bind-token-refused");
    assert_eq!(app.call("DELETE", &path, None).await.problem(), "bind-token-unknown", "it is used");
    let stranger = Client::new(&rig, 99);
    let nobody = stranger.call("POST", "/v1/device/bind", Some(json!({"token": "x"}))).await;
    assert_eq!((nobody.status.as_u16(), nobody.problem()), (401, "device-unknown"));
    requirement!("B2");
}

#[tokio::test]
async fn a_picture_code_is_parsed_strictly_and_each_kind_goes_its_own_way() {
    let rig = Rig::new().await;
    rig.add_sealed("CAM-1", CAMERA).await;
    let issued = rig.cp.issue_bind_code("CAM-1").await.unwrap();
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let text = issued.picture.expose();
    for (path, wish, problem) in [
        ("/v1/bindings", json!({"payload": text.replace("SL3", "SL4")}), "add-code-invalid"),
        ("/v1/bindings", json!({"payload": format!("{text}A")}), "add-code-invalid"),
        ("/v1/bindings", json!({"payload": text, "serial": "CAM-1"}), "add-code-invalid"),
        ("/v1/bindings", json!({"serial": "CAM-1"}), "add-code-invalid"),
        ("/v1/transfers", json!({"payload": text}), "add-code-other-kind"),
    ] {
        let refused = app.call("POST", path, Some(wish)).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (422, problem));
    }
    let added = app.call("POST", "/v1/bindings", Some(json!({"payload": text}))).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    assert_eq!(added.body["serial"], "CAM-1");
    requirement!("B5");
}

#[tokio::test]
async fn list_and_detail_say_what_an_owner_may_know_and_names_change() {
    let rig = Rig::new().await;
    let (app, camera, epoch) = bound(&rig).await;
    let listed = app.call("GET", "/v1/devices", None).await;
    let device = &listed.body["items"][0];
    assert_eq!(
        (&device["model"], &device["serial"], &device["name"]),
        (&json!("M1"), &json!("CAM-1"), &json!("Door"))
    );
    assert_eq!(
        (&device["network_access_mode"], &device["value_added"], &device["sharing"]),
        (&Value::Null, &json!([]), &json!({"shares": 0}))
    );
    agree(&app, "device.hardware").await;
    let hardware = json!({
        "type": "camera", "model": "M1", "firmware": "1.0", "mac": "00:1a:2b:3c:4d:5e",
        "system_version": "Linux 6", "access_mode": "wifi", "settings": {"night": "auto"},
    });
    let told = json!({"binding_epoch": epoch, "hardware": hardware});
    let kept = camera.call("PUT", "/v1/device/hardware", Some(told)).await;
    assert_eq!(kept.status, StatusCode::NO_CONTENT, "{}", kept.body);
    let new = json!({"name": "Gate", "channel_names": {"0": "Front"}});
    let renamed = app.call("PATCH", DEVICE, Some(new)).await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.body);
    let detail = app.call("GET", DEVICE, None).await;
    assert_eq!(detail.body, renamed.body);
    assert_eq!(
        (&detail.body["name"], &detail.body["network_access_mode"]),
        (&json!("Gate"), &json!("wifi"))
    );
    assert_eq!(detail.body["channel_names"], json!([{"channel": 0, "name": "Front"}]));
    assert_eq!(detail.body["hardware"], hardware);
    assert_eq!(detail.body["added_with"], Value::Null);
    let bad = app.call("PATCH", DEVICE, Some(json!({"name": ""}))).await;
    assert_eq!((bad.status.as_u16(), bad.problem()), (422, "value-invalid"));
    let mut stranger = Client::new(&rig, 2);
    stranger.sign_in(BEN).await;
    for path in [DEVICE, "/v1/devices/CAM-9", "/v1/devices/CAM-1/location"] {
        let refused = stranger.call("GET", path, None).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (404, "device-not-bound"));
    }
    requirement!("B12", "B13", "B15");
}

#[tokio::test]
async fn who_adds_a_device_tells_of_the_terminal_only_with_consent() {
    let rig = Rig::new().await;
    let texts = rig.add_sealed("CAM-1", CAMERA).await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let wish = json!({
        "serial": "CAM-1", "code": texts.verification_code.expose(),
        "client": {"client_type": "browser", "client_version": "7", "os_version": "OS 5"},
    });
    let refused = app.call("POST", "/v1/bindings", Some(wish.clone())).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (403, "consent-required"));
    assert!(refused.body["detail"].as_str().unwrap().contains("device.bind"));
    agree(&app, "device.bind").await;
    let bound = app.call("POST", "/v1/bindings", Some(wish)).await;
    assert_eq!(bound.status, StatusCode::CREATED, "{}", bound.body);
    let detail = app.call("GET", DEVICE, None).await;
    assert_eq!(detail.body["added_with"]["os_version"], "OS 5");
    requirement!("B7");
}

#[tokio::test]
async fn a_provisioning_takes_no_place_and_no_password_and_a_device_fetches_what_is_sealed_to_it() {
    let rig = Rig::new().await;
    let (app, camera, _) = bound(&rig).await;
    agree(&app, "device.provision").await;
    let network = json!({"ssid": "Home", "rssi": -50, "access_mode": "wifi"});
    let with = |name: &str, value: Value| {
        let mut network = network.clone();
        network[name] = value;
        json!({"serial": "CAM-1", "network": network})
    };
    for (name, value) in [
        ("lat", json!(48.137)),
        ("lon", json!(11.575)),
        ("latitude", json!(48.137)),
        ("location", json!("48.137,11.575")),
        ("password", json!("hunter-2-hunter")),
    ] {
        let within = app.call("POST", "/v1/provisionings", Some(with(name, value.clone()))).await;
        assert_eq!((within.status.as_u16(), within.problem()), (400, "bad-request"), "{name}");
        let beside = json!({"serial": "CAM-1", "network": network, name: value});
        let beside = app.call("POST", "/v1/provisionings", Some(beside)).await;
        assert_eq!((beside.status.as_u16(), beside.problem()), (400, "bad-request"), "{name}");
        assert!(!beside.body.to_string().contains("48.137"));
    }
    assert_eq!(app.call("GET", "/v1/provisionings", None).await.body, json!({"items": []}));
    let sealed = B64.encode([9; 64]);
    let wish = json!({"serial": "CAM-1", "network": network, "sealed": sealed});
    let made = app.call("POST", "/v1/provisionings", Some(wish)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let listed = app.call("GET", "/v1/provisionings", None).await;
    assert_eq!(listed.body["items"][0]["network"]["ssid"], "Home");
    assert_eq!(listed.body["items"][0]["sealed_waits"], true);
    let taken = camera.call("POST", "/v1/device/provisioning", None).await;
    assert_eq!(taken.body, json!({"sealed": sealed}));
    let again = camera.call("POST", "/v1/device/provisioning", None).await;
    assert_eq!(again.body, json!({"sealed": null}));
    requirement!("B8", "B10");
}

#[tokio::test]
async fn a_place_comes_and_goes_and_a_device_is_given_away_and_reset() {
    let rig = Rig::new().await;
    let (app, camera, epoch) = bound(&rig).await;
    let path = "/v1/devices/CAM-1/location";
    let place = json!({
        "province": null, "city": "Munich", "district": null, "street": null,
        "latitude": 48.137, "longitude": 11.575,
    });
    let refused = app.call("PUT", path, Some(place.clone())).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (403, "consent-required"));
    agree(&app, "device.location").await;
    assert_eq!(app.call("PUT", path, Some(place.clone())).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.call("GET", path, None).await.body, place);
    assert_eq!(app.call("GET", DEVICE, None).await.body["has_place"], true);
    assert_eq!(app.call("DELETE", path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.call("GET", path, None).await.problem(), "nothing-kept");

    let codes = "/v1/devices/CAM-1/codes";
    let unproven = app.call("POST", codes, None).await;
    assert_eq!((unproven.status.as_u16(), unproven.problem()), (403, "device-key-required"));
    assert_eq!(app.call("DELETE", codes, None).await.problem(), "nothing-kept");
    let reset = json!({"binding_epoch": epoch});
    let done = camera.call("POST", "/v1/device/reset", Some(reset.clone())).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
    let again = camera.call("POST", "/v1/device/reset", Some(reset)).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "binding-epoch-stale"));
    assert_eq!(app.call("GET", DEVICE, None).await.problem(), "device-not-bound");
    requirement!("B3", "B11");
}
