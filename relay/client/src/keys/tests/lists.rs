//! Viewer lists: the format, its bounds, and which list counts.

use proptest::prelude::*;

use super::*;

fn verifier(rig: &Rig) -> SigningPublic {
    rig.auth().verifier()
}

fn many(count: u8) -> Vec<Viewer> {
    (1..=count).map(viewer).collect()
}

#[test]
fn a_signed_list_reads_back_and_has_one_order() {
    let rig = Rig::new("CAM-1", 1);
    let guest = Viewer { scopes: Scopes::TALK, expires: Some(NOW), ..viewer(9) };
    let signed = rig.list(7, &[guest.clone(), viewer(2), viewer(5)]);
    let read = SignedList::open(signed.bytes(), &verifier(&rig)).expect("a good list");
    assert_eq!(read, signed);
    assert_eq!(rig.list(7, &[viewer(5), guest.clone(), viewer(2)]), signed);
    assert_eq!((read.list().version(), read.list().viewers().len()), (7, 3));
    assert!(read.list().viewers().contains(&guest));
}

#[test]
fn terminals_and_accounts_are_bounded_on_both_sides() {
    let legal = |viewers: Vec<Viewer>| ViewerList::new(binding("CAM-1", 3), 1, viewers);
    assert!(legal(many(MAX_VIEWERS as u8)).is_ok());
    assert_eq!(legal(many(MAX_VIEWERS as u8 + 1)), Err(ListError::TooMany));
    let named = |account: &str| legal(vec![Viewer { account: account.into(), ..viewer(1) }]);
    assert!(named(&"a".repeat(MAX_ACCOUNT)).is_ok());
    for account in ["", "a b", "a\n", "\u{e4}", &"a".repeat(MAX_ACCOUNT + 1)] {
        assert_eq!(named(account), Err(ListError::Account), "{account:?}");
    }
}

#[test]
fn the_longest_list_is_as_long_as_the_bound_says() {
    let serial = "s".repeat(DeviceId::MAX_LEN);
    let long = |viewer: Viewer| Viewer { account: "a".repeat(MAX_ACCOUNT), ..viewer };
    let viewers = many(MAX_VIEWERS as u8).into_iter().map(long).collect();
    let list = ViewerList::new(binding(&serial, 3), u64::MAX, viewers).expect("legal");
    let rig = Rig::new(&serial, 1);
    let signed = list.sign(&rig.auth());
    assert_eq!(signed.bytes().len(), MAX_LIST);
    assert!(SignedList::open(signed.bytes(), &verifier(&rig)).is_ok());
    let longer = [signed.bytes(), &[0]].concat();
    assert!(SignedList::open(&longer, &verifier(&rig)).is_err());
    assert!(signed.list().next(Vec::new()).is_err(), "versions do not wrap");
}

#[test]
fn an_entry_without_sense_is_refused() {
    let legal = |viewers: Vec<Viewer>| ViewerList::new(binding("CAM-1", 3), 1, viewers);
    assert_eq!(legal(vec![viewer(1), viewer(1)]), Err(ListError::Twice));
    let mut same_exchange = viewer(2);
    same_exchange.terminal.exchange = viewer(1).terminal.exchange;
    assert_eq!(legal(vec![viewer(1), same_exchange]), Err(ListError::Twice));
    let at_zero = Viewer { expires: Some(0), ..viewer(1) };
    assert_eq!(legal(vec![at_zero]), Err(ListError::Expiry));
    assert!(ViewerList::new(binding("CAM-1", 3), 0, vec![viewer(1)]).is_err());
}

#[test]
fn only_a_newer_list_of_this_owner_comes_into_force() {
    let mut rig = Rig::new("CAM-1", 1);
    let (first, second) = (rig.list(1, &[viewer(1)]), rig.list(2, &[viewer(1), viewer(2)]));
    rig.take(&second);
    let keeper = rig.camera.lists().clone();
    let refused = |list: &SignedList| keeper.check(list.bytes()).err();
    assert_eq!(refused(&second), Some(ListRefused::Held));
    assert_eq!(refused(&first), Some(ListRefused::NotNewer { offered: 1, held: 2 }));
    let same_version = rig.list(2, &[viewer(1), viewer(3)]);
    assert_eq!(refused(&same_version), Some(ListRefused::NotNewer { offered: 2, held: 2 }));
    assert_eq!(refused(&rig.list(3, &[])), None);

    let signed = |binding, secret: u8| {
        let auth = DeviceSecret::from_bytes([secret; 20]).auth_key().expect("derived");
        ViewerList::new(binding, 9, vec![viewer(4)]).expect("legal").sign(&auth)
    };
    let other_device = signed(binding("CAM-2", 3), 1);
    assert_eq!(refused(&other_device), Some(ListRefused::OtherDevice));
    let former_owner = signed(binding("CAM-1", 2), 1);
    let expected = ListRefused::OtherBinding { offered: 2, current: 3 };
    assert_eq!(refused(&former_owner), Some(expected));
    let other_secret = signed(binding("CAM-1", 3), 2);
    assert_eq!(refused(&other_secret), Some(ListRefused::Invalid(ListError::Signature)));
}

/// A server that holds a good list and wants a terminal of its own on it.
#[test]
fn a_server_cannot_add_a_key_of_its_own() {
    let mut rig = Rig::new("CAM-1", 1);
    let good = rig.list(1, &[viewer(1)]);
    rig.take(&good);
    let server = DeviceSecret::from_bytes([66; 20]).auth_key().expect("derived");
    let with_its_own = good.list().next(vec![viewer(1), viewer(66)]).expect("legal");
    let own_signature = with_its_own.clone().sign(&server);
    // The body of the new list, the signature of the old one.
    let body = &own_signature.bytes()[..own_signature.bytes().len() - 64];
    let old_signature = &good.bytes()[good.bytes().len() - 64..];
    for forged in [own_signature.bytes().to_vec(), [body, old_signature].concat()] {
        let refused = rig.camera.take_list(&forged, |_| panic!("a forged list was stored"));
        let signature = ListRefused::Invalid(ListError::Signature);
        assert!(matches!(refused, Err(ListNotTaken::Refused(refused)) if refused == signature));
    }
    assert_eq!(rig.camera.lists().list(), Some(&good));
}

#[test]
fn a_list_that_cannot_be_stored_is_not_in_force() {
    let mut rig = Rig::new("CAM-1", 1);
    let list = rig.list(1, &[viewer(1)]);
    assert!(matches!(rig.camera.take_list(list.bytes(), not_stored), Err(ListNotTaken::Store(_))));
    assert_eq!(rig.camera.lists().list(), None);
    rig.take(&list);
    assert_eq!(rig.camera.lists().version(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_list_survives_and_any_changed_bit_is_noticed(
        numbers in prop::collection::btree_set(1..200u8, 0..6),
        version in 1..u64::MAX,
        epoch: u64,
        expires in prop::option::of(1..u64::MAX),
        at: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let auth = DeviceSecret::from_bytes([1; 20]).auth_key().expect("derived");
        let viewers = numbers.into_iter().map(|number| Viewer { expires, ..viewer(number) });
        let list = ViewerList::new(binding("CAM-1", epoch), version, viewers.collect());
        let signed = list.expect("legal").sign(&auth);
        prop_assert_eq!(SignedList::open(signed.bytes(), &auth.verifier()), Ok(signed.clone()));
        let mut changed = signed.bytes().to_vec();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert!(SignedList::open(&changed, &auth.verifier()).is_err());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(SignedList::open(&bytes, &[7; 32]).is_err());
        let _ = OwnerReply::parse(&bytes);
        let _ = Reveal::parse(&bytes);
        prop_assert!(CameraKeys::restore(&bytes, Suite::default()).is_err());
    }
}
