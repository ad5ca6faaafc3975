//! Logins at identity providers.

use std::collections::BTreeSet;

use super::*;
use crate::federation::REVOKE_CHANNEL;

fn new(id: &str, lookup: &[u8]) -> NewIdentity {
    NewIdentity {
        id: id.into(),
        provider: "p".into(),
        lookup: lookup.to_vec(),
        subject_enc: vec![1],
        token_enc: Some(id.as_bytes().to_vec()),
    }
}

async fn bind(store: &dyn Store, account: &AccountId, id: &str, lookup: &[u8]) -> IdentityBound {
    let new = new(id, lookup);
    let binding = IdentityBinding { account: account.clone(), new, most: 2, notices: Vec::new() };
    store.identity_bind(&binding, NOW).await.unwrap()
}

async fn unbind(
    store: &dyn Store,
    account: &AccountId,
    id: &str,
    usable: &[String],
) -> IdentityUnbound {
    let unbinding = IdentityUnbinding { account, id, usable, notices: &[] };
    let may = store.identity_may_unbind(&unbinding).await.unwrap();
    let done = store.identity_unbind(&unbinding, NOW).await.unwrap();
    assert_eq!(may, done, "what may be done is done");
    done
}

/// An account that is found by an identity alone.
async fn federated(store: &dyn Store, id: &str, identity: NewIdentity) -> SessionOpened {
    let registration = Registration {
        subject: Subject(format!("subject of {id}")),
        wrapped_key: vec![1],
        found_by: FoundBy::Identity(identity),
    };
    let opening =
        SessionOpening { challenge: None, registration: Some(registration), ..opening(id, id) };
    store.session_open(&opening, NOW).await.unwrap()
}

/// Entries of the outbox for grants, by reference.
async fn grants(store: &dyn Store, now: u64) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    while let Some(entry) = store.outbox_claim(&[], now).await.unwrap() {
        if entry.channel == REVOKE_CHANNEL {
            found.push((entry.id, entry.reference));
        }
    }
    found
}

pub(super) async fn a_way_is_taken_once_by_who_began_it(store: &dyn Store) {
    account(store, "a").await;
    let session = SessionId("session of c".into());
    let flow = IdentityFlow {
        id: "f".into(),
        provider: "p".into(),
        purpose: FlowPurpose::Bind,
        session: Some(session.clone()),
        jkt: Thumbprint([1; 32]),
        redirect: "https://x.example/".into(),
        began_at: NOW,
        expires_at: NOW + 10,
    };
    store.identity_flow_open(&flow).await.unwrap();
    let take = async |jkt: u8, purpose, session: Option<&SessionId>, now| {
        store.identity_flow_take("f", Thumbprint([jkt; 32]), purpose, session, now).await.unwrap()
    };
    let (own, other) = (Some(&session), SessionId("other".into()));
    assert!(take(2, FlowPurpose::Bind, own, NOW).await.is_none(), "another terminal");
    assert!(take(1, FlowPurpose::Confirm, own, NOW).await.is_none(), "another purpose");
    assert!(take(1, FlowPurpose::Bind, None, NOW).await.is_none(), "no login");
    assert!(take(1, FlowPurpose::Bind, Some(&other), NOW).await.is_none(), "another login");
    assert!(take(1, FlowPurpose::Bind, own, NOW + 10).await.is_none(), "too late");
    assert_eq!(take(1, FlowPurpose::Bind, own, NOW + 9).await, Some(flow.clone()));
    assert!(take(1, FlowPurpose::Bind, own, NOW).await.is_none(), "once");
    store.identity_flow_open(&flow).await.unwrap();
    assert!(!store.session_revoke(&session, NOW).await.unwrap().is_empty());
    assert!(take(1, FlowPurpose::Bind, own, NOW).await.is_none(), "it ends with its login");
    let login = IdentityFlow { purpose: FlowPurpose::Login, session: None, ..flow };
    store.identity_flow_open(&login).await.unwrap();
    store.purge(NOW + 10).await.unwrap();
    assert!(take(1, FlowPurpose::Login, None, NOW).await.is_none(), "purged");
}

pub(super) async fn an_identity_is_one_accounts_alone(store: &dyn Store) {
    let first = account(store, "a").await;
    assert_eq!(bind(store, &first, "1", b"x").await, IdentityBound::Done);
    let opened = federated(store, "b", new("2", b"y")).await;
    assert!(matches!(opened, SessionOpened::Opened(_)));
    let second = AccountId("b".into());
    assert_eq!(bind(store, &second, "3", b"x").await, IdentityBound::Taken);
    assert_eq!(federated(store, "c", new("4", b"x")).await, SessionOpened::NumberTaken);
    assert!(store.account(&AccountId("c".into())).await.unwrap().is_none());
    assert_eq!(bind(store, &first, "5", b"z").await, IdentityBound::Done);
    assert_eq!(bind(store, &first, "6", b"w").await, IdentityBound::Full);
    assert_eq!(store.identity_by_lookup(b"x").await.unwrap().unwrap().account, first);
    assert_eq!(store.identities(&first).await.unwrap().len(), 2);
    // Known again, under a newer name.
    let newest = NewIdentity { token_enc: None, ..new("1", b"xx") };
    let used = IdentityUse { account: first.clone(), newest };
    assert!(store.identity_used(&used, NOW + 5).await.unwrap());
    assert!(store.identity_by_lookup(b"x").await.unwrap().is_none());
    assert_eq!(store.identity_by_lookup(b"xx").await.unwrap().unwrap().last_used, NOW + 5);
    let foreign = IdentityUse { account: second, ..used.clone() };
    assert!(!store.identity_used(&foreign, NOW).await.unwrap());
    assert!(!store.identity_rebind(&foreign, NOW).await.unwrap());
    assert!(store.identity_rebind(&used, NOW).await.unwrap());
    let opening = SessionOpening {
        challenge: None,
        registration: None,
        identity: Some(foreign),
        ..opening("d", "b")
    };
    let refused = store.session_open(&opening, NOW).await.unwrap();
    assert_eq!(refused, SessionOpened::NumberTaken, "an identity of another account");
}

pub(super) async fn the_last_way_in_stays(store: &dyn Store) {
    let usable = ["p".to_owned()];
    federated(store, "b", new("1", b"x")).await;
    let account = AccountId("b".into());
    assert_eq!(unbind(store, &account, "9", &usable).await, IdentityUnbound::Unknown);
    assert_eq!(unbind(store, &account, "1", &usable).await, IdentityUnbound::Last);
    assert_eq!(bind(store, &account, "2", b"y").await, IdentityBound::Done);
    assert_eq!(unbind(store, &account, "1", &[]).await, IdentityUnbound::Last, "no provider");
    assert_eq!(unbind(store, &account, "1", &usable).await, IdentityUnbound::Done);
    assert_eq!(unbind(store, &account, "2", &usable).await, IdentityUnbound::Last);
    let with_phone = super::account(store, "a").await;
    assert_eq!(bind(store, &with_phone, "3", b"z").await, IdentityBound::Done);
    assert_eq!(unbind(store, &with_phone, "3", &usable).await, IdentityUnbound::Done);
}

pub(super) async fn a_grant_outlives_what_it_belonged_to_until_it_is_taken_back(store: &dyn Store) {
    let account = account(store, "a").await;
    let usable = ["p".to_owned()];
    for (id, lookup) in [("1", b"x"), ("2", b"y")] {
        assert_eq!(bind(store, &account, id, lookup).await, IdentityBound::Done);
    }
    assert_eq!(unbind(store, &account, "1", &usable).await, IdentityUnbound::Done);
    assert!(store.account_erase(&account, NOW).await.unwrap().is_some());
    assert!(store.identity_by_lookup(b"y").await.unwrap().is_none());
    let open = grants(store, NOW).await;
    let names: Vec<_> = open.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(names, ["1", "2"], "of the unbinding and of the erasure");
    for (entry, id) in &open {
        let row = store.identity_revocation(id).await.unwrap().unwrap();
        assert_eq!((row.provider.as_str(), row.token_enc), ("p", id.clone().into_bytes()));
        store.outbox_defer(*entry, NOW + 100).await.unwrap();
    }
    assert!(grants(store, NOW + 99).await.is_empty());
    assert_eq!(grants(store, NOW + 100).await.len(), 2);
    for (entry, id) in open {
        store.identity_revoked(&id, entry, NOW).await.unwrap();
        assert!(store.identity_revocation(&id).await.unwrap().is_none());
    }
    assert!(grants(store, NOW + 1000).await.is_empty());
}

pub(super) async fn what_was_unbound_before_goes_again(store: &dyn Store) {
    federated(store, "b", new("1", b"x")).await;
    let ids: BTreeSet<_> = ["1".to_owned(), "7".to_owned()].into();
    assert_eq!(store.identities_unbound(&ids, NOW).await.unwrap(), 1);
    assert_eq!(store.identities_unbound(&ids, NOW).await.unwrap(), 0);
    assert!(store.identity_by_lookup(b"x").await.unwrap().is_none());
    assert_eq!(grants(store, NOW).await.len(), 1);
}
