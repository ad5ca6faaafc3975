//! Generations: opened, refused, held.

use super::*;

/// Bytes of the header: format, suite, serial, epoch, number, not-before, list, commitment.
const HEADER: usize = 1 + 2 + 6 + 8 + 8 + 8 + 8 + 32;

/// What the camera signed, without its signature.
fn header() -> &'static str {
    text(&VECTORS, "/generation/signed_header").split_at(2 * HEADER).0
}

fn blob() -> &'static str {
    text(&VECTORS, "/generation/blob")
}

fn accept(blobs: &[&str]) -> Value {
    json!({
        "op": "blobs", "blobs": blobs, "serial": "CAM-1", "epoch": 3, "now": NOW_MS / 1000,
        "camera": VECTORS["generation"]["camera_public"],
        "secret": VECTORS["device_secret"]["archive_secret"],
    })
}

fn only(outcome: &Value) -> &Value {
    &outcome["results"][0]
}

#[test]
fn the_archive_and_a_listed_terminal_open_a_generation_and_its_frames() {
    let number = &VECTORS["generation"]["generation"];
    let sealed = sealed(4);
    let watch = |secret: &Value| {
        json!({
            "op": "blob_and_frames", "blob": blob(), "frames": sealed, "secret": secret,
            "camera": VECTORS["generation"]["camera_public"], "serial": "CAM-1", "epoch": 3,
            "channel": 258, "now": NOW_MS,
        })
    };
    let terminal = &VECTORS["terminals"][0]["exchange_secret"];
    let archive = &VECTORS["device_secret"]["archive_secret"];
    let outcomes = run(vec![accept(&[blob(), blob()]), watch(terminal), watch(archive)]);
    // The second one changes nothing, and the base key cannot be read.
    assert_eq!(outcomes[0]["results"], json!([number, number]));
    assert_eq!((&outcomes[0]["newest"], &outcomes[0]["remembered"]), (number, &json!([number])));
    assert_eq!(outcomes[0]["readable"], false);
    let units: Vec<_> = frames(4).iter().map(|frame| frame["unit"].clone()).collect();
    for watched in &outcomes[1..] {
        assert_eq!(watched["before"], refused("missing-generation"));
        assert_eq!(watched["units"], json!(units));
    }
}

#[test]
fn a_flip_anywhere_in_a_blob_is_refused() {
    let flips = all_flips(blob());
    let outcomes = run(flips.iter().map(|blob| accept(&[blob])).collect());
    let (signed, wraps) = (header().len() / 2, header().len() / 2 + 64);
    let mine = wraps + 2..wraps + 2 + 112;
    let number = &VECTORS["generation"]["generation"];
    for (at, outcome) in outcomes.iter().enumerate() {
        let outcome = only(outcome);
        let reason = outcome["refused"].as_str();
        let expected: &[&str] = match at {
            _ if at < signed => &["forged", "malformed", "other-camera", "other-binding"],
            _ if at < wraps => &["forged"],
            _ if at < wraps + 2 => &["malformed"],
            _ if at < mine.start + 32 => &["not-a-recipient", "malformed"],
            _ if mine.contains(&at) => &["wrong-key"],
            // Another's wrap is his: the blob still opens for us, or is out of order.
            _ => &["malformed", ""],
        };
        assert!(expected.contains(&reason.unwrap_or("")), "byte {at}: {outcome}");
        assert!(reason.is_some() || outcome == number);
    }
}

#[test]
fn a_blob_of_another_camera_owner_or_time_is_refused() {
    let number = VECTORS["generation"]["generation"].as_u64().expect("a number");
    let day = 24 * 3600;
    let changed = |more| with(&accept(&[blob()]), more);
    let cases = [
        (changed(json!({ "serial": "CAM-2" })), Some("other-camera")),
        (changed(json!({ "epoch": 4 })), Some("other-binding")),
        (changed(json!({ "camera": "00".repeat(32) })), Some("forged")),
        (
            changed(json!({ "secret": VECTORS["terminals"][1]["exchange_secret"] })),
            Some("not-a-recipient"),
        ),
        (changed(json!({ "newest": number + 1 })), Some("older")),
        (changed(json!({ "newest": number + 1, "recordings": true })), None),
        (changed(json!({ "newest": number })), None),
        (changed(json!({ "now": number - day - 1 })), Some("not-yet")),
        (changed(json!({ "now": number - day })), None),
        (accept(&[&blob()[..blob().len() - 2]]), Some("malformed")),
        (accept(&[&format!("{}00", blob())]), Some("malformed")),
    ];
    let outcomes = run(cases.iter().map(|(operation, _)| operation.clone()).collect());
    for ((operation, reason), outcome) in cases.iter().zip(&outcomes) {
        let expected = reason.map_or(json!(number), refused);
        assert_eq!(*only(outcome), expected, "{operation}");
    }
}

#[test]
fn a_key_that_the_camera_did_not_sign_for_is_refused() {
    let signature = &blob()[header().len()..header().len() + 128];
    let rewrap = |base_key: &str| {
        json!({
            "op": "rewrap", "header": header(), "signature": signature, "base_key": base_key,
            "recipient": VECTORS["device_secret"]["archive_public"],
        })
    };
    let right = text(&VECTORS, "/generation/base_key");
    let made = run(vec![rewrap(right), rewrap(&"11".repeat(32))]);
    let blobs: Vec<&str> = made.iter().map(|blob| blob.as_str().expect("a blob")).collect();
    let outcomes = run(blobs.iter().map(|blob| accept(&[blob])).collect());
    assert_eq!(*only(&outcomes[0]), VECTORS["generation"]["generation"]);
    assert_eq!(*only(&outcomes[1]), refused("wrong-key"));
}

#[test]
fn a_live_keyring_holds_four_generations_and_gives_up_the_lowest() {
    let first = VECTORS["generation"]["generation"].as_u64().expect("a number");
    // The number stands after format, suite, serial and epoch.
    let at = 2 * (3 + 6 + 8);
    let headers: Vec<String> = (0..6)
        .map(|step| {
            let number = format!("{:016x}", first + step);
            format!("{}{number}{}", &header()[..at], &header()[at + 16..])
        })
        .collect();
    let seed = &VECTORS["generation"]["camera_seed"];
    let sign = |header: &String| json!({ "op": "sign_header", "header": header, "seed": seed });
    let signatures = run(headers.iter().map(sign).collect());
    let wrap = |(header, signature): (&String, &Value)| {
        json!({
            "op": "rewrap", "header": header, "signature": signature,
            "base_key": VECTORS["generation"]["base_key"],
            "recipient": VECTORS["device_secret"]["archive_public"],
        })
    };
    let blobs = run(headers.iter().zip(&signatures).map(wrap).collect());
    let blob = |at: usize| blobs[at].as_str().expect("a blob");
    let rising: Vec<&str> = (0..6).map(blob).collect();
    let back = [blob(5), blob(4), blob(5)];
    let recordings = with(&accept(&rising), json!({ "recordings": true }));
    let outcomes = run(vec![accept(&rising), accept(&back), recordings]);
    let numbers = |steps: &[u64]| json!(steps.iter().map(|step| first + step).collect::<Vec<_>>());
    assert_eq!(outcomes[0]["results"], numbers(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(outcomes[0]["held"], numbers(&[2, 3, 4, 5]));
    assert_eq!(outcomes[0]["remembered"], numbers(&[0, 1, 2, 3, 4, 5]));
    assert_eq!(outcomes[1]["results"], json!([first + 5, refused("older"), first + 5]));
    assert_eq!(outcomes[2]["held"], numbers(&[0, 1, 2, 3, 4, 5]));
}
