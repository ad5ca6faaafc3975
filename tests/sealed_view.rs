//! The page's live view of a sealed camera, from the gate to the worker, against answers that the
//! test writes: keys are asked for rightly, and no answer of a server makes it fall back to open.

mod support;

use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use support::process::{Output, Process};
use support::publishers::script;

/// Longest journey, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self' https://127.0.0.1:40009; \
    require-trusted-types-for 'script'; trusted-types sightline-worker";

fn vectors() -> Value {
    let text = include_str!("../relay/client/tests/vectors/sightline.json");
    serde_json::from_str(text).expect("the vectors")
}

/// A text of the vectors as the API has it.
fn base64(vectors: &Value, path: &str) -> String {
    let hex = vectors.pointer(path).and_then(Value::as_str).expect("a text");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    B64.encode((0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>())
}

/// Opens the live view once for each pair of device and session; what was seen.
fn journey(vectors: &Value, visits: &[(Value, Value)]) -> Vec<Value> {
    let archive = base64(vectors, "/device_secret/archive_public");
    let generation = json!({
        "generation": vectors["generation"]["generation"],
        "blob": base64(vectors, "/generation/blob"),
    });
    let visits: Vec<_> = visits
        .iter()
        .map(|(device, session)| json!({ "device": device, "session": session }))
        .collect();
    let request = json!({
        "policy": POLICY, "secret": vectors["device_secret"]["text"], "visits": visits,
        "answers": {
            "GET /v1/server": {
                "server_name": "sightline.test", "development": false, "webtransport_hashes": [],
            },
            "POST /v1/sessions/refresh": { "access_token": "token", "expires_in": 600 },
            "POST /v1/media-grants": { "grant": "grant" },
            "POST /v1/devices/CAM-1/key-proof": {},
            archive: { "generations": [generation], "more": false },
        },
    });
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("request.json");
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("sealed_journey.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("sealed_journey", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let out = folder.path().join("sealed_journey.out");
    let text = std::fs::read_to_string(out).expect("its output");
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn asked(seen: &Value, name: &str) -> bool {
    let asked = seen["asked"].as_array().expect("requests");
    asked.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with(name)))
}

#[test]
fn a_sealed_camera_is_opened_with_its_secret_and_never_watched_as_an_open_one() {
    let vectors = vectors();
    let device = |sealed: bool, identity: &str| {
        json!({
            "serial": "CAM-1", "name": "Door", "channels": 1, "role": "owner", "key_ready": true,
            "binding_epoch": 3, "sealed": sealed, "identity": identity,
        })
    };
    let camera = base64(&vectors, "/generation/camera_public");
    let other = B64.encode([7; 32]);
    // The port has nobody: the connection fails, and what led to it was seen.
    let session = |sealed: bool| json!({ "path": "/v1/live?ticket=1", "port": 40009, "expires_in": 30, "tracks": [], "sealed": sealed });
    let nameless = json!({
        "serial": "CAM-1", "name": "Door", "channels": 1, "binding_epoch": 3, "sealed": true,
    });
    let seen = journey(
        &vectors,
        &[
            (device(true, &camera), session(true)),
            (device(true, &camera), session(false)),
            (device(false, &camera), session(false)),
            (device(true, &other), session(true)),
            (nameless, session(true)),
        ],
    );

    // The secret is asked for, since nothing is wrapped for this terminal; its archive key then is.
    let first = &seen[0];
    assert_eq!(
        (&first["state"], &first["typed"]),
        (&json!("reconnecting"), &json!(true)),
        "{first}"
    );
    let archive = base64(&vectors, "/device_secret/archive_public");
    let recipients = first["recipients"].as_array().expect("recipients");
    assert_ne!(recipients[0], json!(archive), "this terminal's own key comes first");
    assert!(recipients.contains(&json!(archive)));
    assert!(asked(first, "POST /v1/webtransport-sessions/CAM-1/0"));
    assert_eq!((&first["canvas"], &first["padlock"]), (&json!(1), &json!("sealed")));
    let texts = first["texts"].as_array().expect("texts");
    assert!(texts[0].as_str().is_some_and(|text| {
        text.contains("this page itself comes from the operator")
            && text.contains("sightline --page-hashes")
            && text.contains("sightline watch")
    }));
    assert!(texts[1].as_str().is_some_and(
        |text| text.contains("本页面由运营者提供") && text.contains("sightline --page-hashes")
    ));

    // Clear media, a mode that went back, and another camera are refused by name.
    let problems =
        ["sealed-clear-media", "sealed-downgraded", "sealed-camera-changed", "sealed-no-identity"];
    for (seen, problem) in seen[1..].iter().zip(problems) {
        assert_eq!(
            (&seen["state"], &seen["problem"]),
            (&json!("failed"), &json!(problem)),
            "{seen}"
        );
        assert!(seen["typed"].is_null(), "the keys were kept");
    }
    for one in &seen {
        assert!(!asked(one, "POST /v1/whep"), "{one}");
    }
}
