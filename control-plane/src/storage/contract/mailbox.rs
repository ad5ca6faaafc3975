//! The mailbox: who puts what, what rises, what goes with the binding.

use super::*;
use crate::limits::GENERATIONS_KEPT;
use crate::sealed::generation::{MAX_WRAPS, Wrap};

pub(super) const AUTH: [u8; 32] = [1; 32];

/// A device bound to account `a`, with a key; its binding epoch.
pub(super) async fn bound(store: &dyn Store) -> u64 {
    let account = account(store, "a").await;
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    bind(store, &account).await
}

pub(super) async fn bind(store: &dyn Store, account: &AccountId) -> u64 {
    let Bound::Newly(epochs) = store.bind(&serial(), account, NOW).await.unwrap() else {
        panic!("not bound")
    };
    store.verifier_put(&serial(), epochs.binding, &AUTH, NOW).await.unwrap();
    epochs.binding
}

pub(super) fn serial() -> Serial {
    Serial("D".into())
}

pub(super) fn owner() -> AccountId {
    AccountId("a".into())
}

fn list(binding_epoch: u64, version: u64) -> NewList {
    let signed = version.to_be_bytes().to_vec();
    let terminals = Vec::new();
    NewList { serial: serial(), binding_epoch, version, signed, verifier: AUTH, terminals }
}

fn wrap(recipient: u8, fill: u8) -> Wrap {
    Wrap { recipient: [recipient; 32], sealed: vec![fill; 80] }
}

fn generation(binding_epoch: u64, number: u64) -> NewGeneration {
    NewGeneration {
        serial: serial(),
        binding_epoch,
        number,
        identity_key: [8; 32],
        signed: number.to_be_bytes().to_vec(),
        wraps: vec![wrap(1, 1), wrap(2, 2)],
        uploaded: number.to_be_bytes().to_vec(),
    }
}

fn page(binding_epoch: u64, after: u64, limit: u64) -> GenerationPage {
    GenerationPage { serial: serial(), binding_epoch, recipient: [1; 32], after, limit }
}

async fn numbers(store: &dyn Store, page: &GenerationPage) -> Vec<u64> {
    store.generations(page).await.unwrap().into_iter().map(|stored| stored.number).collect()
}

pub(super) async fn a_list_is_replaced_by_a_newer_one_only(store: &dyn Store) {
    let epoch = bound(store).await;
    let put = async |list: &NewList| store.viewer_list_put(&owner(), list, NOW).await.unwrap();
    assert_eq!(store.viewer_list(&serial(), epoch).await.unwrap(), None);
    assert_eq!(put(&list(epoch, 3)).await, ListPut::Stored(vec![]));
    assert_eq!(put(&list(epoch, 3)).await, ListPut::Same);
    let rewritten = NewList { signed: vec![9], ..list(epoch, 3) };
    assert_eq!(put(&rewritten).await, ListPut::NotNewer(3));
    assert_eq!(put(&list(epoch, 2)).await, ListPut::NotNewer(3));
    assert_eq!(put(&list(epoch, 4)).await, ListPut::Stored(vec![]));
    let held = store.viewer_list(&serial(), epoch).await.unwrap().unwrap();
    assert_eq!((held.version, held.signed), (4, list(epoch, 4).signed));
    assert_eq!(store.device(&serial()).await.unwrap().unwrap().list_version, 4);
    for stranger in [list(epoch + 1, 5), NewList { verifier: [2; 32], ..list(epoch, 5) }] {
        assert_eq!(put(&stranger).await, ListPut::OtherBinding);
    }
    let other = AccountId("x".into());
    let put = store.viewer_list_put(&other, &list(epoch, 5), NOW).await.unwrap();
    assert_eq!(put, ListPut::OtherBinding, "not the owner");
}

pub(super) async fn a_new_key_ends_the_list_that_the_old_one_signed(store: &dyn Store) {
    let epoch = bound(store).await;
    store.viewer_list_put(&owner(), &list(epoch, 3), NOW).await.unwrap();
    store.verifier_put(&serial(), epoch, &AUTH, NOW).await.unwrap();
    assert!(store.viewer_list(&serial(), epoch).await.unwrap().is_some(), "the same key");
    store.verifier_put(&serial(), epoch, &[2; 32], NOW).await.unwrap();
    assert_eq!(store.viewer_list(&serial(), epoch).await.unwrap(), None);
    assert_eq!(store.device(&serial()).await.unwrap().unwrap().list_version, 0);
    let put = store.viewer_list_put(&owner(), &list(epoch, 4), NOW).await.unwrap();
    assert_eq!(put, ListPut::OtherBinding, "signed with the old key");
    let anew = NewList { verifier: [2; 32], ..list(epoch, 1) };
    let put = store.viewer_list_put(&owner(), &anew, NOW).await.unwrap();
    assert_eq!(put, ListPut::Stored(vec![]), "versions start again");
}

pub(super) async fn generations_rise_and_come_in_either_order(store: &dyn Store) {
    let epoch = bound(store).await;
    let put = async |new: &NewGeneration| store.generation_put(new, NOW).await.unwrap();
    assert_eq!(store.device(&serial()).await.unwrap().unwrap().identity_key, None);
    for number in [10, 20, 30] {
        assert_eq!(put(&generation(epoch, number)).await, GenerationPut::Stored);
    }
    assert_eq!(store.device(&serial()).await.unwrap().unwrap().identity_key, Some([8; 32]));
    assert_eq!(put(&generation(epoch, 20)).await, GenerationPut::Same);
    let rewritten = NewGeneration { uploaded: vec![9], ..generation(epoch, 20) };
    assert_eq!(put(&rewritten).await, GenerationPut::NotNewer(30));
    assert_eq!(put(&generation(epoch, 25)).await, GenerationPut::NotNewer(30));
    assert_eq!(put(&generation(epoch + 1, 40)).await, GenerationPut::OtherBinding);
    assert_eq!(numbers(store, &page(epoch, 0, 2)).await, [30, 20]);
    assert_eq!(numbers(store, &page(epoch, 10, 9)).await, [20, 30]);
    assert_eq!(numbers(store, &page(epoch, 30, 9)).await, [0; 0]);
    assert_eq!(numbers(store, &page(epoch + 1, 0, 9)).await, [0; 0]);
}

pub(super) async fn the_oldest_generations_go_with_their_wraps(store: &dyn Store) {
    let epoch = bound(store).await;
    for number in 1..=GENERATIONS_KEPT {
        let bare = NewGeneration { wraps: vec![wrap(1, 1)], ..generation(epoch, number) };
        store.generation_put(&bare, NOW).await.unwrap();
    }
    assert_eq!(numbers(store, &page(epoch, 0, 5000)).await.len() as u64, GENERATIONS_KEPT);
    let last = generation(epoch, GENERATIONS_KEPT + 1);
    assert_eq!(store.generation_put(&last, NOW).await.unwrap(), GenerationPut::Stored);
    let kept = numbers(store, &page(epoch, 1, 5000)).await;
    assert_eq!(kept.len() as u64, GENERATIONS_KEPT);
    assert_eq!(kept[0], 2);
    let gone = store.wrap_add(&owner(), &serial(), 1, &wrap(3, 3), NOW).await.unwrap();
    assert_eq!(gone, WrapAdded::Unknown);
    let again = store.generation_put(&generation(epoch, 1), NOW).await.unwrap();
    assert_eq!(again, GenerationPut::NotNewer(GENERATIONS_KEPT + 1));
}

pub(super) async fn a_wrap_goes_to_its_recipient_alone(store: &dyn Store) {
    let epoch = bound(store).await;
    store.generation_put(&generation(epoch, 10), NOW).await.unwrap();
    let wrap_of = async |recipient: u8| {
        let page = GenerationPage { recipient: [recipient; 32], ..page(epoch, 0, 9) };
        store.generations(&page).await.unwrap().pop().unwrap().wrap
    };
    assert_eq!(wrap_of(1).await, Some(wrap(1, 1)));
    assert_eq!(wrap_of(2).await, Some(wrap(2, 2)));
    assert_eq!(wrap_of(3).await, None);
    let add = async |account: &AccountId, number: u64, wrap: &Wrap| {
        store.wrap_add(account, &serial(), number, wrap, NOW).await.unwrap()
    };
    assert_eq!(add(&AccountId("x".into()), 10, &wrap(3, 3)).await, WrapAdded::NotOwner);
    assert_eq!(add(&owner(), 11, &wrap(3, 3)).await, WrapAdded::Unknown);
    assert_eq!(add(&owner(), 10, &wrap(1, 9)).await, WrapAdded::ByCamera);
    assert_eq!(wrap_of(1).await, Some(wrap(1, 1)), "the camera's stays");
    for fill in [3, 4] {
        assert_eq!(add(&owner(), 10, &wrap(3, fill)).await, WrapAdded::Added);
        assert_eq!(wrap_of(3).await, Some(wrap(3, fill)), "an owner's is replaced");
    }
    for recipient in 4..=MAX_WRAPS as u8 {
        assert_eq!(add(&owner(), 10, &wrap(recipient, 0)).await, WrapAdded::Added);
    }
    assert_eq!(add(&owner(), 10, &wrap(200, 0)).await, WrapAdded::Full);
    assert_eq!(add(&owner(), 10, &wrap(3, 5)).await, WrapAdded::Added, "takes no more room");
    let again = store.generation_put(&generation(epoch, 10), NOW).await.unwrap();
    assert_eq!(again, GenerationPut::Same, "added wraps do not make it another upload");
}

pub(super) async fn the_mailbox_goes_with_the_binding_and_numbers_stay_taken(store: &dyn Store) {
    let first = bound(store).await;
    let fill = async |epoch: u64, number: u64| {
        let put = store.viewer_list_put(&owner(), &list(epoch, 3), NOW).await.unwrap();
        assert_eq!(put, ListPut::Stored(vec![]));
        store.generation_put(&generation(epoch, number), NOW).await.unwrap()
    };
    assert_eq!(fill(first, 10).await, GenerationPut::Stored);
    store.unbind(&serial(), &owner(), NOW).await.unwrap().unwrap();
    let empty = async |epoch: u64| {
        assert_eq!(store.viewer_list(&serial(), epoch).await.unwrap(), None);
        assert_eq!(numbers(store, &page(epoch, 0, 9)).await, [0; 0]);
    };
    empty(first).await;
    assert_eq!(store.device(&serial()).await.unwrap().unwrap().list_version, 0);
    let late = store.generation_put(&generation(first + 1, 11), NOW).await.unwrap();
    assert_eq!(late, GenerationPut::OtherBinding, "nobody owns it");

    let second = bind(store, &owner()).await;
    empty(second).await;
    assert_eq!(fill(second, 10).await, GenerationPut::NotNewer(10));
    let put = store.generation_put(&generation(second, 11), NOW).await.unwrap();
    assert_eq!(put, GenerationPut::Stored);
    empty(first).await;

    store.device_remove(&serial(), NOW).await.unwrap().unwrap();
    empty(second).await;
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    let third = bind(store, &owner()).await;
    let put = store.generation_put(&generation(third, 11), NOW).await.unwrap();
    assert_eq!(put, GenerationPut::NotNewer(11));
    assert_eq!(fill(third, 12).await, GenerationPut::Stored);
    store.account_erase(&owner(), NOW).await.unwrap().unwrap();
    empty(third).await;
}
