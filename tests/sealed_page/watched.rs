//! A camera that seals and a relay that misbehaves, against the viewer with its decoders.

use super::*;

/// Pictures of a group.
const GOP: u64 = 10;
/// A group in which the relay loses, changes or withholds something loses what follows it.
const MISHAP_AT: u64 = GOP + 3;

fn watch(facts: Value) -> Value {
    run(vec![with(&json!({ "op": "watch" }), facts)]).remove(0)
}

/// Numbers of the pictures that were shown; they never go back.
fn shown(outcome: &Value) -> Vec<u64> {
    let numbers = outcome["shown"].as_array().expect("pictures").iter();
    let numbers: Vec<_> = numbers.map(|number| number.as_u64().expect("a number")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&(3 * GOP - 1)), "{outcome}");
    numbers
}

/// Nothing of the second group from `from` on was shown, and the third group was.
fn skips_to_the_next_keyframe(outcome: &Value, from: u64) {
    let shown = shown(outcome);
    assert!(!shown.iter().any(|number| (from..2 * GOP).contains(number)), "{shown:?}");
}

#[test]
fn all_pictures_of_a_sealed_camera_are_opened_and_shown_in_order() {
    let outcome = watch(json!({}));
    shown(&outcome);
    assert_eq!(
        (&outcome["counts"]["opened"], &outcome["counts"]["refused"]),
        (&json!(30), &json!(0))
    );
    assert_eq!(outcome["events"], json!([]));
}

#[test]
fn after_a_reset_or_a_hung_stream_the_picture_goes_on_at_the_next_keyframe() {
    for mishap in ["reset", "hung"] {
        let outcome = watch(json!({ "mishap": mishap }));
        skips_to_the_next_keyframe(&outcome, MISHAP_AT);
        assert_eq!(outcome["events"], json!([]), "{mishap}");
    }
}

#[test]
fn a_tampered_and_an_unsealed_frame_are_told_and_never_shown() {
    for (mishap, told) in [("tampered", "refused tampered"), ("clear", "refused clear-media")] {
        let outcome = watch(json!({ "mishap": mishap }));
        skips_to_the_next_keyframe(&outcome, MISHAP_AT);
        assert_eq!(outcome["events"], json!([told]));
    }
}

#[test]
fn a_replayed_frame_is_not_shown_again() {
    let outcome = watch(json!({ "mishap": "replayed" }));
    skips_to_the_next_keyframe(&outcome, MISHAP_AT);
    assert_eq!(outcome["counts"]["refused"], 1);
}

#[test]
fn the_lower_tier_takes_the_place_of_a_track_from_a_keyframe_on() {
    let outcome = watch(json!({ "mishap": "lower" }));
    shown(&outcome);
    assert_eq!((&outcome["counts"]["opened"], &outcome["events"]), (&json!(30), &json!([])));
    for mishap in ["mixed", "foreign"] {
        let outcome = watch(json!({ "mishap": mishap }));
        skips_to_the_next_keyframe(&outcome, MISHAP_AT);
        assert_eq!(outcome["events"], json!(["refused malformed"]));
    }
}

#[test]
fn a_group_without_its_keyframe_is_not_decoded() {
    let outcome = watch(json!({ "mishap": "headless" }));
    skips_to_the_next_keyframe(&outcome, GOP);
    assert_eq!((&outcome["events"], &outcome["counts"]["skipped"]), (&json!([]), &json!(9)));
}

#[test]
fn a_new_generation_is_fetched_when_a_frame_names_it() {
    let outcome = watch(json!({ "generation": 1 }));
    shown(&outcome);
    assert_eq!(outcome["counts"]["opened"], 30);
    assert_eq!(outcome["events"], json!(["missing 1"]));
}

#[test]
fn a_generation_that_never_comes_is_told_and_holds_up_nothing() {
    let outcome = watch(json!({ "generation": 1, "answered": false }));
    skips_to_the_next_keyframe(&outcome, GOP);
    let events = outcome["events"].as_array().expect("events");
    let asked = events.iter().filter(|event| **event == "missing 1").count();
    // Once at first, then every half second for five at most, and once more if a timer rings early.
    assert!((1..=12).contains(&asked), "asked {asked} times");
}

#[test]
fn pictures_of_ten_seconds_ago_are_shown_as_delayed() {
    let outcome = watch(json!({ "age": 10_000 }));
    shown(&outcome);
    assert_eq!(outcome["counts"]["delayed"], 30);
    assert_eq!(outcome["events"], json!(["delayed"]));
}

#[test]
fn sound_is_heard_around_a_frame_that_was_changed() {
    let outcome = run(vec![json!({ "op": "listen" })]).remove(0);
    let times = (0..10).filter(|at| *at != 4);
    let expected: Vec<_> = times.map(|at| json!([at * 20, 160])).collect();
    assert_eq!(outcome["heard"], json!(expected));
    assert_eq!(outcome["events"], json!(["refused tampered"]));
}

/// Pictures are shown at capture time and delay by the same clock: 60 ms apart is the limit.
#[test]
fn sound_is_played_when_the_picture_of_its_time_is_due() {
    let speak = |facts: Value| with(&json!({ "op": "speak" }), facts);
    let cases = [
        (speak(json!({ "due": 200 })), 200.0, 0),
        (speak(json!({ "due": 200, "rate": 8000 })), 200.0, 0),
        // What is late already is skipped, and a gap stays one.
        (speak(json!({ "due": -150 })), -150.0, 1),
        (speak(json!({ "due": 100, "skip": 2 })), 100.0, 2),
    ];
    let outcomes = run(cases.iter().map(|(operation, ..)| operation.clone()).collect());
    for ((_, due, missing), outcome) in cases.iter().zip(&outcomes) {
        for (at, played) in outcome.as_array().expect("times").iter().enumerate() {
            let expected = (due + at as f64 * 100.0).max(0.0);
            match played.as_f64() {
                Some(played) => assert!((played - expected).abs() <= 30.0, "{outcome}"),
                None => assert!(at < *missing, "{outcome}"),
            }
        }
    }
}

/// Without a click: a sample takes 0.021 ms, and nowhere is it much more.
#[test]
fn sound_that_drifts_is_brought_back_without_a_jump_and_moved_at_once_when_it_is_far_off() {
    let drift = |shift: i64| json!({ "op": "drift", "shift": shift, "seconds": 8 });
    let outcomes = run([20, -20, 200].into_iter().map(drift).collect());
    let off = |outcome: &Value| -> Vec<f64> {
        let off = outcome["off"].as_array().expect("a list");
        off.iter().map(|off| off.as_f64().expect("a number").abs()).collect()
    };
    for outcome in &outcomes[..2] {
        let off = off(outcome);
        assert!(off[0] < 1.0 && off[1] > 10.0 && off[7] < 3.0, "{outcome}");
        assert!(outcome["step"].as_f64().expect("a number") < 0.03, "{outcome}");
    }
    assert!(off(&outcomes[2])[1] < 4.0, "{}", outcomes[2]);
}

#[test]
fn the_delay_is_that_of_the_quickest_frame_of_late_and_a_buffer() {
    let arrivals = json!([[0, 100], [40, 130], [80, 200], [9_960, 10_100], [20_000, 20_110]]);
    let stepped = json!([[1_000, 1_100], [101_040, 1_140]]);
    let of = |arrivals| json!({ "op": "delays", "arrivals": arrivals });
    let outcomes = run(vec![of(arrivals), of(stepped)]);
    assert_eq!(outcomes[0], json!([160, 150, 150, 200, 170]));
    assert_eq!(outcomes[1], json!([160, 1_140 - 101_040 + 60]));
}

#[test]
fn the_policy_lets_the_worker_start_and_nothing_else() {
    let outcome = run(vec![json!({ "op": "worker" })]).remove(0);
    let expected = json!({ "first": { "kind": "ready" }, "other": true, "policy": true });
    assert_eq!(outcome, expected);
}
