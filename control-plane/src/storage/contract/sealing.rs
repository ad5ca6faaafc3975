//! Sealing orders: what rises, what is told, what goes with key and binding.

use super::mailbox::{AUTH, bind, bound, owner, serial};
use super::*;
use crate::device::EncMode;

fn order(binding_epoch: u64, sequence: u64, sealed: bool) -> NewOrder {
    let signed = vec![u8::from(sealed), sequence as u8];
    NewOrder { serial: serial(), binding_epoch, sequence, sealed, signed, verifier: AUTH }
}

async fn mode(store: &dyn Store) -> (EncMode, u64) {
    let device = store.device(&serial()).await.unwrap().unwrap();
    (device.enc_mode(), device.order.map_or(0, |order| order.sequence))
}

async fn history(store: &dyn Store, epoch: u64) -> Vec<EncMode> {
    let events = store.enc_history(&serial(), epoch, 9).await.unwrap();
    events.into_iter().map(|event| event.mode).collect()
}

async fn messages(store: &dyn Store) -> Vec<String> {
    while let Some(entry) = store.outbox_claim(&[], NOW).await.unwrap() {
        store.outbox_deliver(entry.id, NOW).await.unwrap();
    }
    let messages = store.messages(&owner(), 99).await.unwrap().into_iter();
    messages.map(|message| message.kind).filter(|kind| kind.starts_with("sealing")).collect()
}

pub(super) async fn orders_rise_and_each_is_kept_and_told(store: &dyn Store) {
    let epoch = bound(store).await;
    let put = async |order: &NewOrder| store.order_put(&owner(), order, NOW).await.unwrap();
    assert_eq!(mode(store).await, (EncMode::Sealed, 0));
    assert_eq!(put(&order(epoch, 2, false)).await, OrderPut::Stored);
    assert_eq!(mode(store).await, (EncMode::Open, 2));
    assert_eq!(put(&order(epoch, 2, false)).await, OrderPut::Same);
    assert_eq!(put(&order(epoch, 2, true)).await, OrderPut::NotNewer(2));
    assert_eq!(put(&order(epoch, 1, true)).await, OrderPut::NotNewer(2));
    assert_eq!(put(&order(epoch + 1, 3, true)).await, OrderPut::OtherBinding);
    let other_key = NewOrder { verifier: [2; 32], ..order(epoch, 3, true) };
    assert_eq!(put(&other_key).await, OrderPut::OtherBinding);
    let stranger = AccountId("x".into());
    let refused = store.order_put(&stranger, &order(epoch, 3, true), NOW).await.unwrap();
    assert_eq!(refused, OrderPut::OtherBinding);
    assert_eq!(put(&order(epoch, 3, true)).await, OrderPut::Stored);
    assert_eq!(mode(store).await, (EncMode::Sealed, 3));
    assert_eq!(history(store, epoch).await, [EncMode::Sealed, EncMode::Open]);
    assert_eq!(messages(store).await, ["sealing_on", "sealing_off"]);
    assert_eq!(put(&order(epoch, 4, true)).await, OrderPut::Stored);
    assert_eq!(mode(store).await, (EncMode::Sealed, 4));
    assert_eq!(messages(store).await.len(), 2, "nothing has changed for those who watch");
}

pub(super) async fn a_new_key_or_owner_starts_sealed(store: &dyn Store) {
    let epoch = bound(store).await;
    store.order_put(&owner(), &order(epoch, 5, false), NOW).await.unwrap();
    store.verifier_put(&serial(), epoch, &[2; 32], NOW).await.unwrap();
    assert_eq!(mode(store).await, (EncMode::Sealed, 0));
    assert_eq!(history(store, epoch).await, [EncMode::Sealed, EncMode::Open]);
    assert_eq!(messages(store).await, ["sealing_on", "sealing_off"]);
    let anew = NewOrder { verifier: [2; 32], ..order(epoch, 1, false) };
    assert_eq!(store.order_put(&owner(), &anew, NOW).await.unwrap(), OrderPut::Stored);
    store.unbind(&serial(), &owner(), NOW).await.unwrap().unwrap();
    let next = bind(store, &owner()).await;
    assert_eq!(mode(store).await, (EncMode::Sealed, 0));
    assert_eq!(history(store, next).await, []);
    let old = store.order_put(&owner(), &order(epoch, 9, false), NOW).await.unwrap();
    assert_eq!(old, OrderPut::OtherBinding);
}
