//! Sealing is switched off by its owner only.

use super::*;

fn order(sequence: u64, sealed: bool) -> SealingOrder {
    SealingOrder { binding: binding("CAM-1", 3), sequence, sealed }
}

fn refused(rig: &mut Rig, bytes: &[u8]) -> Option<OrderRefused> {
    match rig.camera.take_order(bytes, |_| panic!("a refused order was stored")) {
        Err(OrderNotTaken::Refused(refused)) => Some(refused),
        _ => None,
    }
}

#[test]
fn a_camera_seals_until_its_owner_signs_otherwise() {
    let mut rig = Rig::new("CAM-1", 1);
    assert!(rig.camera.sealed());
    let off = order(1, false).sign(&rig.auth());
    rig.camera.take_order(&off, stored).expect("taken");
    assert!(!rig.camera.sealed());
    let on = order(2, true).sign(&rig.auth());
    rig.camera.take_order(&on, stored).expect("taken");
    assert!(rig.camera.sealed());
    let held = OrderRefused::NotNewer { offered: 1, held: 2 };
    assert_eq!(refused(&mut rig, &off), Some(held), "an old order again");
    let same = order(2, false).sign(&rig.auth());
    assert_eq!(refused(&mut rig, &same), Some(OrderRefused::NotNewer { offered: 2, held: 2 }));
    assert!(rig.camera.sealed());
}

#[test]
fn nobody_else_switches_sealing_off() {
    let mut rig = Rig::new("CAM-1", 1);
    let good = order(1, false).sign(&rig.auth());
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert!(refused(&mut rig, &changed).is_some(), "byte {at}");
        assert!(refused(&mut rig, &good[..at]).is_some(), "cut to {at}");
    }
    let server = DeviceSecret::from_bytes([66; 20]).auth_key().expect("derived");
    let forged = order(1, false).sign(&server);
    assert_eq!(refused(&mut rig, &forged), Some(OrderRefused::Signature));
    for binding in [binding("CAM-2", 3), binding("CAM-1", 2)] {
        let other = SealingOrder { binding, ..order(1, false) }.sign(&rig.auth());
        assert_eq!(refused(&mut rig, &other), Some(OrderRefused::OtherBinding));
    }
    // What the same key signed for another purpose.
    let list = rig.list(1, &[viewer(1)]);
    assert!(refused(&mut rig, list.bytes()).is_some());
    assert!(rig.camera.sealed());
}

#[test]
fn an_order_survives_a_restart_and_ends_with_its_owner() {
    let mut rig = Rig::new("CAM-1", 1);
    let off = order(5, false).sign(&rig.auth());
    assert!(matches!(rig.camera.take_order(&off, not_stored), Err(OrderNotTaken::Store(_))));
    assert!(rig.camera.sealed(), "what is not stored is not in force");
    rig.camera.take_order(&off, stored).expect("taken");
    let restored = CameraKeys::restore(&rig.camera.state(), Suite::default()).expect("a state");
    assert!(!restored.sealed());
    rig.camera = restored;
    let again = order(5, false).sign(&rig.auth());
    assert!(refused(&mut rig, &again).is_some());
    let next = Rig::new("CAM-1", 2);
    let archive = next.secret.archive_key().expect("derived").public();
    let rebound = rig.camera.rebound(binding("CAM-1", 4), next.auth().verifier(), archive);
    assert!(rebound.sealed());
}

#[test]
fn a_camera_that_seals_again_does_so_under_a_new_generation_and_makes_none_while_it_is_open() {
    let mut rig = Rig::new("CAM-1", 1);
    let first = rig.generation(0);
    let off = order(1, false).sign(&rig.auth());
    rig.camera.take_order(&off, stored).expect("taken");
    let day = DAILY.as_secs();
    for seconds in [0, 1, day, 2 * day] {
        assert_eq!(rig.camera.due(rig.at(seconds)), None);
        assert!(rig.camera.next_due(rig.at(seconds)) > rig.at(seconds).steady);
    }
    let on = order(2, true).sign(&rig.auth());
    rig.camera.take_order(&on, stored).expect("taken");
    assert_eq!(rig.camera.due(rig.at(1)), Some(Reason::Boot));
    let next = rig.generation(1);
    assert!(next.keys.generation() > first.keys.generation());
    let more = order(3, true).sign(&rig.auth());
    rig.camera.take_order(&more, stored).expect("taken");
    assert_eq!(rig.camera.due(rig.at(1)), None, "who seals already goes on");
}

#[test]
fn an_owners_terminal_takes_open_media_until_a_higher_order_or_the_camera_says_sealed() {
    let rig = Rig::new("CAM-1", 1);
    let (auth, ours) = (rig.auth(), binding("CAM-1", 3));
    let verifier = auth.verifier();
    let signed = |sequence: u64, sealed: bool| order(sequence, sealed).sign(&auth);
    let after = |word: OwnersWord, bytes: &[u8]| word.after(bytes, &ours, &verifier);
    let fresh = OwnersWord::default();
    let open = after(fresh, &signed(5, false)).expect("the owner's");
    assert_eq!(open, OwnersWord { sequence: 5, open: true });
    assert_eq!(after(open, &signed(5, false)), Ok(open), "the same again");
    assert_eq!(after(open, &signed(5, true)), Ok(OwnersWord { sequence: 5, open: false }));
    let sealed = after(open, &signed(6, true)).expect("the owner's");
    assert_eq!(sealed, OwnersWord { sequence: 6, open: false });
    for (word, offered) in [(sealed, 5), (sealed, 6), (open.sealed_since(), 5)] {
        let held = word.sequence;
        let refused = Err(OrderRefused::NotNewer { offered, held });
        assert_eq!(after(word, &signed(offered, false)), refused);
    }
    assert!(after(open.sealed_since(), &signed(6, false)).expect("a new one").open);

    let server = DeviceSecret::from_bytes([66; 20]).auth_key().expect("derived");
    assert_eq!(after(fresh, &order(9, false).sign(&server)), Err(OrderRefused::Signature));
    for binding in [binding("CAM-2", 3), binding("CAM-1", 4)] {
        let other = SealingOrder { binding, ..order(9, false) }.sign(&auth);
        assert_eq!(after(fresh, &other), Err(OrderRefused::OtherBinding));
    }
}

#[test]
fn orders_are_numbered_above_what_is_known_told_and_forgotten() {
    let word = OwnersWord { sequence: 7, open: true };
    for (told, now, next) in [
        (0, 0, 8),
        (6, 0, 8),
        (7, 0, 8),
        (9, 0, 10),
        (9, 10, 10),
        (9, 11, 11),
        (0, 1_800_000_000, 1_800_000_000),
    ] {
        assert_eq!(word.next_sequence(told, now), next);
    }
    assert_eq!(OwnersWord::default().next_sequence(0, 0), 1);
}
