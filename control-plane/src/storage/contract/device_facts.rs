//! Facts about devices: whose they are, and what takes them away.

use super::mailbox::{bind, bound, owner, serial};
use super::*;
use crate::consent::{DEVICE_HARDWARE, DEVICE_LOCATION, DEVICE_PROVISION};
use crate::ids::ProvisioningId;

fn fact(epoch: u64, kind: FactKind, value: u8) -> NewFact {
    NewFact {
        serial: serial(),
        account: owner(),
        binding_epoch: epoch,
        kind,
        value_enc: vec![value],
        expires_at: None,
    }
}

fn provisioning(id: &str, sealed: Option<u8>) -> NewProvisioning {
    NewProvisioning {
        id: ProvisioningId(id.into()),
        account: owner(),
        serial: serial(),
        facts_enc: vec![7],
        sealed: sealed.map(|byte| vec![byte]),
        sealed_until: NOW + 10,
        expires_at: NOW + 100,
    }
}

async fn kinds(store: &dyn Store, now: u64) -> Vec<FactKind> {
    let facts = store.facts(&owner(), None, now).await.unwrap();
    facts.into_iter().map(|fact| fact.kind).collect()
}

async fn decide(store: &dyn Store, purpose: &str, granted: bool) {
    let act = ConsentAct {
        account: owner(),
        subject: Subject("subject of c".into()),
        terminal: TerminalId("t".into()),
        purpose: purpose.into(),
        version: 1,
        policy: None,
        granted,
    };
    store.consent_append(&act, NOW).await.unwrap();
}

pub(super) async fn facts_are_the_present_owners(store: &dyn Store) {
    let epoch = bound(store).await;
    let put = async |fact: &NewFact| store.fact_put(fact, NOW).await.unwrap();
    assert!(!put(&fact(epoch + 1, FactKind::Name, 1)).await);
    let stranger = NewFact { account: AccountId("x".into()), ..fact(epoch, FactKind::Name, 1) };
    assert!(!put(&stranger).await);
    assert!(put(&fact(epoch, FactKind::Name, 1)).await);
    assert!(put(&fact(epoch, FactKind::Name, 2)).await);
    let ends = NewFact { expires_at: Some(NOW + 5), ..fact(epoch, FactKind::BindClient, 3) };
    assert!(put(&ends).await && put(&fact(epoch, FactKind::ChannelName(3), 4)).await);
    let facts = store.facts(&owner(), Some(&serial()), NOW + 4).await.unwrap();
    assert_eq!(facts.len(), 3);
    let name = facts.iter().find(|fact| fact.kind == FactKind::Name).unwrap();
    assert_eq!(name.value_enc, [2], "the newer one");
    assert_eq!(kinds(store, NOW + 5).await.len(), 2, "one has expired");
    store.purge(NOW + 5).await.unwrap();
    assert!(!store.fact_end(&owner(), &serial(), FactKind::BindClient, NOW).await.unwrap());
    let missing = Serial("E".into());
    assert!(store.facts(&owner(), Some(&missing), NOW).await.unwrap().is_empty());
    assert!(store.fact_end(&owner(), &serial(), FactKind::Name, NOW).await.unwrap());
    store.unbind(&serial(), &owner(), NOW).await.unwrap().unwrap();
    bind(store, &owner()).await;
    assert_eq!(kinds(store, NOW).await, [], "a former binding leaves nothing");
}

pub(super) async fn a_withdrawn_consent_takes_what_stood_on_it(store: &dyn Store) {
    let epoch = bound(store).await;
    let wanted = async || store.inventory_wanted(&serial(), DEVICE_HARDWARE.id, 1).await.unwrap();
    assert!(!wanted().await);
    decide(store, DEVICE_HARDWARE.id, true).await;
    assert!(wanted().await);
    for (kind, value) in [(FactKind::Hardware, 1), (FactKind::Place, 2), (FactKind::Name, 3)] {
        assert!(store.fact_put(&fact(epoch, kind, value), NOW).await.unwrap());
    }
    assert!(!wanted().await, "it was told");
    assert!(store.provisioning_put(&provisioning("p", None), 9, NOW).await.unwrap());
    decide(store, DEVICE_LOCATION.id, false).await;
    assert_eq!(kinds(store, NOW).await, [FactKind::Hardware, FactKind::Name]);
    decide(store, DEVICE_HARDWARE.id, false).await;
    assert_eq!(kinds(store, NOW).await, [FactKind::Name]);
    assert!(!wanted().await);
    assert_eq!(store.provisionings(&owner(), NOW).await.unwrap().len(), 1);
    decide(store, DEVICE_PROVISION.id, false).await;
    assert!(store.provisionings(&owner(), NOW).await.unwrap().is_empty());
}

pub(super) async fn what_is_sealed_to_a_device_goes_out_once(store: &dyn Store) {
    let account = account(store, "a").await;
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    let put = async |new: &NewProvisioning| store.provisioning_put(new, 2, NOW).await.unwrap();
    assert!(!put(&provisioning("p", Some(1))).await, "not the account's device");
    assert!(put(&provisioning("p", None)).await);
    bind(store, &account).await;
    assert!(put(&provisioning("q", Some(1))).await);
    assert!(store.sealed_waits(&serial(), NOW + 9).await.unwrap());
    assert!(!store.sealed_waits(&serial(), NOW + 10).await.unwrap());
    assert_eq!(store.sealed_take(&serial(), NOW + 10).await.unwrap(), None, "too late");
    assert_eq!(store.sealed_take(&serial(), NOW + 9).await.unwrap(), Some(vec![1]));
    assert_eq!(store.sealed_take(&serial(), NOW + 9).await.unwrap(), None);
    let later = NewProvisioning { expires_at: NOW + 101, ..provisioning("r", Some(2)) };
    assert!(put(&later).await);
    assert_eq!(store.provisionings(&account, NOW).await.unwrap().len(), 2, "two are kept");
    assert_eq!(store.provisionings(&account, NOW + 100).await.unwrap().len(), 1);
    store.purge(NOW + 10).await.unwrap();
    assert!(!store.sealed_waits(&serial(), NOW).await.unwrap(), "deleted, not only hidden");
}
