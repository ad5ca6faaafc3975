//! What keys do and refuse.

use proptest::prelude::*;

use super::*;

const KID: u64 = 0x0123_4567;
const BASE: [u8; 32] = [7; 32];

fn sealing() -> SealingKey {
    SealingKey::new(Suite::default(), &BASE, KID, 0..1 << 32).expect("derived")
}

fn opening() -> OpeningKey {
    OpeningKey::new(Suite::default(), &BASE, KID).expect("derived")
}

fn open(key: &mut OpeningKey, sealed: &[u8], metadata: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut out = Vec::new();
    key.open(&Parts::of(sealed).expect("parts"), metadata, &mut out).map(|()| out)
}

fn frames(count: usize) -> Vec<Vec<u8>> {
    let mut key = sealing();
    let seal = |at: usize| {
        let mut out = Vec::new();
        key.seal(b"m", &[at as u8], &mut out).expect("sealed");
        out
    };
    (0..count).map(seal).collect()
}

#[test]
fn a_sealing_key_counts_up_and_ends_before_a_nonce_repeats() {
    let mut key = SealingKey::new(Suite::default(), &BASE, KID, 10..12).expect("derived");
    let mut out = Vec::new();
    assert_eq!(key.seal(b"", b"a", &mut out).expect("sealed").ctr, 10);
    assert_eq!(key.left(), 1);
    assert_eq!(key.seal(b"", b"b", &mut out).expect("sealed").ctr, 11);
    let len = out.len();
    assert_eq!(key.seal(b"", b"c", &mut out), Err(SealError::UsedUp));
    assert_eq!((key.left(), out.len()), (0, len));
}

#[test]
fn metadata_is_bounded_on_both_sides() {
    let mut key = sealing();
    let mut out = Vec::new();
    assert!(key.seal(&[0; MAX_METADATA], b"", &mut out).is_ok());
    out.clear();
    assert_eq!(key.seal(&[0; MAX_METADATA + 1], b"", &mut out), Err(SealError::Metadata));
    assert!(out.is_empty());
}

#[test]
fn a_frame_opens_once_within_the_window_and_never_behind_it() {
    let frames = frames(WINDOW as usize + 2);
    let mut key = opening();
    assert!(open(&mut key, &frames[1], b"m").is_ok());
    assert_eq!(open(&mut key, &frames[1], b"m"), Err(OpenError::Replayed));
    assert!(open(&mut key, frames.last().expect("frames"), b"m").is_ok());
    assert_eq!(open(&mut key, &frames[0], b"m"), Err(OpenError::TooFarBehind));
    assert_eq!(open(&mut key, &frames[1], b"m"), Err(OpenError::TooFarBehind));
    assert_eq!(open(&mut key, &frames[2], b"m"), Ok(vec![2]));
    assert_eq!(open(&mut key, &frames[2], b"m"), Err(OpenError::Replayed));
}

/// A forged counter far ahead must not push honest frames out of the window.
#[test]
fn a_frame_that_is_not_authentic_moves_no_window_and_leaves_no_bytes() {
    let frames = frames(2);
    let mut key = opening();
    assert!(open(&mut key, &frames[0], b"m").is_ok());
    let head = Parts::of(&frames[1]).expect("parts").header_len();
    let forged = [&*Header { kid: KID, ctr: u64::MAX }.to_bytes(), &frames[1][head..]].concat();
    let mut out = vec![9];
    let parts = Parts::of(&forged).expect("parts");
    assert_eq!(key.open(&parts, b"m", &mut out), Err(OpenError::NotAuthentic));
    assert_eq!(out, [9]);
    assert!(open(&mut key, &frames[1], b"m").is_ok());
}

#[test]
fn another_kid_another_base_key_and_another_suite_open_nothing() {
    let sealed = &frames(1)[0];
    let mut other_kid = OpeningKey::new(Suite::default(), &BASE, KID + 1).expect("derived");
    assert_eq!(open(&mut other_kid, sealed, b"m"), Err(OpenError::OtherKey));
    let mut other_base = OpeningKey::new(Suite::default(), &[8; 32], KID).expect("derived");
    assert_eq!(open(&mut other_base, sealed, b"m"), Err(OpenError::NotAuthentic));
    let mut other_suite = OpeningKey::new(Suite::Aes256Gcm, &BASE, KID).expect("derived");
    assert_eq!(open(&mut other_suite, sealed, b"m"), Err(OpenError::NotAuthentic));
}

#[test]
fn what_is_shorter_than_header_and_tag_has_no_parts() {
    let sealed = &frames(1)[0];
    let empty = sealed.len() - 1;
    assert!(Parts::of(&sealed[..empty]).is_ok());
    assert!(Parts::of(&sealed[..empty - 1]).is_err());
    assert!(Parts::of(&[]).is_err());
}

#[test]
fn keys_do_not_print() {
    let printed = format!("{:?} {:?}", sealing(), opening());
    assert_eq!(printed, "SealingKey { kid: 19088743, .. } OpeningKey { kid: 19088743, .. }");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_anywhere_is_noticed(
        plain in prop::collection::vec(any::<u8>(), 0..100),
        metadata in prop::collection::vec(any::<u8>(), 1..30),
        at: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let mut sealed = Vec::new();
        sealing().seal(&metadata, &plain, &mut sealed).expect("sealed");
        let mut all = [sealed.clone(), metadata.clone()].concat();
        let at = at.index(all.len());
        all[at] ^= 1 << bit;
        let (sframe, metadata) = all.split_at(sealed.len());
        let mut out = Vec::new();
        // The header may have become another key's, or none.
        if let Ok(parts) = Parts::of(sframe) {
            prop_assert!(opening().open(&parts, metadata, &mut out).is_err());
        }
        prop_assert!(out.is_empty());
    }
}
