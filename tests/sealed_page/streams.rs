//! Streams of items, cut anywhere.

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
