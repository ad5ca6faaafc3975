//! Still images under day keys.

use super::still::day_key;
use super::*;
use crate::keys::{BaseKey, Keyring};
use zeroize::Zeroizing;

fn info(kind: StillKind, capture: u64) -> StillInfo {
    StillInfo { kind, media: StillType::Jpeg, channel: CHANNEL, capture: CaptureTime(capture) }
}

struct Album {
    sealer: StillSealer,
    keyring: Keyring,
    generation: Generation,
    rig: Rig,
}

fn album(serial: &str) -> Album {
    let mut rig = Rig::new(serial, 1);
    let list = rig.list(1, &[viewer(1)]);
    rig.take(&list);
    let made = rig.generation(0);
    let mut keyring = Keyring::recordings(rig.camera.lists().binding().clone(), rig.pin());
    let generation =
        keyring.accept(&made.blob.to_bytes(), terminal(1).exchange(), NOW).expect("a recipient");
    Album { sealer: made.keys.stills(), keyring, generation, rig }
}

#[test]
fn an_image_of_every_kind_and_type_opens() {
    let album = album("CAM-1");
    for kind in StillKind::ALL {
        for media in StillType::ALL {
            let info = StillInfo { media, ..info(kind, CAPTURE.0) };
            let sealed = album.sealer.seal(&info, b"image").expect("sealed");
            assert_eq!(sealed.len(), 5 + STILL_OVERHEAD);
            let opened = StillOpener::new(&album.keyring).open(&sealed).expect("opened");
            assert_eq!((opened.info, opened.image.as_slice()), (info, &b"image"[..]));
        }
    }
}

#[test]
fn images_are_bounded_on_both_sides() {
    let album = album("CAM-1");
    let info = info(StillKind::Panorama, CAPTURE.0);
    let longest = vec![1; MAX_STILL];
    let sealed = album.sealer.seal(&info, &longest).expect("sealed");
    assert!(StillOpener::new(&album.keyring).open(&sealed).is_ok());
    let longer = album.sealer.seal(&info, &[longest, vec![1]].concat());
    assert_eq!(longer, Err(StillError::Length));
    assert_eq!(album.sealer.seal(&info, &[]), Err(StillError::Length));
}

#[test]
fn a_changed_image_and_another_cameras_open_nothing() {
    let (album, other) = (album("CAM-1"), album("CAM-2"));
    let info = info(StillKind::Event, CAPTURE.0);
    let sealed = album.sealer.seal(&info, b"image").expect("sealed");
    let opener = StillOpener::new(&album.keyring);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(opener.open(&changed).is_err(), "byte {at}");
        assert!(opener.open(&sealed[..at]).is_err(), "cut to {at}");
    }
    let foreign = other.sealer.seal(&info, b"image").expect("sealed");
    assert_eq!(opener.open(&foreign).err(), Some(StillError::OtherCamera));
    let empty = Keyring::recordings(album.rig.camera.lists().binding().clone(), [0; 32]);
    let missing = StillError::MissingGeneration(album.generation);
    assert_eq!(StillOpener::new(&empty).open(&sealed).err(), Some(missing));
}

/// One key opens one day of one purpose.
#[test]
fn every_day_and_every_kind_has_a_key_of_its_own() {
    let base = BaseKey::from_bytes(Zeroizing::new([7; 32]));
    let day = 24 * 3600 * 1_000_000;
    let seal = |kind, capture| {
        let key = day_key(&base, &info(kind, capture)).expect("derived");
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key([0; 12]);
        let tag = key.seal_in_place_separate_tag(nonce, aws_lc_rs::aead::Aad::empty(), &mut []);
        tag.expect("sealed").as_ref().to_vec()
    };
    let morning = seal(StillKind::Event, day * 5);
    assert_eq!(seal(StillKind::Event, day * 6 - 1), morning);
    assert_ne!(seal(StillKind::Event, day * 6), morning);
    assert_ne!(seal(StillKind::Event, day * 5 - 1), morning);
    assert_ne!(seal(StillKind::Screenshot, day * 5), morning);
}
