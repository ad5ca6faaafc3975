//! Proofs of device keys: their numbers, and how those of terminals end.

use super::mailbox::{AUTH, bound, owner, serial};
use super::*;

const TERMINAL: [u8; 32] = [7; 32];

async fn proof(store: &dyn Store, by: ProofBy, expires: u64) -> KeyProof {
    let epochs = store.device(&serial()).await.unwrap().unwrap().epochs;
    KeyProof { session: session(), serial: serial(), epochs, by, expires }
}

fn session() -> SessionId {
    SessionId("session of c".into())
}

fn listing(binding_epoch: u64, version: u64, terminals: &[(u8, u64)]) -> NewList {
    let listed = |(key, until): &(u8, u64)| ListedTerminal {
        signing: [*key; 32],
        account: owner(),
        scopes: 3,
        until: *until,
    };
    let signed = version.to_be_bytes().to_vec();
    let terminals = terminals.iter().map(listed).collect();
    NewList { serial: serial(), binding_epoch, version, signed, verifier: AUTH, terminals }
}

async fn put(store: &dyn Store, list: &NewList) -> Vec<u64> {
    match store.viewer_list_put(&owner(), list, NOW).await.unwrap() {
        ListPut::Stored(ended) => ended.into_iter().map(|proof| proof.number).collect(),
        other => panic!("{other:?}"),
    }
}

/// The number of the proof that the gate sees at `now`.
async fn number(store: &dyn Store, now: u64) -> Option<u64> {
    let facts = store.gate_facts(b"access of c", &serial(), "p", 1, now).await.unwrap();
    facts.expect("a login").key_proof
}

async fn by_terminal(store: &dyn Store, list: u64, expires: u64) -> bool {
    let by = ProofBy::Terminal { signing: TERMINAL, list, scopes: 1 };
    let proof = proof(store, by, expires).await;
    store.key_proof_store(&owner(), &proof, NOW).await.unwrap()
}

pub(super) async fn a_later_proof_has_a_higher_number(store: &dyn Store) {
    let epoch = bound(store).await;
    assert_eq!(number(store, NOW).await, None);
    let by_secret = proof(store, ProofBy::Secret, NOW + 100).await;
    assert!(store.key_proof_store(&owner(), &by_secret, NOW).await.unwrap());
    let first = number(store, NOW).await.expect("a proof");
    put(store, &listing(epoch, 1, &[(7, u64::MAX)])).await;
    assert!(by_terminal(store, 1, NOW + 100).await);
    let second = number(store, NOW).await.expect("a proof");
    assert!(second > first);
    assert_eq!(put(store, &listing(epoch, 2, &[])).await, [second]);
    assert!(store.key_proof_store(&owner(), &by_secret, NOW).await.unwrap());
    assert!(number(store, NOW).await > Some(second), "not even after the highest one is gone");
}

pub(super) async fn a_terminals_proof_ends_with_its_place_on_the_list(store: &dyn Store) {
    let epoch = bound(store).await;
    assert!(!by_terminal(store, 1, NOW + 100).await, "without a list");
    put(store, &listing(epoch, 1, &[(7, u64::MAX)])).await;
    assert!(!by_terminal(store, 2, NOW + 100).await, "another list");
    assert!(by_terminal(store, 1, NOW + 100).await);
    let held = number(store, NOW).await.expect("a proof");
    assert!(put(store, &listing(epoch, 2, &[(6, u64::MAX), (7, NOW + 10)])).await.is_empty());
    assert_eq!(number(store, NOW + 9).await, Some(held));
    assert_eq!(number(store, NOW + 10).await, None, "as short as its new time");
    let of_another = ListedTerminal {
        signing: TERMINAL,
        account: AccountId("x".into()),
        scopes: 3,
        until: u64::MAX,
    };
    let list = NewList { terminals: vec![of_another], ..listing(epoch, 3, &[]) };
    assert_eq!(put(store, &list).await, [held], "another account's terminal");
    let by_secret = proof(store, ProofBy::Secret, NOW + 100).await;
    assert!(store.key_proof_store(&owner(), &by_secret, NOW).await.unwrap());
    assert!(put(store, &listing(epoch, 4, &[])).await.is_empty());
    assert!(number(store, NOW).await.is_some(), "the secret needs no list");
}

pub(super) async fn a_terminals_proof_ends_in_time(store: &dyn Store) {
    let epoch = bound(store).await;
    put(store, &listing(epoch, 1, &[(7, NOW + 50)])).await;
    assert!(by_terminal(store, 1, NOW + 50).await);
    let held = number(store, NOW).await.expect("a proof");
    store.purge(NOW + 50).await.unwrap();
    assert_eq!(store.key_proofs_end(NOW + 49).await.unwrap(), []);
    let ended = EndedProof { session: session(), serial: serial(), number: held };
    assert_eq!(store.key_proofs_end(NOW + 50).await.unwrap(), [ended]);
    assert_eq!(store.key_proofs_end(NOW + 50).await.unwrap(), []);
    let by_secret = proof(store, ProofBy::Secret, NOW + 50).await;
    assert!(store.key_proof_store(&owner(), &by_secret, NOW).await.unwrap());
    assert_eq!(store.key_proofs_end(NOW + 50).await.unwrap(), [], "of terminals only");
}
