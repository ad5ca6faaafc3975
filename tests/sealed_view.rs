//! The page's live view of a sealed camera, from the gate to the worker, against answers that the
//! test writes: keys are asked for rightly, and no answer of a server makes it fall back to open.

mod support;

use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use sightline_client::DeviceSecret;
use sightline_client::secret::{CameraCheck, ShownSecret};
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

/// Answers of a server: the device, its media session, and its mode with the order behind it.
type Visit = (Value, Value, Value);

/// Opens the live view once for each visit; what was seen. `entry`: how the secret comes in, and its
/// text.
fn journey(vectors: &Value, entry: (&str, &str), visits: &[Visit]) -> Vec<Value> {
    let archive = base64(vectors, "/device_secret/archive_public");
    let generation = json!({
        "generation": vectors["generation"]["generation"],
        "blob": base64(vectors, "/generation/blob"),
    });
    let visits: Vec<_> = visits
        .iter()
        .map(
            |(device, session, mode)| json!({ "device": device, "session": session, "mode": mode }),
        )
        .collect();
    let request = json!({
        "policy": POLICY, entry.0: entry.1, "visits": visits,
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

fn device(sealed: bool, identity: &str) -> Value {
    json!({
        "serial": "CAM-1", "name": "Door", "channels": 1, "role": "owner", "key_ready": true,
        "binding_epoch": 3, "sealed": sealed, "identity": identity,
    })
}

/// The port has nobody: the connection fails, and what led to it was seen.
fn session(sealed: bool) -> Value {
    json!({
        "path": "/v1/live?ticket=1", "port": 40009, "expires_in": 30, "tracks": [],
        "sealed": sealed,
    })
}

/// What a server says of a mode: open, by this order.
fn mode(sequence: u64, order: Option<&str>) -> Value {
    json!({
        "mode": "open", "binding_epoch": 3, "sequence": sequence, "order": order, "history": [],
    })
}

fn asked(seen: &Value, name: &str) -> bool {
    let asked = seen["asked"].as_array().expect("requests");
    asked.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with(name)))
}

#[test]
fn a_sealed_camera_is_opened_with_its_secret_and_never_watched_as_an_open_one() {
    let vectors = vectors();
    let camera = base64(&vectors, "/generation/camera_public");
    let other = B64.encode([7; 32]);
    let nameless = json!({
        "serial": "CAM-1", "name": "Door", "channels": 1, "binding_epoch": 3, "sealed": true,
    });
    let secret = vectors["device_secret"]["text"].as_str().expect("a text");
    let seen = journey(
        &vectors,
        ("secret", secret),
        &[
            (device(true, &camera), session(true), mode(0, None)),
            (device(true, &camera), session(false), mode(0, None)),
            (device(false, &camera), session(false), mode(0, None)),
            (device(true, &other), session(true), mode(0, None)),
            (nameless, session(true), mode(0, None)),
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

/// The server's first word on who the camera is need not be believed.
#[test]
fn a_camera_that_did_not_show_the_secret_is_refused_at_the_first_visit() {
    let vectors = vectors();
    let camera: [u8; 32] = B64
        .decode(base64(&vectors, "/generation/camera_public"))
        .expect("base64url")
        .try_into()
        .expect("32 bytes");
    let secret = vectors["device_secret"]["text"].as_str().expect("a text");
    let secret = DeviceSecret::parse(secret).expect("a secret");
    let shown = ShownSecret { secret, check: Some(CameraCheck::of(&camera)) };
    let (typed, scanned) = (shown.text().into_inner(), shown.picture("CAM-1").into_inner());
    for entry in [("secret", typed.as_str()), ("scanned", scanned.as_str())] {
        let other = [(device(true, &B64.encode([7; 32])), session(true), mode(0, None))];
        let seen = &journey(&vectors, entry, &other)[0];
        assert_eq!(seen["problem"], "sealed-camera-changed", "{seen}");
        let right = [(device(true, &B64.encode(camera)), session(true), mode(0, None))];
        let seen = &journey(&vectors, entry, &right)[0];
        assert_eq!((&seen["state"], &seen["typed"]), (&json!("reconnecting"), &json!(true)));
    }
}

#[test]
fn a_camera_that_was_sealed_is_watched_in_clear_on_its_owners_signed_order_only() {
    let vectors = vectors();
    let camera = base64(&vectors, "/generation/camera_public");
    let device = |sealed: bool| {
        json!({
            "serial": "CAM-1", "name": "Door", "channels": 1, "role": "owner", "key_ready": true,
            "binding_epoch": 3, "sealed": sealed, "can_seal": true, "identity": camera,
            "opened_at": if sealed { Value::Null } else { json!(1_800_000_000) },
        })
    };
    let session = json!({ "path": "/v1/live?ticket=1", "port": 40009, "expires_in": 30, "tracks": [], "sealed": true });
    let order = base64(&vectors, "/sealing_order/signed_order");
    let bytes = B64.decode(&order).expect("base64url");
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        B64.encode(bytes)
    };
    let (flipped, newer) = (changed(bytes.len() - 1), changed(22));
    let visit =
        |sealed: bool, order: Option<&str>| (device(sealed), session.clone(), mode(4, order));
    let secret = vectors["device_secret"]["text"].as_str().expect("a text");
    let seen = journey(
        &vectors,
        ("secret", secret),
        &[
            visit(true, None),
            visit(false, None),
            visit(false, Some(&flipped)),
            visit(false, Some(&newer)),
            visit(false, Some(&order)),
            visit(false, Some(&order)),
            visit(false, None),
        ],
    );
    assert_eq!((&seen[0]["state"], &seen[0]["note"]), (&json!("reconnecting"), &Value::Null));
    for forged in [&seen[1], &seen[2], &seen[3], &seen[6]] {
        let shown = (&forged["state"], &forged["problem"]);
        assert_eq!(shown, (&json!("failed"), &json!("sealed-downgraded")), "{forged}");
        assert!(!asked(forged, "POST /v1/whep"), "{forged}");
    }
    for open in [&seen[4], &seen[5]] {
        assert!(asked(open, "POST /v1/whep/CAM-1/0"), "{open}");
        assert_eq!(open["padlock"], "open");
        let note = open["note"].as_str().expect("a note");
        assert!(note.contains("switched sealing off on") && note.contains("2027"), "{note}");
    }
}
