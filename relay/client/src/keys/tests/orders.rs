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
