use aws_lc_rs::signature::KeyPair;
use sightline_grant::PublicKey;

use super::generation::{
    GenerationBlob, MAX_BLOB_LEN, MAX_GENERATION, MAX_WRAPS, MIN_GENERATION, WRAP_LEN, Wrap, cut,
};
use super::list::{MAX_ACCOUNT_LEN, MAX_LIST_LEN, MAX_VIEWERS, ViewerList};
use super::order::SealingOrder;
use super::testing::{BlobOf, ListOf, key_of, order_of, wrap_for};
use super::{MAX_NUMBER, Malformed};
use crate::ids::MAX_SERIAL_LEN;
use crate::tests::rig::{key, public};

const LIST: ListOf<'_> = ListOf { serial: "CAM-1", epoch: 3, version: 9, viewers: 2, account: 5 };
const BLOB: BlobOf<'_> =
    BlobOf { serial: "CAM-1", epoch: 3, number: MIN_GENERATION, suite: 4, wraps: 2 };

fn verifier(seed: u8) -> [u8; 32] {
    key(seed).public_key().as_ref().try_into().unwrap()
}

fn list_error(bytes: &[u8]) -> Option<Malformed> {
    ViewerList::read(bytes).err()
}

#[test]
fn a_list_is_read_with_its_binding_and_version_and_checked_against_one_key() {
    let bytes = LIST.signed(&key(1));
    let list = ViewerList::read(&bytes).unwrap();
    assert_eq!((list.head.binding.serial.as_str(), list.head.binding.epoch), ("CAM-1", 3));
    assert_eq!(list.head.version, 9);
    assert!(list.is_signed_by(&verifier(1)));
    assert!(!list.is_signed_by(&verifier(2)));
}

#[test]
fn no_flipped_bit_of_a_list_or_a_signed_header_passes() {
    let bytes = LIST.signed(&key(1));
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let passes = ViewerList::read(&flipped).is_ok_and(|list| list.is_signed_by(&verifier(1)));
        assert!(!passes, "byte {at}");
    }
    let bytes = BLOB.signed(&key(1));
    for at in 0..bytes.len() - 2 - 2 * WRAP_LEN {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let identity = public(&key(1));
        let passes = GenerationBlob::read(&flipped).is_ok_and(|blob| blob.is_signed_by(&identity));
        assert!(!passes, "byte {at}");
    }
}

#[test]
fn every_cut_and_every_added_byte_is_refused() {
    let (list, blob) = (LIST.signed(&key(1)), BLOB.signed(&key(1)));
    for len in 0..list.len() {
        assert!(ViewerList::read(&list[..len]).is_err(), "{len} bytes of a list");
    }
    for len in 0..blob.len() {
        assert!(GenerationBlob::read(&blob[..len]).is_err(), "{len} bytes of a blob");
    }
    let after = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    assert_eq!(list_error(&after(list)), Some(Malformed("bytes follow its end")));
    let error = GenerationBlob::read(&after(blob)).unwrap_err();
    assert_eq!(error, Malformed("bytes follow its end"));
}

#[test]
fn the_largest_list_fits_and_one_more_of_anything_does_not() {
    let serial = "S".repeat(MAX_SERIAL_LEN);
    let (viewers, account) = (MAX_VIEWERS as u16, MAX_ACCOUNT_LEN as u8);
    let largest = ListOf { serial: &serial, version: MAX_NUMBER, viewers, account, ..LIST };
    let bytes = largest.signed(&key(1));
    assert_eq!((bytes.len(), MAX_LIST_LEN), (9044, 9044));
    assert!(list_error(&bytes).is_none());
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(list_error(&longer), Some(Malformed("it is longer than any list")));
    let serial = "S".repeat(MAX_SERIAL_LEN + 1);
    for (worse, broken) in [
        (ListOf { serial: &serial, ..LIST }, "a text in it is empty or too long"),
        (ListOf { serial: "", ..LIST }, "a text in it is empty or too long"),
        (ListOf { account: account + 1, ..LIST }, "a text in it is empty or too long"),
        (ListOf { account: 0, ..LIST }, "a text in it is empty or too long"),
        (ListOf { viewers: viewers + 1, ..LIST }, "it has more than 64 terminals"),
        (ListOf { version: 0, ..LIST }, "its version is not from 1 to 2^53 - 1"),
        (ListOf { version: MAX_NUMBER + 1, ..LIST }, "its version is not from 1 to 2^53 - 1"),
    ] {
        assert_eq!(list_error(&worse.signed(&key(1))), Some(Malformed(broken)));
    }
    assert!(list_error(&ListOf { viewers: 0, ..LIST }.signed(&key(1))).is_none(), "nobody");
    let mut newer = LIST.signed(&key(1));
    newer[0] = 2;
    assert_eq!(list_error(&newer), Some(Malformed("it has another version of the format")));
}

#[test]
fn the_largest_blob_fits_and_one_more_of_anything_does_not() {
    let serial = "S".repeat(MAX_SERIAL_LEN);
    let wraps = MAX_WRAPS as u16;
    let largest = BlobOf { serial: &serial, number: MAX_GENERATION, suite: 5, wraps, ..BLOB };
    let bytes = largest.signed(&key(1));
    assert_eq!((bytes.len(), MAX_BLOB_LEN), (14534, 14534));
    assert_eq!(GenerationBlob::read(&bytes).unwrap().wraps.len(), MAX_WRAPS);
    let longer = [&bytes[..], &[0]].concat();
    let error = |bytes: &[u8]| GenerationBlob::read(bytes).unwrap_err().0;
    assert_eq!(error(&longer), "it is longer than any generation");
    for (worse, broken) in [
        (BlobOf { suite: 3, ..BLOB }, "it has a cipher suite that is not offered"),
        (BlobOf { suite: 6, ..BLOB }, "it has a cipher suite that is not offered"),
        (BlobOf { number: MIN_GENERATION - 1, ..BLOB }, "its number is not from 2^24 to 2^32 - 1"),
        (BlobOf { number: MAX_GENERATION + 1, ..BLOB }, "its number is not from 2^24 to 2^32 - 1"),
    ] {
        assert_eq!(error(&worse.signed(&key(1))), broken);
    }
}

#[test]
fn a_blob_that_claims_more_wraps_than_there_can_be_is_refused_by_its_count() {
    let bare = BlobOf { wraps: 0, ..BLOB }.signed(&key(1));
    for (count, broken) in
        [(MAX_WRAPS, "it ends early"), (MAX_WRAPS + 1, "it has more than 128 wraps")]
    {
        let claims = [&bare[..bare.len() - 2], &(count as u16).to_be_bytes()].concat();
        assert_eq!(GenerationBlob::read(&claims).unwrap_err(), Malformed(broken));
    }
}

#[test]
fn wraps_rise_strictly_by_recipient() {
    let bare = BlobOf { wraps: 0, ..BLOB }.signed(&key(1));
    let with = |recipients: [u16; 2]| {
        let mut bytes = bare[..bare.len() - 2].to_vec();
        bytes.extend_from_slice(&2u16.to_be_bytes());
        for recipient in recipients {
            bytes.extend_from_slice(&wrap_for(recipient, 0));
        }
        bytes
    };
    assert!(GenerationBlob::read(&with([1, 2])).is_ok());
    for order in [[2, 1], [1, 1]] {
        let error = GenerationBlob::read(&with(order)).unwrap_err();
        assert_eq!(error, Malformed("its wraps do not rise by recipient"));
    }
}

#[test]
fn a_cut_blob_is_what_the_camera_signed_and_one_wrap_at_most() {
    let bytes = BLOB.signed(&key(1));
    let blob = GenerationBlob::read(&bytes).unwrap();
    for wrap in [None, Some(&blob.wraps[1])] {
        let bytes = cut(blob.signed, wrap);
        let again = GenerationBlob::read(&bytes).unwrap();
        assert!(again.is_signed_by(&public(&key(1))));
        assert_eq!(again.wraps.first(), wrap);
    }
    assert_eq!(cut(blob.signed, None).len(), blob.signed.len() + 2);
}

#[test]
fn a_generation_is_signed_by_an_ed25519_identity_only() {
    let bytes = BLOB.signed(&key(1));
    let blob = GenerationBlob::read(&bytes).unwrap();
    assert!(blob.is_signed_by(&public(&key(1))));
    assert!(!blob.is_signed_by(&public(&key(2))));
    assert!(!blob.is_signed_by(&PublicKey::P256 { x: [1; 32], y: [2; 32] }));
}

#[test]
fn an_order_is_read_whole_and_no_flipped_bit_of_it_passes() {
    for mode in [0, 1] {
        let bytes = order_of("CAM-1", 3, MAX_NUMBER, mode, &key(1));
        let order = SealingOrder::read(&bytes).unwrap();
        assert_eq!((order.sequence, order.sealed), (MAX_NUMBER, mode == 1));
        assert!(order.is_signed_by(&verifier(1)) && !order.is_signed_by(&verifier(2)));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let order = SealingOrder::read(&flipped);
            assert!(!order.is_ok_and(|order| order.is_signed_by(&verifier(1))), "byte {at}");
            assert!(SealingOrder::read(&bytes[..at]).is_err(), "{at} bytes");
        }
    }
    for (sequence, mode) in [(0, 1), (MAX_NUMBER + 1, 1), (1, 2)] {
        assert!(SealingOrder::read(&order_of("CAM-1", 3, sequence, mode, &key(1))).is_err());
    }
}

#[test]
fn a_wrap_has_one_length() {
    let bytes = wrap_for(4, 8);
    let wrap = Wrap::read(&bytes).unwrap();
    assert_eq!((wrap.recipient, wrap.sealed.len()), (key_of(4), 80));
    assert!(Wrap::read(&bytes[1..]).is_err());
    assert!(Wrap::read(&[&bytes[..], &[0]].concat()).is_err());
}
