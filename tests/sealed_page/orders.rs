//! Sealing orders: read, written, refused, and what an owner's terminal makes of them.

use super::*;

fn order() -> &'static str {
    text(&VECTORS, "/sealing_order/signed_order")
}

fn open(order: &str) -> Value {
    let verifier = &VECTORS["device_secret"]["auth_public"];
    json!({ "op": "order", "order": order, "verifier": verifier })
}

#[test]
fn an_order_is_read_and_written_byte_for_byte() {
    let sign = json!({
        "op": "sign_order", "text": VECTORS["device_secret"]["text"], "serial": "CAM-1",
        "epoch": 3, "sequence": 4, "sealed": false,
    });
    let outcomes = run(vec![open(order()), sign]);
    let read = json!({ "serial": "CAM-1", "epoch": "3", "sequence": "4", "sealed": false });
    assert_eq!(outcomes, [read, json!(order())]);
}

#[test]
fn an_order_that_was_changed_cut_or_signed_by_another_is_refused() {
    let mut changed: Vec<_> = all_flips(order()).iter().map(|order| open(order)).collect();
    let flips = changed.len();
    changed.extend([open(&order()[2..]), open(&format!("{}00", order())), open("")]);
    changed.push(json!({ "op": "order", "order": order(), "verifier": "00".repeat(32) }));
    let outcomes = run(changed);
    for (at, outcome) in outcomes.iter().enumerate() {
        let reason = outcome["refused"].as_str();
        let known = reason.is_some_and(|reason| ["signature", "malformed"].contains(&reason));
        assert!(known, "{at} of {flips}: {outcome}");
    }
    assert_eq!(outcomes[outcomes.len() - 1], refused("signature"));
}

#[test]
fn an_owners_terminal_takes_open_media_until_a_higher_order_or_the_camera_says_sealed() {
    let after = |word: (u64, bool), order: (u64, bool)| json!({ "op": "after_order", "serial": "CAM-1", "epoch": 3, "word": word, "order": order });
    let of = |serial: &str, epoch: u64| {
        let binding = json!({ "binding": { "serial": serial, "epoch": epoch } });
        with(&after((0, false), (9, false)), binding)
    };
    // Known sequence, whether an open order stands; offered sequence, whether it says sealed.
    let outcomes = run(vec![
        after((0, false), (5, false)),
        after((5, true), (5, false)),
        after((5, true), (5, true)),
        after((5, true), (6, true)),
        after((5, false), (6, false)),
        after((5, false), (5, false)),
        after((6, false), (5, false)),
        after((6, true), (5, true)),
        of("CAM-2", 3),
        of("CAM-1", 4),
    ]);
    let expected = [
        json!([5, true]),
        json!([5, true]),
        json!([5, false]),
        json!([6, false]),
        json!([6, true]),
        refused("not-newer"),
        refused("not-newer"),
        refused("not-newer"),
        refused("other-camera"),
        refused("other-binding"),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn orders_are_numbered_above_what_is_known_told_and_forgotten() {
    let cases = [(7, 0, 0, 8), (7, 7, 0, 8), (7, 9, 0, 10), (7, 9, 10, 10), (7, 9, 11, 11)];
    let next = |(known, told, now, _): &(u64, u64, u64, u64)| json!({ "op": "next_order", "known": known, "told": told, "now": now });
    let outcomes = run(cases.iter().map(next).collect());
    let expected: Vec<_> = cases.iter().map(|(_, _, _, next)| json!(next)).collect();
    assert_eq!(outcomes, expected);
}
