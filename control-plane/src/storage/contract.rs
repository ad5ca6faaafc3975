//! What every store must do, whatever engine it stands on. Each check gets an empty store.

mod account;
mod credential;
mod device_facts;
mod handover;
mod idempotency;
mod identity;
mod mailbox;
mod passkey;
mod policy;
mod proofs;
mod sealing;
mod shares;
mod sms;
mod sso;

use std::future::Future;
use std::pin::Pin;

use sightline_grant::Thumbprint;

use super::Store;
use super::model::*;
use crate::ids::{AccountId, ChallengeId, Serial, SessionId, Subject, TerminalId};

type Check = for<'a> fn(&'a dyn Store) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

pub(crate) const CHECKS: &[Check] = &[
    |store| Box::pin(a_challenge_is_used_once_and_registers_once(store)),
    |store| Box::pin(limits_count_in_sliding_windows(store)),
    |store| Box::pin(the_charges_since_a_moment_are_taken_back(store)),
    |store| Box::pin(a_device_has_one_owner_at_a_time(store)),
    |store| Box::pin(a_message_is_delivered_once(store)),
    |store| Box::pin(a_channel_that_is_left_out_is_not_claimed_and_stays_due(store)),
    |store| Box::pin(a_key_challenge_is_taken_once_by_its_session(store)),
    |store| Box::pin(account::what_is_personal_is_stored_under_a_consent_only(store)),
    |store| Box::pin(account::facts_of_a_terminal_go_in_time_and_with_the_account(store)),
    |store| Box::pin(account::the_log_is_read_in_pages_and_ends_with_its_time(store)),
    |store| Box::pin(account::an_attestation_is_found_by_what_it_is_about(store)),
    |store| Box::pin(account::the_policy_is_withdrawn_with_all_that_stood_on_it(store)),
    |store| Box::pin(account::versions_are_replaced(store)),
    |store| Box::pin(credential::an_identifier_is_one_accounts_alone(store)),
    |store| Box::pin(credential::the_last_identifier_stays(store)),
    |store| Box::pin(credential::a_new_password_ends_the_other_logins(store)),
    |store| Box::pin(credential::a_new_password_makes_other_terminals_unknown(store)),
    |store| Box::pin(credential::a_rehash_replaces_only_what_it_was_made_from(store)),
    |store| Box::pin(credential::guesses_lock_in_steps_and_close_at_a_hundred(store)),
    |store| Box::pin(credential::a_secure_window_belongs_to_its_login(store)),
    |store| Box::pin(credential::an_entry_tells_what_signing_in_looks_at(store)),
    |store| Box::pin(passkey::a_passkey_challenge_is_taken_once_by_whom_it_was_given_to(store)),
    |store| Box::pin(passkey::an_account_has_so_many_passkeys_each_its_own(store)),
    |store| Box::pin(passkey::a_passkey_that_counts_must_count_on(store)),
    |store| Box::pin(policy::a_product_has_one_policy_for_a_purpose_whose_versions_rise(store)),
    |store| Box::pin(policy::a_decision_keeps_the_policy_that_it_was_given_under(store)),
    |store| Box::pin(handover::a_token_binds_one_device_once(store)),
    |store| Box::pin(handover::a_token_for_one_device_is_no_other_devices(store)),
    |store| Box::pin(handover::codes_end_with_time_use_binding_and_a_newer_one(store)),
    |store| Box::pin(handover::a_transfer_moves_the_device_wholly(store)),
    |store| Box::pin(handover::a_reset_ends_the_binding_that_it_names(store)),
    |store| Box::pin(device_facts::facts_are_the_present_owners(store)),
    |store| Box::pin(device_facts::a_withdrawn_consent_takes_what_stood_on_it(store)),
    |store| Box::pin(device_facts::what_is_sealed_to_a_device_goes_out_once(store)),
    |store| Box::pin(mailbox::a_list_is_replaced_by_a_newer_one_only(store)),
    |store| Box::pin(mailbox::a_new_key_ends_the_list_that_the_old_one_signed(store)),
    |store| Box::pin(mailbox::generations_rise_and_come_in_either_order(store)),
    |store| Box::pin(mailbox::the_oldest_generations_go_with_their_wraps(store)),
    |store| Box::pin(mailbox::a_wrap_goes_to_its_recipient_alone(store)),
    |store| Box::pin(mailbox::the_mailbox_goes_with_the_binding_and_numbers_stay_taken(store)),
    |store| Box::pin(proofs::a_later_proof_has_a_higher_number(store)),
    |store| Box::pin(proofs::a_terminals_proof_ends_with_its_place_on_the_list(store)),
    |store| Box::pin(proofs::a_terminals_proof_ends_in_time(store)),
    |store| Box::pin(idempotency::a_key_gives_the_first_answer_again_and_no_other(store)),
    |store| Box::pin(idempotency::an_attempt_without_answer_gives_its_key_back(store)),
    |store| Box::pin(idempotency::an_account_has_a_bounded_number_of_keys(store)),
    |store| Box::pin(identity::a_way_is_taken_once_by_who_began_it(store)),
    |store| Box::pin(identity::an_identity_is_one_accounts_alone(store)),
    |store| Box::pin(identity::the_last_way_in_stays(store)),
    |store| Box::pin(identity::a_grant_outlives_what_it_belonged_to_until_it_is_taken_back(store)),
    |store| Box::pin(identity::what_was_unbound_before_goes_again(store)),
    |store| Box::pin(sms::the_store_decides_as_the_core_does(store)),
    |store| Box::pin(sms::an_answer_gives_places_back_once_and_makes_the_pair_known(store)),
    |store| Box::pin(sms::strangers_share_a_part_of_a_number_until_they_answer(store)),
    |store| Box::pin(sms::a_message_is_handed_over_once(store)),
    |store| Box::pin(sms::decisions_and_pairs_go_after_their_time(store)),
    |store| Box::pin(sso::apps_are_bounded_and_keys_are_replaced(store)),
    |store| Box::pin(sso::a_code_opens_one_login_and_its_replay_ends_it(store)),
    |store| Box::pin(sso::the_session_of_an_app_ends_with_the_login_it_came_from(store)),
    |store| Box::pin(sso::a_suspended_app_is_unknown_until_it_is_resumed(store)),
    |store| Box::pin(sso::the_policy_is_withdrawn_with_what_apps_have(store)),
    |store| Box::pin(shares::an_invitation_is_used_once_within_its_time(store)),
    |store| Box::pin(shares::a_device_and_a_guest_have_so_many_shares_and_no_more(store)),
    |store| Box::pin(shares::taking_away_raises_the_number_and_giving_does_not(store)),
    |store| Box::pin(shares::the_clock_ends_shares_and_their_hours_once(store)),
    |store| {
        Box::pin(shares::shares_go_with_the_binding_and_the_guests_things_with_the_share(store))
    },
    |store| Box::pin(shares::the_gate_and_leases_know_a_guest(store)),
    |store| Box::pin(sealing::orders_rise_and_each_is_kept_and_told(store)),
    |store| Box::pin(sealing::a_new_key_or_owner_starts_sealed(store)),
];

const NOW: u64 = 1_000_000;

fn challenge(id: &str) -> OtpChallenge {
    OtpChallenge {
        id: ChallengeId(id.into()),
        purpose: OtpPurpose::Login,
        kind: IdentifierKind::Phone,
        target: b"number".to_vec(),
        target_enc: Vec::new(),
        account: None,
        terminal: Thumbprint([1; 32]),
        serial: String::new(),
        expires_at: NOW + 300,
    }
}

fn opening(challenge: &str, account: &str) -> SessionOpening {
    let name = |what: &str| format!("{what} of {challenge}");
    SessionOpening {
        challenge: Some(ChallengeId(challenge.into())),
        identity: None,
        amr: "otp",
        account: AccountId(account.into()),
        registration: Some(Registration {
            subject: Subject(name("subject")),
            wrapped_key: vec![1],
            found_by: FoundBy::Identifier(identifier(IdentifierKind::Phone, b"number")),
        }),
        terminal: TerminalId(name("terminal")),
        jkt: Thumbprint([1; 32]),
        terminal_name_enc: vec![3],
        client_type: "test".into(),
        session: SessionId(name("session")),
        tokens: TokenHashes {
            access: name("access").into_bytes(),
            access_expires: NOW + 300,
            refresh: name("refresh").into_bytes(),
        },
        idle_expires: NOW + 1000,
        abs_expires: NOW + 2000,
    }
}

fn identifier(kind: IdentifierKind, lookup: &[u8]) -> NewIdentifier {
    let (lookup, value_enc) = (lookup.to_vec(), vec![2]);
    NewIdentifier { kind, lookup, value_enc, method: kind.method(), held_until: 0 }
}

fn device(serial: &str) -> Device {
    Device {
        serial: Serial(serial.into()),
        name: "n".into(),
        model: "m".into(),
        kind: DeviceKind::Agent(Thumbprint([9; 32])),
        code: vec![4],
        seals: true,
        channels: 1,
    }
}

async fn account(store: &dyn Store, id: &str) -> AccountId {
    store.otp_open(&challenge("c"), &[], NOW).await.unwrap().unwrap();
    let opened = store.session_open(&opening("c", id), NOW).await.unwrap();
    assert!(matches!(opened, SessionOpened::Opened(_)));
    AccountId(id.into())
}

/// A row in each table that only grows.
pub(crate) async fn some_rows(store: &dyn Store) {
    let account = account(store, "a").await;
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    store.bind(&Serial("D".into()), &account, NOW).await.unwrap();
    let act = ConsentAct {
        account,
        subject: Subject("subject of c".into()),
        terminal: TerminalId("t".into()),
        purpose: "p".into(),
        version: 1,
        policy: None,
        granted: true,
    };
    store.consent_append(&act, NOW).await.unwrap();
}

async fn a_challenge_is_used_once_and_registers_once(store: &dyn Store) {
    account(store, "a").await;
    let again = store.session_open(&opening("c", "b"), NOW).await.unwrap();
    assert_eq!(again, SessionOpened::ChallengeUsed);
    store.otp_open(&challenge("c2"), &[], NOW).await.unwrap().unwrap();
    let taken = store.session_open(&opening("c2", "b"), NOW).await.unwrap();
    assert_eq!(taken, SessionOpened::NumberTaken);
    let known = SessionOpening { registration: None, ..opening("c2", "a") };
    let opened = store.session_open(&known, NOW).await.unwrap();
    let first = TerminalId("terminal of c".into());
    assert_eq!(
        opened,
        SessionOpened::Opened(first),
        "nothing was used up; same key, same terminal"
    );
    assert!(store.session_by_access(b"access of c2", NOW + 299).await.unwrap().is_some());
    assert!(store.session_by_access(b"access of c2", NOW + 300).await.unwrap().is_none());
}

async fn the_charges_since_a_moment_are_taken_back(store: &dyn Store) {
    let windows = vec![Window { seconds: 100, most: 2 }];
    let charge = [Charge { dimension: "d", key: vec![1], windows }];
    store.charge_back("d", &[1], NOW).await.unwrap();
    for at in [0, 10] {
        assert_eq!(store.charge(&charge, NOW + at).await.unwrap(), Ok(()));
    }
    store.charge_back("d", &[2], NOW).await.unwrap();
    assert_eq!(store.charge(&charge, NOW + 20).await.unwrap(), Err(RetryAfter(80)), "another key");
    store.charge_back("d", &[1], NOW + 10).await.unwrap();
    assert_eq!(store.charge(&charge, NOW + 30).await.unwrap(), Ok(()));
    assert_eq!(store.charge(&charge, NOW + 40).await.unwrap(), Err(RetryAfter(60)));
}

async fn limits_count_in_sliding_windows(store: &dyn Store) {
    let windows = vec![Window { seconds: 60, most: 2 }, Window { seconds: 100, most: 3 }];
    let charge = [Charge { dimension: "d", key: vec![1], windows }];
    for (at, expected) in [
        (0, Ok(())),
        (10, Ok(())),
        (20, Err(RetryAfter(40))),
        (59, Err(RetryAfter(1))),
        (60, Ok(())),
        (70, Err(RetryAfter(30))),
        (100, Ok(())),
    ] {
        assert_eq!(store.charge(&charge, NOW + at).await.unwrap(), expected, "at {at}");
    }
    let other = [Charge { key: vec![2], ..charge[0].clone() }];
    assert_eq!(store.charge(&other, NOW + 100).await.unwrap(), Ok(()));
}

async fn a_device_has_one_owner_at_a_time(store: &dyn Store) {
    let account = account(store, "a").await;
    let (serial, stranger) = (Serial("D".into()), AccountId("x".into()));
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    assert!(!store.device_add(&device("D"), NOW).await.unwrap());
    let Bound::Newly(first) = store.bind(&serial, &account, NOW).await.unwrap() else {
        panic!("not bound")
    };
    assert_eq!(store.bind(&serial, &account, NOW).await.unwrap(), Bound::Already(first));
    assert_eq!(store.bind(&serial, &stranger, NOW).await.unwrap(), Bound::Taken);
    assert_eq!(store.unbind(&serial, &stranger, NOW).await.unwrap(), None);
    let put = store.verifier_put(&serial, first.binding, &[1; 32], NOW).await.unwrap();
    assert!(matches!(put, VerifierPut::First(_)));
    let ended = store.unbind(&serial, &account, NOW).await.unwrap().unwrap();
    assert!(ended.binding > first.binding && ended.key > first.key);
    assert_eq!(store.device(&serial).await.unwrap().unwrap().verifier, None);
    let put = store.verifier_put(&serial, first.binding, &[1; 32], NOW).await.unwrap();
    assert_eq!(put, VerifierPut::OtherBinding);
}

/// Everything that is due now but of those channels.
async fn claimed(store: &dyn Store, left_out: &[&'static str]) -> Vec<OutboxEntry> {
    let mut claimed = Vec::new();
    while let Some(entry) = store.outbox_claim(left_out, NOW).await.unwrap() {
        claimed.push(entry);
    }
    claimed
}

async fn a_message_is_delivered_once(store: &dyn Store) {
    let account = account(store, "a").await;
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    store.bind(&Serial("D".into()), &account, NOW).await.unwrap();
    let claimed = claimed(store, &[]).await;
    let in_app = claimed.iter().find(|entry| entry.channel == "in_app").unwrap();
    // A sender that dies after claiming leaves the entry to the next one.
    let retried = store.outbox_claim(&[], NOW + 10).await.unwrap().unwrap();
    assert_eq!(retried.attempts, 2);
    assert!(store.outbox_deliver(in_app.id, NOW).await.unwrap());
    assert!(!store.outbox_deliver(in_app.id, NOW).await.unwrap());
    let messages = store.messages(&account, 10).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert!(store.messages_before(&account, messages[0].id, 10).await.unwrap().is_empty());
}

async fn a_channel_that_is_left_out_is_not_claimed_and_stays_due(store: &dyn Store) {
    let account = account(store, "a").await;
    assert!(store.device_add(&device("D"), NOW).await.unwrap());
    store.bind(&Serial("D".into()), &account, NOW).await.unwrap();
    assert!(claimed(store, &["in_app", "sms"]).await.is_empty());
    let others = claimed(store, &["in_app", "mail"]).await;
    assert!(!others.is_empty() && others.iter().all(|entry| entry.channel == "sms"));
    let left = claimed(store, &[]).await;
    assert!(!left.is_empty() && left.iter().all(|entry| entry.channel == "in_app"));
    assert!(left.iter().all(|entry| entry.attempts == 1), "leaving out is no attempt");
}

async fn a_key_challenge_is_taken_once_by_its_session(store: &dyn Store) {
    account(store, "a").await;
    let session = SessionId("session of c".into());
    let challenge = KeyChallenge {
        id: ChallengeId("k".into()),
        session: session.clone(),
        serial: Serial("D".into()),
        channel: 0,
        jkt: Thumbprint([1; 32]),
        nonce: "n".into(),
        expires_at: NOW + 10,
    };
    store.key_challenge_open(&challenge).await.unwrap();
    let id = &challenge.id;
    let other = SessionId("other".into());
    assert!(store.key_challenge_take(id, &other, NOW).await.unwrap().is_none());
    assert!(store.key_challenge_take(id, &session, NOW + 11).await.unwrap().is_none());
    assert!(store.key_challenge_take(id, &session, NOW + 10).await.unwrap().is_some());
    assert!(store.key_challenge_take(id, &session, NOW).await.unwrap().is_none());
}
