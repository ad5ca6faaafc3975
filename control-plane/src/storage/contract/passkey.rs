//! Passkeys.

use super::*;
use crate::ids::PasskeyId;

fn passkey(account: &AccountId, id: &str) -> NewPasskey {
    NewPasskey {
        account: account.clone(),
        id: PasskeyId(id.into()),
        lookup: format!("lookup of {id}").into_bytes(),
        credential_enc: vec![1],
        name_enc: vec![2],
        public_key: vec![3],
        counter: 0,
        notices: Vec::new(),
    }
}

pub(super) async fn a_passkey_challenge_is_taken_once_by_whom_it_was_given_to(store: &dyn Store) {
    let account = account(store, "a").await;
    let (own, other) = (Thumbprint([1; 32]), Thumbprint([2; 32]));
    for (number, holder) in [(1, Some(account)), (2, None)] {
        let challenge = PasskeyChallenge {
            hash: vec![number],
            jkt: own,
            account: holder,
            expires_at: NOW + 10,
        };
        store.passkey_challenge_open(&challenge).await.unwrap();
        let take = async |asked: &PasskeyChallenge, at| {
            store.passkey_challenge_take(asked, NOW + at).await.unwrap()
        };
        let someone = Some(AccountId("b".into()));
        assert!(!take(&PasskeyChallenge { jkt: other, ..challenge.clone() }, 0).await);
        assert!(!take(&PasskeyChallenge { account: someone, ..challenge.clone() }, 0).await);
        let mixed = if number == 1 { None } else { Some(AccountId("a".into())) };
        assert!(!take(&PasskeyChallenge { account: mixed, ..challenge.clone() }, 0).await);
        assert!(!take(&PasskeyChallenge { hash: vec![9], ..challenge.clone() }, 0).await);
        assert!(!take(&challenge, 10).await, "over");
        assert!(take(&challenge, 9).await);
        assert!(!take(&challenge, 9).await, "used");
    }
}

pub(super) async fn an_account_has_so_many_passkeys_each_its_own(store: &dyn Store) {
    let account = account(store, "a").await;
    let add = async |id| store.passkey_add(&passkey(&account, id), 2, NOW).await.unwrap();
    let other_ways =
        async || store.entry(b"number", Thumbprint([1; 32])).await.unwrap().unwrap().other_ways;
    assert!(!other_ways().await);
    assert_eq!(add("p").await, PasskeyAdded::Done);
    assert!(other_ways().await, "what signing in looks at");
    let again = NewPasskey { id: PasskeyId("x".into()), ..passkey(&account, "p") };
    assert_eq!(store.passkey_add(&again, 2, NOW).await.unwrap(), PasskeyAdded::Known);
    assert_eq!(add("q").await, PasskeyAdded::Done);
    assert_eq!(add("r").await, PasskeyAdded::Full);
    let kept = store.passkeys(&account).await.unwrap();
    assert_eq!(kept.iter().map(|kept| kept.id.as_str()).collect::<Vec<_>>(), ["p", "q"]);
    let found = store.passkey_by_credential(b"lookup of q").await.unwrap().unwrap();
    assert_eq!((found.passkey, found.account.id), (kept[1].clone(), account.clone()));

    let (stranger, q) = (AccountId("b".into()), PasskeyId("q".into()));
    assert!(!store.passkey_rename(&stranger, &q, &[4], NOW).await.unwrap());
    assert!(store.passkey_rename(&account, &q, &[4], NOW).await.unwrap());
    assert_eq!(store.passkeys(&account).await.unwrap()[1].name_enc, [4]);
    assert!(!store.passkey_remove(&stranger, &q, &[], NOW).await.unwrap());
    assert!(store.passkey_remove(&account, &q, &[], NOW).await.unwrap());
    assert!(!store.passkey_remove(&account, &q, &[], NOW).await.unwrap());
    assert!(store.passkey_by_credential(b"lookup of q").await.unwrap().is_none());
    assert_eq!(store.passkey_used(&q, 1, NOW).await.unwrap(), PasskeyUse::Unknown);
    assert_eq!(add("r").await, PasskeyAdded::Done, "there is room again");

    store.account_erase(&account, NOW).await.unwrap().unwrap();
    assert!(store.passkeys(&account).await.unwrap().is_empty());
    assert!(store.passkey_by_credential(b"lookup of p").await.unwrap().is_none());
}

pub(super) async fn a_passkey_that_counts_must_count_on(store: &dyn Store) {
    let account = account(store, "a").await;
    let new = passkey(&account, "p");
    store.passkey_add(&new, 9, NOW).await.unwrap();
    let used = async |counter, at| store.passkey_used(&new.id, counter, NOW + at).await.unwrap();
    assert_eq!((used(0, 1).await, used(0, 2).await), (PasskeyUse::Fresh, PasskeyUse::Fresh));
    assert_eq!((used(5, 3).await, used(6, 4).await), (PasskeyUse::Fresh, PasskeyUse::Fresh));
    for counter in [6, 5, 0] {
        assert_eq!(used(counter, 5).await, PasskeyUse::Copied, "{counter}");
    }
    assert_eq!(store.passkeys(&account).await.unwrap()[0].used_at, Some(NOW + 4));
    while let Some(entry) = store.outbox_claim(&[], NOW + 5).await.unwrap() {
        store.outbox_deliver(entry.id, NOW + 5).await.unwrap();
    }
    let told = store.messages(&account, 9).await.unwrap();
    assert_eq!(told.iter().filter(|message| message.kind == "passkey_copied").count(), 3);
    assert_eq!(used(u32::MAX, 6).await, PasskeyUse::Fresh);
}
