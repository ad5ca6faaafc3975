//! When a camera makes a new generation, for whom, and what survives a restart.

use super::*;

fn recipients(made: &NewGeneration) -> Vec<ExchangePublic> {
    made.blob.recipients().collect()
}

fn has(made: &NewGeneration, number: u8) -> bool {
    recipients(made).contains(&terminal(number).public().exchange)
}

#[test]
fn a_camera_makes_a_generation_at_boot_and_every_day() {
    let mut rig = Rig::new("CAM-1", 1);
    assert_eq!(rig.camera.due(rig.at(0)), Some(Reason::Boot));
    let made = rig.generation(0);
    assert_eq!(made.reason, Reason::Boot);
    let archive = rig.secret.archive_key().expect("derived").public();
    assert_eq!(recipients(&made), [archive], "without a list only the secret opens it");
    let day = DAILY.as_secs();
    assert_eq!(rig.camera.due(rig.at(day - 1)), None);
    assert_eq!(rig.camera.next_due(rig.at(5)), rig.at(day).steady);
    assert_eq!(rig.camera.due(rig.at(day)), Some(Reason::Daily));
    let next = rig.generation(day);
    assert_eq!(next.reason, Reason::Daily);
    assert!(next.keys.generation() > made.keys.generation());
    assert_eq!(rig.camera.due(rig.at(day)), None);
}

/// A generation is never wrapped for somebody new, so that nobody sees what was before him.
#[test]
fn every_change_of_who_may_open_makes_a_new_generation() {
    let mut rig = Rig::new("CAM-1", 1);
    let first = rig.generation(0);
    let list = rig.list(1, &[viewer(1), viewer(2)]);
    rig.take(&list);
    assert_eq!(rig.camera.due(rig.at(1)), Some(Reason::Viewers));
    let second = rig.generation(1);
    assert!(has(&second, 1) && has(&second, 2) && !has(&first, 1));
    let list = rig.list(2, &[viewer(1)]);
    rig.take(&list);
    assert_eq!(rig.camera.due(rig.at(2)), Some(Reason::Viewers));
    let third = rig.generation(2);
    assert!(has(&third, 1) && !has(&third, 2));
    assert_eq!(third.blob.header().list_version, 2);
}

#[test]
fn a_list_that_changes_nobodys_keys_makes_none() {
    let mut rig = Rig::new("CAM-1", 1);
    let list = rig.list(1, &[viewer(1)]);
    rig.take(&list);
    rig.generation(0);
    let renamed = Viewer { account: "other".into(), ..viewer(1) };
    let list = rig.list(2, &[renamed]);
    rig.take(&list);
    assert_eq!(rig.camera.due(rig.at(1)), None);
}

#[test]
fn losing_sight_or_the_key_counts_as_being_removed() {
    let mut rig = Rig::new("CAM-1", 1);
    let list = rig.list(1, &[viewer(1), viewer(2)]);
    rig.take(&list);
    rig.generation(0);
    let blind = Viewer { scopes: Scopes::TALK, ..viewer(1) };
    let list = rig.list(2, &[blind, viewer(2)]);
    rig.take(&list);
    let made = rig.generation(1);
    assert!(!has(&made, 1) && has(&made, 2));
    let mut changed = viewer(2);
    changed.terminal.exchange = terminal(3).public().exchange;
    let list = rig.list(3, &[changed]);
    rig.take(&list);
    assert_eq!(rig.camera.due(rig.at(2)), Some(Reason::Viewers));
    let made = rig.generation(2);
    assert!(!has(&made, 2) && has(&made, 3));
}

#[test]
fn a_guest_whose_time_is_over_is_left_out_of_a_new_generation() {
    let mut rig = Rig::new("CAM-1", 1);
    let guest = Viewer { expires: Some(NOW + 100), ..viewer(2) };
    let list = rig.list(1, &[viewer(1), guest]);
    rig.take(&list);
    assert!(has(&rig.generation(0), 2));
    assert_eq!(rig.camera.next_due(rig.at(40)), rig.at(100).steady);
    assert_eq!(rig.camera.due(rig.at(99)), None);
    assert_eq!(rig.camera.due(rig.at(100)), Some(Reason::Viewers));
    let made = rig.generation(100);
    assert!(has(&made, 1) && !has(&made, 2));
    assert_eq!(rig.camera.next_due(rig.at(100)), rig.at(100).steady + DAILY);
}

#[test]
fn a_key_that_is_used_up_makes_a_new_generation() {
    let mut rig = Rig::new("CAM-1", 1);
    rig.camera.used_up();
    rig.generation(0);
    assert_eq!(rig.camera.due(rig.at(1)), None);
    rig.camera.used_up();
    assert_eq!(rig.camera.due(rig.at(1)), Some(Reason::UsedUp));
    assert_eq!(rig.generation(1).reason, Reason::UsedUp);
    assert_eq!(rig.camera.due(rig.at(1)), None);
}

#[test]
fn what_is_stored_survives_a_restart_and_generations_go_on_rising() {
    let mut rig = Rig::new("CAM-1", 1);
    let list = rig.list(4, &[viewer(1)]);
    rig.take(&list);
    let mut state = Vec::new();
    let store = |bytes: &[u8]| {
        state = bytes.to_vec();
        Ok(())
    };
    let now = rig.at(50);
    let made = rig.camera.make_generation(&rig.identity, now, store).expect("made");
    assert_eq!(state, rig.camera.state());
    let mut restored = CameraKeys::restore(&state, Suite::default()).expect("a good state");
    assert_eq!(restored.lists().list(), Some(&list));
    assert_eq!(restored.state(), state);
    let early = rig.at(0);
    assert_eq!(restored.due(early), Some(Reason::Boot));
    let next = restored.make_generation(&rig.identity, early, stored).expect("made");
    assert_eq!(next.keys.generation().number(), made.keys.generation().number() + 1);
    assert!(has(&next, 1));
    let old = rig.list(3, &[viewer(2)]);
    let refused = restored.take_list(old.bytes(), |_| panic!("an old list was stored"));
    assert!(refused.is_err());
}

#[test]
fn a_state_whose_list_was_changed_is_refused() {
    let mut rig = Rig::new("CAM-1", 1);
    let list = rig.list(1, &[viewer(1)]);
    rig.take(&list);
    let state = rig.camera.state();
    assert!(CameraKeys::restore(&state, Suite::default()).is_ok());
    for at in 0..state.len() {
        let mut changed = state.clone();
        changed[at] ^= 1;
        if let Ok(restored) = CameraKeys::restore(&changed, Suite::default()) {
            // The archive key and the last number are not under the owner's signature.
            assert_eq!(restored.lists().list(), Some(&list), "byte {at}");
        }
    }
    assert!(CameraKeys::restore(&state[..state.len() - 1], Suite::default()).is_err());
}

#[test]
fn a_generation_that_cannot_be_stored_gives_out_no_key() {
    let mut rig = Rig::new("CAM-1", 1);
    let now = rig.at(0);
    let made = rig.camera.make_generation(&rig.identity, now, not_stored);
    assert!(matches!(made, Err(RekeyError::Store(_))));
    assert_eq!(rig.camera.due(now), Some(Reason::Boot));
}

#[test]
fn nothing_of_a_former_owner_works_for_the_next_and_the_reverse() {
    let mut rig = Rig::new("CAM-1", 1);
    let former_list = rig.list(9, &[viewer(1)]);
    rig.take(&former_list);
    let former = rig.generation(0);
    let former_keyring = rig.live();

    let second = Rig::new("CAM-1", 2);
    let archive = second.secret.archive_key().expect("derived");
    let verifier = second.auth().verifier();
    rig.camera = rig.camera.rebound(binding("CAM-1", 4), verifier, archive.public());
    rig.secret = DeviceSecret::from_bytes([2; 20]);
    assert!(rig.camera.take_list(former_list.bytes(), |_| panic!("stored")).is_err());
    let list = rig.list(1, &[viewer(8)]);
    rig.take(&list);
    let made = rig.generation(0);
    assert!(made.keys.generation() > former.keys.generation(), "numbers rise over owners");

    let now = NOW + 1;
    let (old, new) = (former.blob.to_bytes(), made.blob.to_bytes());
    let mut keyring = rig.live();
    let terminal_of = |number| terminal(number);
    let refused = keyring.accept(&old, terminal_of(8).exchange(), now);
    assert_eq!(refused, Err(BlobError::OtherBinding));
    assert!(keyring.accept(&new, terminal_of(8).exchange(), now).is_ok());
    let mut former_keyring = former_keyring;
    let refused = former_keyring.accept(&new, terminal_of(1).exchange(), now);
    assert_eq!(refused, Err(BlobError::OtherBinding));
    // Even with the epoch of the new owner and every byte of the server.
    let mut curious = rig.live();
    let former_archive = DeviceSecret::from_bytes([1; 20]).archive_key().expect("derived");
    for key in [terminal_of(1).exchange(), &former_archive] {
        assert_eq!(curious.accept(&new, key, now), Err(BlobError::NotARecipient));
    }
    assert_eq!(former.blob.unwrap(&archive).err(), Some(BlobError::NotARecipient));
}
