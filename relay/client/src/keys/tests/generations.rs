//! Generations: who opens them, and what a server can make of them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::keys::generation::{BASE_KEY_LEN, GenerationHeader};

/// Bytes of one wrap.
const WRAP_LEN: usize = 32 + 32 + 48;

/// A camera with these viewers, and its first generation.
fn made(viewers: &[u8]) -> (Rig, GenerationBlob) {
    let mut rig = Rig::new("CAM-1", 1);
    let viewers: Vec<Viewer> = viewers.iter().copied().map(viewer).collect();
    let list = rig.list(1, &viewers);
    rig.take(&list);
    let blob = rig.generation(0).blob;
    (rig, blob)
}

fn open(rig: &Rig, bytes: &[u8], key: &ExchangeKey) -> Result<Vec<u8>, BlobError> {
    let binding = rig.camera.lists().binding();
    let opened = GenerationBlob::open(bytes, &rig.pin(), binding)?.unwrap(key)?;
    Ok(opened.base_key.expose().to_vec())
}

#[test]
fn every_viewer_and_the_archive_open_the_same_key_and_nobody_else() {
    let (rig, blob) = made(&[1, 2]);
    let bytes = blob.to_bytes();
    let key = open(&rig, &bytes, terminal(1).exchange()).expect("opened");
    assert_eq!(key.len(), BASE_KEY_LEN);
    assert_eq!(open(&rig, &bytes, terminal(2).exchange()), Ok(key.clone()));
    let archive = rig.secret.archive_key().expect("derived");
    assert_eq!(open(&rig, &bytes, &archive), Ok(key));
    assert_eq!(open(&rig, &bytes, terminal(3).exchange()), Err(BlobError::NotARecipient));
    assert_eq!((blob.header().list_version, blob.header().not_before), (1, NOW));
}

#[test]
fn a_blob_cut_down_to_one_recipient_opens_for_that_one() {
    let (rig, blob) = made(&[1, 2]);
    let one = blob.only_for(&terminal(1).public().exchange).expect("a recipient");
    assert_eq!(one.recipients().count(), 1);
    assert!(open(&rig, &one.to_bytes(), terminal(1).exchange()).is_ok());
    let refused = open(&rig, &one.to_bytes(), terminal(2).exchange());
    assert_eq!(refused, Err(BlobError::NotARecipient));
    assert_eq!(blob.only_for(&terminal(3).public().exchange), None);
}

/// Later guests see the past only if an owner's terminal wraps it for them.
#[test]
fn an_owner_wraps_the_past_for_a_later_guest() {
    let (rig, mut blob) = made(&[1]);
    let opened = blob.unwrap(terminal(1).exchange()).expect("opened");
    blob.wrap_for(&opened, terminal(5).public().exchange).expect("wrapped");
    let key = open(&rig, &blob.to_bytes(), terminal(5).exchange());
    assert_eq!(key, open(&rig, &blob.to_bytes(), terminal(1).exchange()));
    let (_, mut other) = made(&[1]);
    let refused = other.wrap_for(&opened, terminal(5).public().exchange);
    assert_eq!(refused, Err(BlobError::WrongKey));
}

#[test]
fn wraps_are_bounded_on_both_sides() {
    let (_, mut blob) = made(&[1]);
    let opened = blob.unwrap(terminal(1).exchange()).expect("opened");
    for number in 2..MAX_WRAPS as u8 {
        blob.wrap_for(&opened, terminal(number).public().exchange).expect("room");
    }
    assert_eq!(blob.recipients().count(), MAX_WRAPS);
    let full = blob.wrap_for(&opened, terminal(200).public().exchange);
    assert!(matches!(full, Err(BlobError::Malformed(_))));
    assert!(blob.wrap_for(&opened, terminal(1).public().exchange).is_ok(), "in place");
    assert!(blob.to_bytes().len() <= MAX_BLOB);
}

#[test]
fn numbers_of_generations_are_bounded_on_both_sides_and_rise() {
    for number in [Generation::FIRST, Generation::LAST].map(Generation::number) {
        assert!(Generation::new(number).is_some());
    }
    for number in [Generation::FIRST.number() - 1, Generation::LAST.number() + 1] {
        assert_eq!(Generation::new(number), None);
    }
    let number = |last: Option<u64>, now| {
        let last = last.map(|last| Generation::new(last).expect("legal"));
        Generation::after(last, now).map(Generation::number)
    };
    assert_eq!(number(None, NOW), Some(NOW));
    assert_eq!(number(None, 5), Some(1 << 24), "a clock that was never set");
    assert_eq!(number(Some(NOW), NOW), Some(NOW + 1));
    assert_eq!(number(Some(NOW), NOW - 1000), Some(NOW + 1), "a clock that stepped back");
    assert_eq!(number(Some(NOW), u64::MAX), Some(NOW + 1), "a clock that is no clock");
    assert_eq!(number(Some((1 << 32) - 1), NOW), None);
}

#[test]
fn a_server_cannot_pass_off_another_generation() {
    let (rig, blob) = made(&[1]);
    let (other, swapped) = made(&[1]);
    let key = terminal(1);
    let key = key.exchange();
    // The same serial, another camera's signature.
    assert_eq!(open(&rig, &swapped.to_bytes(), key), Err(BlobError::Forged));
    let mut second = Rig::new("CAM-2", 1);
    let list = second.list(1, &[viewer(1)]);
    second.take(&list);
    let swapped = second.generation(0).blob.to_bytes();
    assert_eq!(open(&rig, &swapped, key), Err(BlobError::OtherCamera));
    let other_owner = GenerationBlob::open(&blob.to_bytes(), &rig.pin(), &binding("CAM-1", 4));
    assert_eq!(other_owner, Err(BlobError::OtherBinding));
    assert!(open(&other, &blob.to_bytes(), key).is_err());
}

/// HPKE in base mode has no sender: anybody can wrap something for a public key.
#[test]
fn a_key_that_somebody_else_wrapped_is_told_from_the_cameras() {
    let (rig, blob) = made(&[1, 2]);
    let mut forged = blob.clone();
    let own = BaseKey::generate().expect("random");
    let wrap = forged.wrap(&own, terminal(1).public().exchange).expect("wrapped");
    forged.insert(wrap);
    let refused = open(&rig, &forged.to_bytes(), terminal(1).exchange());
    assert_eq!(refused, Err(BlobError::WrongKey));
    assert!(open(&rig, &forged.to_bytes(), terminal(2).exchange()).is_ok());

    // The wrap for one terminal under the name of another.
    let mut bytes = blob.to_bytes();
    let wraps = bytes.len() - 3 * WRAP_LEN;
    let (first, rest) = bytes[wraps..].split_at_mut(WRAP_LEN);
    first[32..].swap_with_slice(&mut rest[32..WRAP_LEN]);
    let archive = rig.secret.archive_key().expect("derived");
    let keys = [terminal(1).exchange().public(), terminal(2).exchange().public(), archive.public()];
    let refused = [terminal(1).exchange(), terminal(2).exchange(), &archive]
        .map(|key| open(&rig, &bytes, key).err());
    let sorted: BTreeSet<_> = keys.into_iter().collect();
    for (key, refused) in keys.iter().zip(refused) {
        let swapped = sorted.iter().take(2).any(|swapped| swapped == key);
        assert_eq!(refused, swapped.then_some(BlobError::WrongKey));
    }
}

#[test]
fn a_live_viewer_takes_no_generation_older_than_it_knows() {
    let (mut rig, first) = made(&[1]);
    let terminal = terminal(1);
    let second = rig.generation(10).blob;
    let mut keyring = rig.live();
    let accept = |keyring: &mut Keyring, blob: &GenerationBlob| {
        keyring.accept(&blob.to_bytes(), terminal.exchange(), NOW + 10)
    };
    let newest = accept(&mut keyring, &second).expect("taken");
    let older = BlobError::Older { offered: NOW, newest: NOW + 10 };
    assert_eq!(accept(&mut keyring, &first), Err(older));
    // Across a restart of the viewer too.
    let binding = rig.camera.lists().binding().clone();
    let mut again = Keyring::live(binding.clone(), rig.pin(), Some(newest));
    assert_eq!(accept(&mut again, &first), Err(older));
    assert_eq!(accept(&mut again, &second), Ok(newest));
    let mut recordings = Keyring::recordings(binding, rig.pin());
    assert_eq!(accept(&mut recordings, &second), Ok(newest));
    assert!(accept(&mut recordings, &first).is_ok());
}

#[test]
fn a_live_viewer_goes_on_with_the_generations_that_it_held() {
    let (mut rig, first) = made(&[1]);
    let terminal = terminal(1);
    let mut keyring = rig.live();
    let mut blobs = vec![first];
    blobs.extend((1..=MAX_HELD_LIVE as u64).map(|at| rig.generation(at).blob));
    for (at, blob) in blobs.iter().enumerate() {
        keyring.accept(&blob.to_bytes(), terminal.exchange(), NOW).expect("taken");
        let first = blobs[0].header().generation;
        assert_eq!(keyring.holds(first), at < MAX_HELD_LIVE, "after {at}");
    }
    let held = blobs[1].to_bytes();
    assert!(keyring.accept(&held, terminal.exchange(), NOW).is_ok(), "one that it holds");
}

#[test]
fn a_generation_of_the_far_future_is_not_taken() {
    let (rig, blob) = made(&[1]);
    let terminal = terminal(1);
    let mut keyring = rig.live();
    let mut accept = |now| keyring.accept(&blob.to_bytes(), terminal.exchange(), now).err();
    assert_eq!(accept(NOW - MAX_CLOCK_LEAD - 1), Some(BlobError::NotYet));
    assert_eq!(accept(NOW - MAX_CLOCK_LEAD), None);
}

#[test]
fn recordings_hold_as_many_generations_as_the_bound_says() {
    let (mut rig, first) = made(&[1]);
    let terminal = terminal(1);
    let binding = rig.camera.lists().binding().clone();
    let mut keyring = Keyring::recordings(binding, rig.pin());
    let oldest = keyring.accept(&first.to_bytes(), terminal.exchange(), NOW).expect("taken");
    for at in 1..=MAX_HELD_RECORDINGS as u64 {
        assert!(keyring.holds(oldest), "{at}");
        let blob = rig.generation(at).blob;
        keyring.accept(&blob.to_bytes(), terminal.exchange(), NOW).expect("taken");
    }
    assert!(!keyring.holds(oldest));
    // An old one that is asked for again takes the place of another, not of itself.
    assert_eq!(keyring.accept(&first.to_bytes(), terminal.exchange(), NOW), Ok(oldest));
    assert!(keyring.holds(oldest));
}

/// A viewer with a public key that is none harms nobody but itself.
#[test]
fn a_viewer_whose_key_is_none_is_left_out() {
    let mut rig = Rig::new("CAM-1", 1);
    let mut broken = viewer(2);
    broken.terminal.exchange = ExchangePublic([0; 32]);
    let list = rig.list(1, &[viewer(1), broken]);
    rig.take(&list);
    let made = rig.generation(0);
    assert_eq!(made.skipped, [ExchangePublic([0; 32])]);
    assert!(open(&rig, &made.blob.to_bytes(), terminal(1).exchange()).is_ok());
    assert_eq!(rig.camera.due(rig.at(1)), None, "it is not tried again and again");
}

#[test]
fn the_longest_blob_is_as_long_as_the_bound_says() {
    let serial = "s".repeat(DeviceId::MAX_LEN);
    let identity = Identity::generate_device().expect("a key");
    let number = Generation::new(NOW).expect("legal");
    let header = GenerationHeader::new(Suite::Aes256Gcm, binding(&serial, 1), number, NOW, 1);
    let base = BaseKey::generate().expect("random");
    let all = (0..MAX_WRAPS as u8).map(|at| terminal(at + 1).public().exchange);
    let (blob, _) = GenerationBlob::make(&identity, header, &base, all).expect("made");
    assert_eq!(blob.to_bytes().len(), MAX_BLOB);
    let longer = [blob.to_bytes(), vec![0]].concat();
    assert!(GenerationBlob::open(&longer, &[0; 32], &binding(&serial, 1)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A changed bit is noticed, or was in a wrap that this terminal does not read.
    #[test]
    fn any_changed_bit_is_noticed(at: prop::sample::Index, bit in 0..8u8) {
        let (rig, blob) = made(&[1]);
        let key = terminal(1);
        let one = blob.only_for(&key.public().exchange).expect("a recipient");
        let mut changed = one.to_bytes();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert!(open(&rig, &changed, key.exchange()).is_err(), "byte {}", at);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(GenerationBlob::open(&bytes, &[7; 32], &binding("CAM-1", 3)).is_err());
    }
}
