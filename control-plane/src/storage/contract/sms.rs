//! The budget of text messages.

use std::collections::BTreeMap;

use super::challenge;
use crate::limits::{SMS_DECISIONS_SECS, SMS_PAIR_SECS};
use crate::sms::budget::{self, Ask, Counts, Policy, Verdict};
use crate::storage::Store;
use crate::storage::model::{Delivery, OtpBinding, OtpChallenge, OtpPurpose, SmsAsk, SmsOpened};

/// Late enough to look back on what has outlived its time.
const NOW: u64 = 100_000_000;

fn ask(number: u8, terminal: u8) -> SmsAsk {
    SmsAsk {
        number: vec![number],
        prefix: vec![0],
        network: vec![1],
        terminal: vec![2, terminal],
        account: None,
        dial: 86,
        worked: true,
    }
}

fn wish(id: &str, number: u8) -> OtpChallenge {
    OtpChallenge { target: vec![number], ..challenge(id) }
}

/// Opens; whether a message goes, and under which challenge.
async fn open(store: &dyn Store, id: &str, ask: &SmsAsk, now: u64) -> (String, bool) {
    let challenge = OtpChallenge { expires_at: now + 300, ..wish(id, ask.number[0]) };
    let opened = store.sms_open(&challenge, ask, &Policy::default(), now).await.unwrap();
    let SmsOpened::Open { challenge, held, .. } = opened else { panic!("{opened:?}") };
    (challenge.0, held.is_none())
}

/// The store's verdicts on a run of wishes are those of the core on counts kept in memory.
pub(super) async fn the_store_decides_as_the_core_does(store: &dyn Store) {
    let policy = Policy::default();
    let mut counts: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
    let mut buckets = BTreeMap::new();
    for step in 0..120u64 {
        let now = NOW + step * 37;
        let number = u8::try_from(step % 23).unwrap();
        let ask = SmsAsk { worked: step % 3 != 0, ..ask(number, u8::try_from(step).unwrap()) };
        // The bucket of the terminal is another one each time.
        buckets.remove(&budget::Dimension::Terminal);
        let recent = counts.entry(number).or_default();
        // Nobody is trusted and nobody answers.
        let strangers = recent.clone();
        let facts = Counts { recent: recent.clone(), strangers, buckets: buckets.clone() };
        let wish = Ask { of_account: false, known_pair: false, worked: ask.worked, dial: 86 };
        let expected = budget::decide(&policy, &facts, &wish, now);
        buckets.extend(expected.buckets.iter().copied());
        let opened = store
            .sms_open(
                &OtpChallenge { target: vec![number], ..challenge(&format!("s{step}")) },
                &ask,
                &policy,
                now,
            )
            .await
            .unwrap();
        match (expected.verdict, opened) {
            (Verdict::Send(at), SmsOpened::Open { held: None, .. }) => recent.insert(0, at),
            (Verdict::Hold(why), SmsOpened::Open { held: Some(held), cost: 0, .. }) => {
                assert_eq!(held, why.as_str());
            }
            (Verdict::Work(wanted), SmsOpened::Work(bits)) => assert_eq!(wanted, bits),
            (expected, opened) => panic!("step {step}: {expected:?} and {opened:?}"),
        }
    }
    let decided = store.sms_decisions(200).await.unwrap();
    let held = decided.iter().filter(|decision| decision.decision == "held").count();
    assert!(held > 0 && held < decided.len());
    assert!(decided.iter().all(|one| (one.decision == "held") == (one.cost == 0)));
}

pub(super) async fn an_answer_gives_places_back_once_and_makes_the_pair_known(store: &dyn Store) {
    let policy = Policy::default();
    let (first, sent) = open(store, "a", &ask(1, 1), NOW).await;
    assert!(sent);
    let again = store.sms_open(&wish("b", 1), &ask(1, 1), &policy, NOW + 59).await.unwrap();
    assert_eq!(again, SmsOpened::Again(1), "the same terminal and number");
    let id = crate::ids::ChallengeId(first.clone());
    assert!(store.sms_answered(&id, &policy, NOW + 30).await.unwrap());
    assert!(!store.sms_answered(&id, &policy, NOW + 30).await.unwrap(), "once");
    for n in 2..60 {
        open(store, &format!("c{n}"), &ask(n, n), NOW + 60).await;
    }
    let (dead, sent) = open(store, "d", &ask(100, 100), NOW + 60).await;
    assert!(!sent, "the prefix is empty");
    let binding =
        OtpBinding { purpose: OtpPurpose::Login, terminal: challenge("d").terminal, account: None };
    let dead = crate::ids::ChallengeId(dead);
    let tried = store.otp_count_try(&dead, &binding, NOW + 61).await.unwrap();
    assert!(tried.is_none(), "what was not sent cannot be guessed");
    let (known, sent) = open(store, "e", &ask(1, 1), NOW + 60).await;
    assert!(sent, "a known pair");
    assert_eq!(known, first, "the live challenge of the first message");
    let tried = store.otp_count_try(&id, &binding, NOW + 61).await.unwrap();
    assert!(tried.is_some());
}

pub(super) async fn strangers_share_a_part_of_a_number_until_they_answer(store: &dyn Store) {
    // Later than the life of a code each time, so that each has a challenge of its own.
    let later = |n: u64| NOW + n * 301;
    let (first, sent) = open(store, "a", &ask(1, 1), later(0)).await;
    assert!(sent);
    assert!(open(store, "b", &ask(1, 2), later(1)).await.1);
    assert!(!open(store, "c", &ask(1, 3), later(2)).await.1, "their part is full");
    let own = SmsAsk { account: Some(vec![9]), ..ask(1, 4) };
    assert!(open(store, "d", &own, later(2)).await.1, "the account itself");
    let first = crate::ids::ChallengeId(first);
    assert!(store.sms_answered(&first, &Policy::default(), later(2)).await.unwrap());
    assert!(open(store, "e", &ask(1, 5), later(3)).await.1, "the place of what is answered");
    assert!(!open(store, "f", &ask(1, 6), later(4)).await.1);
}

pub(super) async fn a_message_is_handed_over_once(store: &dyn Store) {
    open(store, "a", &ask(1, 1), NOW).await;
    let entry = store.outbox_claim(&[], NOW).await.unwrap().expect("a message");
    let moved = |from, to| store.sms_delivery(entry.id, from, to);
    assert!(moved(Delivery::Queued, Delivery::Sending).await.unwrap());
    assert!(!moved(Delivery::Queued, Delivery::Sending).await.unwrap(), "by one at a time");
    assert!(moved(Delivery::Sending, Delivery::Sent).await.unwrap());
    assert_eq!(store.sms_decisions(1).await.unwrap()[0].delivery, "sent");
    assert!(store.sms_delivery(entry.id + 1, Delivery::Queued, Delivery::Sending).await.unwrap());
    for n in 2..60 {
        open(store, &format!("c{n}"), &ask(n, n), NOW).await;
    }
    let mut waiting = 0;
    while store.outbox_claim(&[], NOW).await.unwrap().is_some() {
        waiting += 1;
    }
    assert_eq!(waiting, Policy::default().prefix.most - 1, "held messages are not in the queue");
}

pub(super) async fn decisions_and_pairs_go_after_their_time(store: &dyn Store) {
    let (id, _) = open(store, "a", &ask(1, 1), NOW).await;
    let policy = Policy::default();
    store.sms_answered(&crate::ids::ChallengeId(id), &policy, NOW).await.unwrap();
    store.purge(NOW + SMS_DECISIONS_SECS - 1).await.unwrap();
    assert_eq!(store.sms_decisions(9).await.unwrap().len(), 1);
    store.purge(NOW + SMS_DECISIONS_SECS).await.unwrap();
    assert_eq!(store.sms_decisions(9).await.unwrap().len(), 0);
    let later = NOW + SMS_PAIR_SECS - 1;
    for n in 2..60 {
        open(store, &format!("c{n}"), &ask(n, n), later).await;
    }
    assert!(open(store, "d", &ask(1, 1), later).await.1, "still known");
    assert!(!open(store, "e", &ask(1, 1), later + 60).await.1, "known no more");
}
