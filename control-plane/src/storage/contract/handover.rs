//! Tokens and codes that lead to a binding: used once, in time, for the binding that they are of.

use super::mailbox::{bind, bound, owner, serial};
use super::*;

fn token(id: &str, only: Option<Serial>) -> NewBindToken {
    NewBindToken {
        id: crate::ids::BindTokenId(id.into()),
        hash: id.as_bytes().to_vec(),
        account: owner(),
        serial: only,
        expires_at: NOW + 10,
    }
}

fn code(kind: CodeKind, hash: u8, account: Option<AccountId>) -> NewDeviceCode {
    NewDeviceCode { serial: serial(), kind, hash: vec![hash], account, expires_at: NOW + 10 }
}

fn using(hash: u8, account: &AccountId) -> CodeUse {
    CodeUse { serial: serial(), hash: vec![hash], account: account.clone() }
}

/// A second account.
async fn other(store: &dyn Store) -> AccountId {
    store.otp_open(&challenge("c2"), &[], NOW).await.unwrap().unwrap();
    let mut opening = opening("c2", "b");
    let identifier = identifier(IdentifierKind::Phone, b"other number");
    opening.registration.as_mut().unwrap().found_by = FoundBy::Identifier(identifier);
    opening.terminal = TerminalId("other terminal".into());
    let opened = store.session_open(&opening, NOW).await.unwrap();
    assert!(matches!(opened, SessionOpened::Opened(_)), "{opened:?}");
    AccountId("b".into())
}

async fn free(store: &dyn Store) -> AccountId {
    let account = account(store, "a").await;
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    account
}

async fn acts(store: &dyn Store, account: &AccountId) -> Vec<String> {
    let entries = store.oplog(account, 99).await.unwrap().into_iter();
    entries.map(|entry| entry.action).collect()
}

async fn owner_of(store: &dyn Store) -> Option<AccountId> {
    store.device(&serial()).await.unwrap().unwrap().owner
}

pub(super) async fn a_token_binds_one_device_once(store: &dyn Store) {
    let account = free(store).await;
    assert!(store.bind_token_open(&token("t", None), 2, NOW).await.unwrap());
    assert!(store.bind_token_open(&token("u", None), 2, NOW).await.unwrap());
    assert!(!store.bind_token_open(&token("v", None), 2, NOW).await.unwrap(), "two are open");
    let (id, stranger) = (token("t", None).id, AccountId("x".into()));
    assert!(store.bind_token(&stranger, &id, NOW).await.unwrap().is_none());
    assert_eq!(store.bind_by_token(b"t", &serial(), NOW + 10).await.unwrap(), CodeUsed::Unknown);
    let used = store.bind_by_token(b"t", &serial(), NOW + 9).await.unwrap();
    assert!(matches!(used, CodeUsed::Right(Bound::Newly(_))), "{used:?}");
    let state = store.bind_token(&account, &id, NOW + 9).await.unwrap().unwrap();
    assert_eq!((state.used, state.serial), (true, Some(serial())));
    assert!(store.bind_token(&account, &id, NOW + 10).await.unwrap().is_none(), "over");
    assert_eq!(store.bind_by_token(b"t", &serial(), NOW + 9).await.unwrap(), CodeUsed::Unknown);
    let second = token("u", None).id;
    assert!(!store.bind_token_end(&stranger, &second, NOW).await.unwrap());
    assert!(store.bind_token_end(&account, &second, NOW).await.unwrap());
    assert_eq!(store.bind_by_token(b"u", &serial(), NOW).await.unwrap(), CodeUsed::Unknown);
    assert!(acts(store, &account).await.contains(&"bind_token.ended".into()));
}

pub(super) async fn a_token_for_one_device_is_no_other_devices(store: &dyn Store) {
    free(store).await;
    let elsewhere = Some(Serial("E".into()));
    assert!(store.bind_token_open(&token("t", elsewhere), 9, NOW).await.unwrap());
    assert_eq!(store.bind_by_token(b"t", &serial(), NOW).await.unwrap(), CodeUsed::Unknown);
    assert!(store.bind_token_open(&token("u", Some(serial())), 9, NOW).await.unwrap());
    let other = other(store).await;
    bind(store, &other).await;
    let taken = store.bind_by_token(b"u", &serial(), NOW).await.unwrap();
    assert_eq!(taken, CodeUsed::Right(Bound::Taken));
    store.unbind(&serial(), &other, NOW).await.unwrap().unwrap();
    let after = store.bind_by_token(b"u", &serial(), NOW).await.unwrap();
    assert_eq!(after, CodeUsed::Unknown, "what named the device went with its former binding");
}

pub(super) async fn codes_end_with_time_use_binding_and_a_newer_one(store: &dyn Store) {
    let account = free(store).await;
    let operators = |hash| code(CodeKind::Bind, hash, None);
    let holds = async |hash: u8, now| {
        store.code_holds(&serial(), CodeKind::Bind, &[hash], now).await.unwrap()
    };
    let unknown = NewDeviceCode { serial: Serial("E".into()), ..operators(1) };
    assert!(!store.code_put(&unknown, NOW).await.unwrap());
    assert!(store.code_put(&operators(1), NOW).await.unwrap());
    assert!(store.code_put(&operators(2), NOW).await.unwrap());
    assert!(!holds(1, NOW).await, "a newer one took its place");
    assert!(holds(2, NOW + 9).await && !holds(2, NOW + 10).await);
    let wrong = store.bind_by_code(&using(1, &account), NOW).await.unwrap();
    assert_eq!(wrong, CodeUsed::Unknown);
    let right = store.bind_by_code(&using(2, &account), NOW).await.unwrap();
    assert!(matches!(right, CodeUsed::Right(Bound::Newly(_))));
    assert_eq!(store.bind_by_code(&using(2, &account), NOW).await.unwrap(), CodeUsed::Unknown);
    assert!(!store.code_put(&operators(3), NOW).await.unwrap(), "somebody owns it");
    let stranger = code(CodeKind::Transfer, 4, Some(AccountId("x".into())));
    assert!(!store.code_put(&stranger, NOW).await.unwrap());
    assert!(store.code_put(&code(CodeKind::Transfer, 4, Some(owner())), NOW).await.unwrap());
    let expires = store.code_expires(&serial(), CodeKind::Transfer, NOW).await.unwrap();
    assert_eq!(expires, Some(NOW + 10));
    store.unbind(&serial(), &account, NOW).await.unwrap().unwrap();
    let transferred = store.transfer(&using(4, &account), NOW).await.unwrap();
    assert_eq!(transferred, CodeUsed::Unknown, "it went with the binding");
}

pub(super) async fn a_transfer_moves_the_device_wholly(store: &dyn Store) {
    let epoch = bound(store).await;
    let other = other(store).await;
    assert!(store.code_put(&code(CodeKind::Transfer, 4, Some(owner())), NOW).await.unwrap());
    assert_eq!(store.transfer(&using(5, &other), NOW).await.unwrap(), CodeUsed::Unknown);
    assert_eq!(store.transfer(&using(4, &other), NOW + 10).await.unwrap(), CodeUsed::Unknown);
    let own = store.transfer(&using(4, &owner()), NOW).await.unwrap();
    assert!(matches!(own, CodeUsed::Right(Bound::Already(_))), "his own code changes nothing");
    let CodeUsed::Right(Bound::Newly(epochs)) =
        store.transfer(&using(4, &other), NOW + 9).await.unwrap()
    else {
        panic!("not moved")
    };
    assert!(epochs.binding > epoch);
    assert_eq!(owner_of(store).await, Some(other.clone()));
    assert_eq!(store.device(&serial()).await.unwrap().unwrap().verifier, None);
    assert_eq!(store.transfer(&using(4, &owner()), NOW).await.unwrap(), CodeUsed::Unknown);
    assert_eq!(acts(store, &owner()).await[0], "device.given");
    assert_eq!(acts(store, &other).await[0], "device.bound");
    let told = messages(store, &owner()).await;
    assert!(told.contains(&"device_given".into()), "{told:?}");
}

pub(super) async fn a_reset_ends_the_binding_that_it_names(store: &dyn Store) {
    let epoch = bound(store).await;
    let reset = async |named| store.device_reset(&serial(), named, true, NOW).await.unwrap();
    assert_eq!(reset(Some(epoch - 1)).await, None);
    assert_eq!(reset(Some(epoch + 1)).await, None);
    assert!(reset(Some(epoch)).await.unwrap().binding > epoch);
    assert_eq!(owner_of(store).await, None);
    assert_eq!(reset(None).await, None, "nobody owns it");
    assert_eq!(acts(store, &owner()).await[0], "device.reset");
    assert!(messages(store, &owner()).await.contains(&"device_reset".into()));
}

async fn messages(store: &dyn Store, account: &AccountId) -> Vec<String> {
    while let Some(entry) = store.outbox_claim(&[], NOW + 20).await.unwrap() {
        store.outbox_deliver(entry.id, NOW).await.unwrap();
    }
    let messages = store.messages(account, 99).await.unwrap().into_iter();
    messages.map(|message| message.kind).collect()
}
