//! Requests that clients repeat under a key of theirs.

use super::NOW;
use crate::idempotency::Bounds;
use crate::ids::AccountId;
use crate::storage::Store;
use crate::storage::model::{KeyBegun, KeyedRequest};

const BOUNDS: Bounds = Bounds { keep_secs: 1000, running_secs: 60, most: 2 };

fn asked(key: u8, request: u8, attempt: u8) -> KeyedRequest {
    KeyedRequest {
        account: AccountId("a".into()),
        key: vec![key],
        request: vec![request],
        attempt: vec![attempt],
    }
}

async fn begin(store: &dyn Store, request: &KeyedRequest, now: u64) -> KeyBegun {
    store.key_begin(request, BOUNDS, now).await.unwrap()
}

pub(super) async fn a_key_gives_the_first_answer_again_and_no_other(store: &dyn Store) {
    let first = asked(1, 1, 1);
    assert_eq!(begin(store, &first, NOW).await, KeyBegun::Fresh);
    assert_eq!(begin(store, &asked(1, 1, 2), NOW + 59).await, KeyBegun::Running);
    assert_eq!(begin(store, &asked(1, 2, 2), NOW).await, KeyBegun::OtherRequest);
    store.key_end(&first, Some(b"answer")).await.unwrap();
    store.key_end(&first, Some(b"later")).await.unwrap();
    store.key_end(&first, None).await.unwrap();
    let answered = KeyBegun::Answered(b"answer".to_vec());
    assert_eq!(begin(store, &asked(1, 1, 2), NOW + 999).await, answered);
    assert_eq!(begin(store, &asked(1, 2, 2), NOW).await, KeyBegun::OtherRequest);
    let other = KeyedRequest { account: AccountId("b".into()), ..asked(1, 2, 2) };
    assert_eq!(begin(store, &other, NOW).await, KeyBegun::Fresh, "keys are an account's own");
    assert_eq!(begin(store, &asked(1, 2, 2), NOW + 1000).await, KeyBegun::Fresh, "kept for a time");
}

pub(super) async fn an_attempt_without_answer_gives_its_key_back(store: &dyn Store) {
    let (lost, second) = (asked(1, 1, 1), asked(1, 1, 2));
    assert_eq!(begin(store, &lost, NOW).await, KeyBegun::Fresh);
    assert_eq!(begin(store, &second, NOW + 60).await, KeyBegun::Fresh);
    store.key_end(&lost, Some(b"late")).await.unwrap();
    assert_eq!(begin(store, &asked(1, 1, 3), NOW + 61).await, KeyBegun::Running);
    store.key_end(&second, None).await.unwrap();
    assert_eq!(begin(store, &asked(1, 1, 3), NOW + 61).await, KeyBegun::Fresh);
}

pub(super) async fn an_account_has_a_bounded_number_of_keys(store: &dyn Store) {
    for key in [1, 2] {
        let request = asked(key, 1, 1);
        assert_eq!(begin(store, &request, NOW).await, KeyBegun::Fresh);
        store.key_end(&request, Some(b"answer")).await.unwrap();
    }
    assert_eq!(begin(store, &asked(3, 1, 1), NOW + 999).await, KeyBegun::Full);
    assert_eq!(begin(store, &asked(3, 1, 1), NOW + 1000).await, KeyBegun::Fresh);
    store.purge(NOW + 10 * 24 * 3600).await.unwrap();
    assert_eq!(begin(store, &asked(3, 1, 2), NOW).await, KeyBegun::Fresh, "upkeep forgets, too");
}
