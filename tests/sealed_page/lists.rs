//! Viewer lists: read, written, refused, in force.

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
    VECTORS["viewer_list"]["viewers"].as_array().expect("viewers").iter().map(terminal).collect()
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
