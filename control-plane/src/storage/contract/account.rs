//! What is kept about a person.

use super::*;
use crate::consent::{PROFILE, TERMINAL_SECURITY};
use crate::limits::OPLOG_KEEP_SECS;

/// Where a test is.
const LATER: u64 = NOW + 10;

pub(super) fn act(account: &AccountId, purpose: &str, granted: bool) -> ConsentAct {
    ConsentAct {
        account: account.clone(),
        subject: Subject("subject of c".into()),
        terminal: TerminalId("terminal of c".into()),
        purpose: purpose.into(),
        version: 1,
        policy: None,
        granted,
    }
}

fn filter(account: &AccountId) -> OplogFilter {
    let account = account.clone();
    OplogFilter { account, since: 0, until: u64::MAX, action: None, before: None, limit: 100 }
}

async fn actions(store: &dyn Store, filter: &OplogFilter) -> Vec<String> {
    let lines = store.oplog_page(filter).await.unwrap();
    lines.into_iter().map(|line| line.action).collect()
}

pub(super) async fn what_is_personal_is_stored_under_a_consent_only(store: &dyn Store) {
    let account = account(store, "a").await;
    let name = ProfileEdit { nickname_enc: Some(Some(vec![1])), ..ProfileEdit::default() };
    assert!(!store.profile_put(&account, &name, NOW).await.unwrap());
    assert!(!store.avatar_put(&account, b"p", NOW).await.unwrap());
    store.consent_append(&act(&account, PROFILE.id, true), NOW).await.unwrap();
    assert!(store.profile_put(&account, &name, NOW).await.unwrap());
    let region = ProfileEdit { region_enc: Some(Some(vec![2])), ..ProfileEdit::default() };
    assert!(store.profile_put(&account, &region, NOW).await.unwrap());
    assert!(store.avatar_put(&account, b"p", NOW).await.unwrap());
    let row = store.profile(&account).await.unwrap();
    assert_eq!((row.nickname_enc, row.region_enc), (Some(vec![1]), Some(vec![2])), "both stay");
    let gone = ProfileEdit { nickname_enc: Some(None), ..ProfileEdit::default() };
    assert!(store.profile_put(&account, &gone, NOW).await.unwrap());
    assert_eq!(store.profile(&account).await.unwrap().nickname_enc, None);
    assert!(store.avatar_delete(&account, NOW).await.unwrap());
    assert!(!store.avatar_delete(&account, NOW).await.unwrap());
    assert!(store.avatar_put(&account, b"q", NOW).await.unwrap());
    store.consent_append(&act(&account, PROFILE.id, false), NOW).await.unwrap();
    assert_eq!(store.profile(&account).await.unwrap(), ProfileRow::default());
    assert_eq!(store.avatar(&account).await.unwrap(), None, "withdrawn, so nothing is kept");
}

pub(super) async fn facts_of_a_terminal_go_in_time_and_with_the_account(store: &dyn Store) {
    let account = account(store, "a").await;
    let (terminal, other) = (TerminalId("terminal of c".into()), TerminalId("x".into()));
    let put = async |terminal: &TerminalId| {
        store.terminal_facts_put(&account, terminal, b"f", LATER, NOW).await.unwrap()
    };
    assert_eq!(put(&terminal).await, FactsPut::NoConsent);
    store.consent_append(&act(&account, TERMINAL_SECURITY.id, true), NOW).await.unwrap();
    assert_eq!(put(&other).await, FactsPut::NoTerminal);
    assert_eq!(put(&terminal).await, FactsPut::Stored);
    assert!(store.terminal_permissions_put(&account, &terminal, b"p", NOW).await.unwrap());
    assert!(!store.terminal_permissions_put(&account, &other, b"p", NOW).await.unwrap());
    store.terminal_seen(&terminal, b"n").await.unwrap();
    store.terminal_seen(&other, b"n").await.unwrap();
    store.purge(LATER - 1).await.unwrap();
    let details = store.terminal_details(&account).await.unwrap();
    assert_eq!(details.len(), 1);
    assert_eq!(details[0].facts_enc.as_deref(), Some(&b"f"[..]));
    store.purge(LATER).await.unwrap();
    let details = store.terminal_details(&account).await.unwrap();
    assert_eq!((&details[0].facts_enc, details[0].permissions_at), (&None, Some(NOW)));
    assert_eq!(details[0].network_enc.as_deref(), Some(&b"n"[..]));
    assert!(store.account_erase(&account, NOW).await.unwrap().is_some());
    assert!(store.terminal_details(&account).await.unwrap().is_empty());
}

pub(super) async fn the_log_is_read_in_pages_and_ends_with_its_time(store: &dyn Store) {
    let account = account(store, "a").await;
    let serial = Serial("D".into());
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    store.bind(&serial, &account, LATER).await.unwrap();
    store.unbind(&serial, &account, LATER).await.unwrap();
    store.oplog_refused(&account, "request.refused", "x", LATER + 1).await.unwrap();
    let all = filter(&account);
    let newest_first = [
        "request.refused",
        "device.unbound",
        "device.bound",
        "session.opened",
        "account.registered",
    ];
    assert_eq!(actions(store, &all).await, newest_first);
    let first = store.oplog_page(&OplogFilter { limit: 2, ..all.clone() }).await.unwrap();
    assert_eq!((first[0].result.as_str(), first[1].result.as_str()), ("refused", "done"));
    let next = OplogFilter { before: Some(first[1].id), limit: 2, ..all.clone() };
    assert_eq!(actions(store, &next).await, newest_first[2..4]);
    let of_devices = OplogFilter { action: Some("device".into()), ..all.clone() };
    assert_eq!(actions(store, &of_devices).await, newest_first[1..3]);
    let one = OplogFilter { action: Some("device.bound".into()), ..all.clone() };
    assert_eq!(actions(store, &one).await, ["device.bound"]);
    let part = OplogFilter { action: Some("dev".into()), ..all.clone() };
    assert!(actions(store, &part).await.is_empty());
    let then = OplogFilter { since: LATER, until: LATER + 1, ..all.clone() };
    assert_eq!(actions(store, &then).await, newest_first[1..3]);
    let of_nobody = OplogFilter { account: AccountId("x".into()), ..all.clone() };
    assert!(actions(store, &of_nobody).await.is_empty());
    store.purge(NOW + OPLOG_KEEP_SECS).await.unwrap();
    assert_eq!(actions(store, &all).await.len(), 5, "as old as they may be");
    store.purge(LATER + OPLOG_KEEP_SECS).await.unwrap();
    assert_eq!(actions(store, &all).await, newest_first[..3]);
}

pub(super) async fn an_attestation_is_found_by_what_it_is_about(store: &dyn Store) {
    let account = account(store, "a").await;
    let new = NewAttestation {
        account: account.clone(),
        subject: Subject("subject of c".into()),
        kind: "others",
        object: "CAM-1".into(),
        version: 1,
        text_sha256: [1; 32],
        terminal: TerminalId("terminal of c".into()),
    };
    let first = store.attest(&new, NOW).await.unwrap();
    let second = store.attest(&NewAttestation { version: 2, ..new }, LATER).await.unwrap();
    let found = store.attested(&account, "others", "CAM-1").await.unwrap().unwrap();
    assert_eq!((found.seq, found.version, found.at), (second, 2, LATER), "the newest");
    for (who, kind, object) in
        [("a", "guardian", "CAM-1"), ("a", "others", "CAM-2"), ("x", "others", "CAM-1")]
    {
        let found = store.attested(&AccountId(who.into()), kind, object).await.unwrap();
        assert_eq!(found, None, "{who} {kind} {object}");
    }
    let page = store.attestations(&account, Some(second), 10).await.unwrap();
    assert_eq!(page.iter().map(|held| held.seq).collect::<Vec<_>>(), [first]);
}

pub(super) async fn the_policy_is_withdrawn_with_all_that_stood_on_it(store: &dyn Store) {
    let account = account(store, "a").await;
    for purpose in ["p", "q"] {
        store.consent_append(&act(&account, purpose, true), NOW).await.unwrap();
    }
    assert!(store.basic_mode(&account, "account").await.unwrap(), "not agreed to yet");
    let policy = act(&account, "account", true);
    store.consent_append(&policy, NOW).await.unwrap();
    assert!(!store.basic_mode(&account, "account").await.unwrap());
    let (ended, sessions) = store.policy_withdraw(&policy, NOW).await.unwrap();
    assert_eq!((ended.seq, ended.epoch, sessions), (6, 3, Vec::new()));
    let states = store.consents(&account).await.unwrap();
    assert!(states.len() == 3 && states.iter().all(|state| !state.granted), "{states:?}");
    assert!(store.basic_mode(&account, "account").await.unwrap());
    let other = AccountId("x".into());
    assert!(store.basic_mode(&other, "account").await.unwrap(), "nobody agreed");
    store.consent_append(&act(&account, "account", true), NOW).await.unwrap();
    assert!(!store.basic_mode(&account, "account").await.unwrap());
}

pub(super) async fn versions_are_replaced(store: &dyn Store) {
    let row = |newest: &str| AppVersionRow {
        client: "android".into(),
        newest: newest.into(),
        minimum: "1.0".into(),
        notes_en: "n".into(),
        notes_zh: "z".into(),
        changed_at: NOW,
    };
    store.app_version_put(&row("1.0")).await.unwrap();
    store.app_version_put(&row("1.1")).await.unwrap();
    assert_eq!(store.app_version("android").await.unwrap(), Some(row("1.1")));
    assert_eq!(store.app_versions().await.unwrap(), [row("1.1")]);
    assert_eq!(store.app_version("ios").await.unwrap(), None);
    assert!(store.app_version_delete("android").await.unwrap());
    assert!(!store.app_version_delete("android").await.unwrap());
}
