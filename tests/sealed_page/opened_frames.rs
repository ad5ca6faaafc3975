//! Sealed frames: opened once, refused by name.

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
    let reasons = ["other-camera", "other-camera", "tampered", "missing-generation", "tampered"];
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
