//! The page's modules for sealed video, in Chromium and under the page's policy: they open what the
//! vectors hold, and refuse everything that was changed, by name.

mod support;

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use support::process::{Output, Process};
use support::publishers::script;

/// Longest visit, with a browser on a busy machine.
const LIMIT: Duration = Duration::from_secs(100);
/// The page's policy as far as scripts go.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
/// Bytes of a frame's descriptor.
const DESCRIPTOR: usize = 22;
/// Bytes in clear at the start of a sealed frame.
const HEAD: usize = DESCRIPTOR + 12;
/// Clock of the vectors' camera, milliseconds since 1970.
const NOW_MS: u64 = 1_800_000_000_000;

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../relay/client/tests/vectors/sightline.json");
    serde_json::from_str(text).expect("the vectors")
});

/// What came out of each operation of each visit.
fn visits(visits: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("request.json");
    let request = json!({ "policy": POLICY, "visits": visits });
    std::fs::write(&input, request.to_string()).expect("written");
    let mut command = Command::new("node");
    command.arg(script("sealed_page.mjs")).stdin(std::fs::File::open(&input).expect("written"));
    let mut node = Process::start("sealed_page", folder.path(), &mut command, Output::File);
    let ended = node.wait(LIMIT);
    let text = std::fs::read_to_string(folder.path().join("sealed_page.out")).expect("its output");
    assert!(ended.is_some_and(|status| status.success()), "{text}{}", node.complaints());
    let outcomes = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        line["outcomes"].as_array().unwrap_or_else(|| panic!("{line}")).clone()
    };
    let all: Vec<Vec<Value>> = text.lines().map(outcomes).collect();
    assert_eq!(all.len(), visits.len());
    all
}

/// What came out of the operations of one visit.
fn run(operations: Vec<Value>) -> Vec<Value> {
    visits(&[operations]).remove(0)
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {path}"))
}

/// `base` with the members of `more`.
fn with(base: &Value, more: Value) -> Value {
    let mut all = base.as_object().expect("an object").clone();
    all.extend(more.as_object().expect("an object").clone());
    Value::Object(all)
}

/// A hexadecimal text with one bit of byte `at` flipped.
fn flipped(hex: &str, at: usize) -> String {
    let byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal") ^ 1;
    format!("{}{byte:02x}{}", &hex[..2 * at], &hex[2 * at + 2..])
}

/// Every text that differs from `hex` in one bit of one byte.
fn all_flips(hex: &str) -> Vec<String> {
    (0..hex.len() / 2).map(|at| flipped(hex, at)).collect()
}

fn refused(reason: &str) -> Value {
    json!({ "refused": reason })
}

fn frames(suite: u64) -> Vec<Value> {
    let all = VECTORS["frames"].as_array().expect("frames");
    all.iter().filter(|frame| frame["suite"] == suite).cloned().collect()
}

fn sealed(suite: u64) -> Vec<String> {
    frames(suite).iter().map(|frame| text(frame, "/sealed").to_owned()).collect()
}

/// An operation on frames with the vectors' base key.
fn opening(suite: u64, frames: &[String]) -> Value {
    json!({
        "op": "frames", "serial": "CAM-1", "generation": VECTORS["generation"]["generation"],
        "base_key": VECTORS["generation"]["base_key"], "suite": suite, "channel": 258,
        "now": NOW_MS, "frames": frames,
    })
}

#[test]
fn a_device_secret_becomes_both_keys_and_neither_can_be_read() {
    let secret = &VECTORS["device_secret"];
    let outcomes = run(vec![json!({ "op": "branches", "text": secret["text"] })]);
    let expected = json!({
        "auth": secret["auth_public"], "archive": secret["archive_public"],
        "wiped": true, "readable": false,
    });
    assert_eq!(outcomes[0], expected);
}

#[test]
fn a_terminals_keys_outlive_the_page_and_cannot_be_read() {
    let terminal = || json!({ "op": "terminal" });
    let camera = "ab".repeat(32);
    let pin = json!({ "op": "pin", "serial": "CAM-1", "camera": camera, "newest": 7 });
    let forget = json!({ "op": "forget_terminal" });
    let seen = visits(&[vec![terminal(), pin], vec![terminal(), forget, terminal()]]);
    let [first, pinned] = &seen[0][..] else { panic!("two outcomes") };
    assert_eq!((&first["kept"], &first["readable"]), (&json!(true), &json!(false)));
    assert_eq!(first["signature"], 64);
    assert_eq!(*pinned, json!({ "same": true, "epoch": "3", "newest": 7, "other": null }));
    assert_eq!(seen[1][0], *first, "the next visit has the same keys");
    assert_ne!(seen[1][2]["signing"], first["signing"]);
    assert_ne!(seen[1][2]["exchange"], first["exchange"]);
}

mod lists {
    use super::*;

    fn list() -> &'static str {
        text(&VECTORS, "/viewer_list/signed")
    }

    fn verifier() -> &'static Value {
        &VECTORS["device_secret"]["auth_public"]
    }

    fn open(list: &str) -> Value {
        json!({ "op": "list", "list": list, "verifier": verifier() })
    }

    /// The vectors' viewers as the page takes them.
    fn viewers() -> Vec<Value> {
        let terminal = |viewer: &Value| {
            let number = viewer["terminal"].as_u64().expect("a number") as usize;
            let keys = &VECTORS["terminals"][number - 1];
            json!({
                "signing": keys["signing_public"], "exchange": keys["exchange_public"],
                "account": viewer["account"], "scopes": viewer["scopes"],
                "expires": viewer["expires"],
            })
        };
        VECTORS["viewer_list"]["viewers"]
            .as_array()
            .expect("viewers")
            .iter()
            .map(terminal)
            .collect()
    }

    /// Builds and signs a list, and the one after it.
    fn sign(epoch: u64, version: u64, viewers: &[Value]) -> Value {
        json!({
            "op": "sign_list", "text": VECTORS["device_secret"]["text"], "serial": "CAM-1",
            "epoch": epoch, "version": version, "viewers": viewers,
        })
    }

    fn offer(lists: &[&str]) -> Value {
        json!({
            "op": "offer", "serial": "CAM-1", "epoch": 3, "verifier": verifier(), "lists": lists,
        })
    }

    #[test]
    fn a_list_is_read_and_written_byte_for_byte() {
        let mut viewers = viewers();
        let outcomes = run(vec![open(list()), sign(3, 7, &viewers)]);
        let written = outcomes[1].as_array().expect("two lists");
        assert_eq!(written[0], list());
        assert_eq!((&outcomes[0]["serial"], &outcomes[0]["epoch"]), (&json!("CAM-1"), &json!("3")));
        assert_eq!(outcomes[0]["version"], "7");
        viewers.sort_by_key(|viewer| viewer["signing"].as_str().expect("a key").to_owned());
        assert_eq!(outcomes[0]["viewers"], json!(viewers));
    }

    #[test]
    fn a_flip_anywhere_in_a_list_is_refused() {
        let flips = all_flips(list());
        let outcomes = run(flips.iter().map(|list| open(list)).collect());
        assert_eq!(outcomes.len(), list().len() / 2);
        let known = ["signature", "malformed", "account", "twice", "too-many"];
        for (at, outcome) in outcomes.iter().enumerate() {
            let reason = outcome["refused"].as_str();
            assert!(reason.is_some_and(|reason| known.contains(&reason)), "byte {at}: {outcome}");
        }
        assert_eq!(outcomes[outcomes.len() - 1], refused("signature"));
        assert_eq!(outcomes[0], refused("malformed"));
    }

    #[test]
    fn a_list_that_is_cut_or_longer_or_signed_by_another_is_refused() {
        let (cut, long) = (&list()[..list().len() - 2], format!("{}00", list()));
        let other = json!({ "op": "list", "list": list(), "verifier": "00".repeat(32) });
        let too_long = format!("{}{}", list(), "00".repeat(9044));
        let outcomes = run(vec![open(cut), open(&long), open(&too_long), open(""), other]);
        assert_eq!(outcomes[..4], [(); 4].map(|()| refused("malformed")));
        assert_eq!(outcomes[4], refused("signature"));
    }

    #[test]
    fn lists_that_cannot_be_are_not_built() {
        let one = viewers().remove(0);
        let many = |count: u8| {
            let viewer = |at| {
                let key = format!("{at:02x}").repeat(32);
                with(&one, json!({ "signing": key, "exchange": key }))
            };
            (0..count).map(viewer).collect::<Vec<_>>()
        };
        let changed = |more| vec![with(&one, more)];
        let outcomes = run(vec![
            sign(3, 1, &many(64)),
            sign(3, 1, &many(65)),
            sign(3, 0, &[]),
            sign(3, 1, &[one.clone(), one.clone()]),
            sign(3, 1, &changed(json!({ "account": "" }))),
            sign(3, 1, &changed(json!({ "account": "a b" }))),
            sign(3, 1, &changed(json!({ "account": "a".repeat(65) }))),
            sign(3, 1, &changed(json!({ "account": "a".repeat(64) }))),
            sign(3, 1, &changed(json!({ "scopes": 16 }))),
        ]);
        let reasons: Vec<_> = outcomes.iter().map(|one| one["refused"].as_str()).collect();
        let expected = [
            None,
            Some("too-many"),
            Some("malformed"),
            Some("twice"),
            Some("account"),
            Some("account"),
            Some("account"),
            None,
            Some("malformed"),
        ];
        assert_eq!(reasons, expected);
    }

    #[test]
    fn only_a_newer_list_of_this_binding_comes_into_force() {
        let made = run(vec![sign(3, 6, &viewers()), sign(4, 9, &viewers()), sign(3, 8, &[])]);
        let signed = |at: usize| text(&made[at], "/0").to_owned();
        let (older, other_epoch, newer) = (signed(0), signed(1), signed(2));
        let flip = flipped(&newer, newer.len() / 2 - 1);
        let all = [list(), list(), &older, &other_epoch, &flip, &newer, list()];
        let broken = with(&offer(&[list()]), json!({ "store": false }));
        let other_serial = with(&offer(&[list()]), json!({ "serial": "CAM-2" }));
        let outcomes = run(vec![offer(&all), broken, other_serial]);
        let taken = json!({ "taken": true });
        let reasons = ["held", "not-newer", "other-binding", "signature"].map(refused);
        let mut expected = vec![taken.clone()];
        expected.extend(reasons);
        expected.extend([taken, refused("not-newer")]);
        assert_eq!(outcomes[0]["results"], json!(expected));
        assert_eq!((&outcomes[0]["version"], &outcomes[0]["stored"]), (&json!("8"), &json!(2)));
        // What cannot be stored does not come into force.
        assert_eq!(outcomes[1]["version"], "0");
        assert_eq!(outcomes[2]["results"][0], refused("other-camera"));
    }
}

mod generations {
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
        assert_eq!(
            (&outcomes[0]["newest"], &outcomes[0]["remembered"]),
            (number, &json!([number]))
        );
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
        let numbers =
            |steps: &[u64]| json!(steps.iter().map(|step| first + step).collect::<Vec<_>>());
        assert_eq!(outcomes[0]["results"], numbers(&[0, 1, 2, 3, 4, 5]));
        assert_eq!(outcomes[0]["held"], numbers(&[2, 3, 4, 5]));
        assert_eq!(outcomes[0]["remembered"], numbers(&[0, 1, 2, 3, 4, 5]));
        assert_eq!(outcomes[1]["results"], json!([first + 5, refused("older"), first + 5]));
        assert_eq!(outcomes[2]["held"], numbers(&[0, 1, 2, 3, 4, 5]));
    }
}

mod opened_frames {
    use super::*;

    #[test]
    fn frames_of_both_suites_open_once() {
        for suite in [4, 5] {
            let (all, sealed) = (frames(suite), sealed(suite));
            let twice = [sealed.clone(), sealed.clone()].concat();
            let outcomes = run(vec![opening(suite, &twice)]).remove(0);
            let outcomes = outcomes.as_array().expect("outcomes");
            assert_eq!(outcomes.len(), 2 * all.len());
            for (frame, outcome) in all.iter().zip(outcomes) {
                assert_eq!(outcome["unit"], frame["unit"]);
            }
            let again = vec![refused("replayed"); all.len()];
            assert_eq!(outcomes[all.len()..], again);
            let said = |at: usize, name: &str| outcomes[at][name].clone();
            assert_eq!((said(0, "codec"), said(0, "keyframe")), (json!("h264"), json!(true)));
            assert_eq!((said(2, "sub"), said(2, "track")), (json!(true), json!(1)));
            assert_eq!((said(3, "codec"), said(3, "discontinuity")), (json!("opus"), json!(false)));
            assert_eq!(said(0, "captured"), json!(1_800_000_000_040_u64));
        }
    }

    #[test]
    fn a_flip_anywhere_in_a_frame_is_refused_by_name() {
        let frame = &sealed(4)[0];
        let mut all = all_flips(frame);
        all.push(frame.clone());
        let outcomes = run(vec![opening(4, &all)]).remove(0);
        let outcomes = outcomes.as_array().expect("outcomes");
        for (at, outcome) in outcomes[..outcomes.len() - 1].iter().enumerate() {
            let expected: &[&str] = match at {
                0 | 2 | 3 => &["malformed"],         // version, codec, track
                1 | 6..14 => &["tampered"],          // flags, capture time
                4 | 5 | 14..22 => &["other-camera"], // channel, serial
                22 => &["malformed"],                // lengths
                23..27 => &["missing-generation"],
                27..31 => &["malformed"], // channel and track of the KID, a short CTR
                _ => &["tampered"],       // CTR, ciphertext, tag
            };
            let reason = outcome["refused"].as_str();
            assert!(reason.is_some_and(|one| expected.contains(&one)), "byte {at}: {outcome}");
        }
        assert!(outcomes.len() - 1 > HEAD);
        // Nothing of that moved the window.
        assert_eq!(outcomes[outcomes.len() - 1]["unit"], frames(4)[0]["unit"]);
    }

    #[test]
    fn a_frame_of_another_form_is_refused() {
        let frame = &sealed(4)[0];
        let change =
            |at: usize, byte: &str| format!("{}{byte}{}", &frame[..2 * at], &frame[2 * at + 2..]);
        let all = [
            String::new(),
            frame[..2 * (HEAD + 16)].to_owned(),
            change(1, "10"),
            change(2, "08"),
            change(2, "00"),
            change(3, "08"),
            change(6, "40"),
            change(23, "00"),
            change(30, "00"),
        ];
        let outcomes = run(vec![opening(4, &all)]).remove(0);
        assert_eq!(outcomes, json!(vec![refused("malformed"); all.len()]));
    }

    #[test]
    fn another_camera_another_channel_and_another_key_are_told_apart() {
        let frame = &sealed(4)[..1];
        let changed = |more| with(&opening(4, frame), more);
        let outcomes = run(vec![
            changed(json!({ "serial": "CAM-2" })),
            changed(json!({ "channel": 257 })),
            changed(json!({ "base_key": "00".repeat(32) })),
            changed(json!({ "generation": 1_800_000_001 })),
            changed(json!({ "suite": 5 })),
        ]);
        let reasons =
            ["other-camera", "other-camera", "tampered", "missing-generation", "tampered"];
        for (outcome, reason) in outcomes.iter().zip(reasons) {
            assert_eq!(outcome[0], refused(reason));
        }
    }

    #[test]
    fn copies_that_are_opened_at_once_open_once() {
        let frame = &sealed(4)[..1];
        let base = opening(4, frame);
        let at_once = with(&base, json!({ "op": "at_once", "copies": 4, "frame": frame[0] }));
        let outcome = run(vec![at_once]).remove(0);
        let unit = &frames(4)[0]["unit"];
        assert_eq!(outcome, json!([unit, "replayed", "replayed", "replayed"]));
    }

    #[test]
    fn a_frame_of_another_time_is_marked_as_delayed() {
        let captured = 1_800_000_000_040_u64;
        let at = |now: u64| with(&opening(4, &sealed(4)[..1]), json!({ "now": now }));
        let times = [captured + 5000, captured + 5001, captured - 5000, captured - 5001, captured];
        let outcomes = run(times.map(at).into());
        let delays: Vec<_> = outcomes.iter().map(|one| one[0]["delayed"].clone()).collect();
        assert_eq!(delays, [0, 5001, 0, 5001, 0].map(|delay| json!(delay)));
    }

    #[test]
    fn the_window_is_1024_counters_long() {
        let steps = [5000, 5000, 3977, 3977, 3976, 6024, 5000, 5001, 5001];
        let outcome = run(vec![json!({ "op": "window", "steps": steps })]).remove(0);
        let (fresh, replayed, behind) = ("fresh", "replayed", "too-far-behind");
        let expected = [fresh, replayed, fresh, replayed, behind, fresh, behind, fresh, replayed];
        assert_eq!(outcome, json!(expected));
    }
}

mod streams {
    use super::*;

    /// Version, track 3, a keyframe with capture time, and a sealed frame without.
    const STREAM: &str = "01030721050a4064aabb0608090b40c8cc";

    fn read(pieces: &[&str]) -> Value {
        json!({ "op": "stream", "pieces": pieces })
    }

    fn frame(keyframe: bool, sealed: bool, capture: Value, rest: Value) -> Value {
        let flags = json!({
            "track": 3, "keyframe": keyframe, "discardable": false, "discontinuity": false,
            "sealed": sealed, "sub": false, "capture": capture,
        });
        with(&flags, rest)
    }

    #[test]
    fn items_survive_however_their_stream_is_cut() {
        let bytes: Vec<String> =
            STREAM.as_bytes().chunks(2).map(|it| String::from_utf8_lossy(it).into()).collect();
        let cut = |size: usize| bytes.chunks(size).map(|it| it.concat()).collect::<Vec<_>>();
        let read = |pieces: Vec<String>| json!({ "op": "stream", "pieces": pieces });
        let sizes = [1, 2, 3, 7, bytes.len()];
        let expected = json!({
            "items": [
                frame(true, false, json!(100), json!({ "sequence": 5, "mediaTime": 10, "payload": "aabb" })),
                frame(false, true, Value::Null, json!({ "sequence": 9, "mediaTime": 11, "payload": "40c8cc" })),
            ],
            "held": 0, "refused": null,
        });
        for outcome in run(sizes.map(|size| read(cut(size))).into()) {
            assert_eq!(outcome, expected);
        }
    }

    #[test]
    fn a_stream_that_breaks_the_format_is_refused_and_the_longest_item_is_waited_for() {
        let outcomes = run(vec![
            read(&["0200"]),
            read(&["01", "4100"]),
            read(&["010000"]),
            read(&["0100022001"]),
            read(&["0100", "80800001"]),
            read(&["0100", "80800000", "00"]),
            read(&["0100", "c000000000800001"]),
        ]);
        let refusals: Vec<_> = outcomes.iter().map(|one| one["refused"].as_str()).collect();
        let no = Some("malformed");
        assert_eq!(refusals, [no, no, no, no, no, None, no]);
        assert_eq!(outcomes[5]["held"], 1);
    }
}
