//! Identifiers, passwords, guesses and secure windows.

use super::*;
use crate::limits::{GUESS_CLOSED_SECS, GUESS_QUIET_SECS, GUESSES_IN_ALL, GUESSES_PER_LOCK};

const HOUR: [Window; 1] = [Window { seconds: 3600, most: 1000 }];

async fn change(store: &dyn Store, account: &AccountId, id: &str, lookup: &[u8]) -> IdentifierPut {
    let challenge = OtpChallenge {
        purpose: OtpPurpose::Identifier,
        account: Some(account.clone()),
        target: lookup.to_vec(),
        kind: IdentifierKind::Email,
        ..challenge(id)
    };
    store.otp_open(&challenge, &[], NOW).await.unwrap().unwrap();
    let change = IdentifierChange {
        account: account.clone(),
        challenge: challenge.id,
        new: identifier(IdentifierKind::Email, lookup),
        notices: Vec::new(),
    };
    store.identifier_put(&change, NOW).await.unwrap()
}

pub(super) async fn an_identifier_is_one_accounts_alone(store: &dyn Store) {
    let first = account(store, "a").await;
    assert_eq!(change(store, &first, "i1", b"mail").await, IdentifierPut::Done);
    let known = store.identifiers(&first).await.unwrap();
    let kinds: Vec<_> = known.iter().map(|known| known.kind).collect();
    assert_eq!(kinds, [IdentifierKind::Phone, IdentifierKind::Email]);

    let other = OtpChallenge { target: b"other".to_vec(), ..challenge("c2") };
    store.otp_open(&other, &[], NOW).await.unwrap().unwrap();
    let registration = Registration {
        subject: Subject("other".into()),
        wrapped_key: vec![1],
        found_by: FoundBy::Identifier(identifier(IdentifierKind::Phone, b"other")),
    };
    let opening = SessionOpening { registration: Some(registration), ..opening("c2", "b") };
    store.session_open(&opening, NOW).await.unwrap();
    let second = AccountId("b".into());
    assert_eq!(change(store, &second, "i2", b"mail").await, IdentifierPut::Taken);
    assert_eq!(store.identifiers(&second).await.unwrap().len(), 1);

    assert_eq!(change(store, &first, "i3", b"new mail").await, IdentifierPut::Done);
    assert!(store.account_by_lookup(b"mail").await.unwrap().is_none(), "replaced");
    assert_eq!(change(store, &second, "i4", b"mail").await, IdentifierPut::Done);
    assert_eq!(store.account_by_lookup(b"mail").await.unwrap().unwrap().id, second);
    let used = IdentifierChange {
        account: second,
        challenge: ChallengeId("i4".into()),
        new: identifier(IdentifierKind::Email, b"mail"),
        notices: Vec::new(),
    };
    assert_eq!(store.identifier_put(&used, NOW).await.unwrap(), IdentifierPut::ChallengeUsed);
}

pub(super) async fn the_last_identifier_stays(store: &dyn Store) {
    let account = account(store, "a").await;
    let remove = async |kind| store.identifier_remove(&account, kind, &[], NOW).await.unwrap();
    assert_eq!(remove(IdentifierKind::Email).await, IdentifierRemoved::Unknown);
    assert_eq!(remove(IdentifierKind::Phone).await, IdentifierRemoved::Last);
    assert_eq!(change(store, &account, "i", b"mail").await, IdentifierPut::Done);
    assert_eq!(remove(IdentifierKind::Phone).await, IdentifierRemoved::Done);
    assert_eq!(remove(IdentifierKind::Email).await, IdentifierRemoved::Last);
    assert!(store.account_by_lookup(b"number").await.unwrap().is_none());
    assert!(store.account(&account).await.unwrap().is_some(), "an account without a number");
}

fn password(account: &AccountId, phc: &str) -> NewPassword {
    NewPassword {
        account: account.clone(),
        phc: phc.into(),
        alone: true,
        challenge: None,
        keep: None,
        terminal: None,
        notices: Vec::new(),
    }
}

pub(super) async fn a_new_password_ends_the_other_logins(store: &dyn Store) {
    let account = account(store, "a").await;
    store.otp_open(&challenge("c2"), &[], NOW).await.unwrap().unwrap();
    let second = SessionOpening { registration: None, ..opening("c2", "a") };
    store.session_open(&second, NOW).await.unwrap();
    let (first, second) = (SessionId("session of c".into()), second.session);
    let kept = NewPassword { keep: Some(second.clone()), ..password(&account, "one") };
    assert_eq!(store.password_put(&kept, NOW).await.unwrap(), PasswordPut::Done(vec![first]));
    assert!(store.session_by_access(b"access of c", NOW).await.unwrap().is_none());
    assert!(store.session_by_access(b"access of c2", NOW).await.unwrap().is_some());

    let reset = OtpChallenge { purpose: OtpPurpose::Reset, ..challenge("r") };
    store.otp_open(&reset, &[], NOW).await.unwrap().unwrap();
    let by_code = NewPassword { challenge: Some(reset.id), ..password(&account, "two") };
    assert_eq!(store.password_put(&by_code, NOW).await.unwrap(), PasswordPut::Done(vec![second]));
    let again = NewPassword { phc: "three".into(), ..by_code };
    assert_eq!(store.password_put(&again, NOW).await.unwrap(), PasswordPut::ChallengeUsed);
    assert_eq!(store.password(&account).await.unwrap().unwrap().phc, "two");
}

pub(super) async fn a_new_password_makes_other_terminals_unknown(store: &dyn Store) {
    let account = account(store, "a").await;
    let sign_in = async |id: &str, jkt: u8| {
        store.otp_open(&challenge(id), &[], NOW).await.unwrap().unwrap();
        let again =
            SessionOpening { registration: None, jkt: Thumbprint([jkt; 32]), ..opening(id, "a") };
        store.session_open(&again, NOW).await.unwrap();
        again.session
    };
    let knows = async |jkt: u8| {
        let entry = store.entry(b"number", Thumbprint([jkt; 32])).await.unwrap();
        entry.unwrap().known_terminal
    };
    let kept = sign_in("c2", 2).await;
    assert!(knows(1).await && knows(2).await);
    let changed = NewPassword { keep: Some(kept), ..password(&account, "one") };
    store.password_put(&changed, NOW).await.unwrap();
    assert!(!knows(1).await && knows(2).await);
    sign_in("c3", 1).await;
    let first = TerminalId("terminal of c".into());
    assert!(knows(1).await);
    let terminals = store.terminals(&account).await.unwrap();
    assert!(terminals.iter().any(|terminal| terminal.id == first), "it is the same one");
    store.password_put(&password(&account, "two"), NOW).await.unwrap();
    assert!(!knows(1).await && !knows(2).await, "nothing is kept");
}

pub(super) async fn a_rehash_replaces_only_what_it_was_made_from(store: &dyn Store) {
    let account = account(store, "a").await;
    store.password_put(&password(&account, "one"), NOW).await.unwrap();
    store.password_rehash(&account, "zero", "two").await.unwrap();
    assert_eq!(store.password(&account).await.unwrap().unwrap().phc, "one");
    store.password_rehash(&account, "one", "two").await.unwrap();
    assert_eq!(store.password(&account).await.unwrap().unwrap().phc, "two");
}

pub(super) async fn guesses_lock_in_steps_and_close_at_a_hundred(store: &dyn Store) {
    let guess = async |at| store.guess_count(GuessKind::Code, b"k", &HOUR, NOW + at).await.unwrap();
    let (mut at, mut counted, mut waits) = (0, 0, Vec::new());
    let closed = loop {
        match guess(at).await {
            Guess::Counted => counted += 1,
            Guess::Locked(wait) => {
                waits.push((counted, wait.0 / 60));
                at += wait.0;
            }
            Guess::Closed(wait) => break wait.0,
        }
    };
    assert_eq!((counted, closed), (GUESSES_IN_ALL, GUESS_CLOSED_SECS));
    let steps: Vec<_> = [1, 2, 4, 8, 16, 32, 60, 60].into_iter().collect();
    let expected: Vec<_> =
        (1..).zip(&steps).map(|(n, wait)| (n * GUESSES_PER_LOCK, *wait)).collect();
    assert_eq!(waits[..steps.len()], expected);
    let other = store.guess_count(GuessKind::Password, b"k", &HOUR, NOW + at).await.unwrap();
    assert_eq!(other, Guess::Counted, "another kind");
    assert!(matches!(guess(at + GUESS_CLOSED_SECS - 1).await, Guess::Closed(_)));
    assert_eq!(guess(at + GUESS_CLOSED_SECS).await, Guess::Counted, "a day later it begins anew");

    at += 2 * GUESS_CLOSED_SECS;
    for _ in 0..GUESSES_PER_LOCK {
        assert_eq!(guess(at).await, Guess::Counted);
    }
    assert_eq!(guess(at).await, Guess::Locked(RetryAfter(60)));
    store.guess_right(GuessKind::Code, b"k").await.unwrap();
    assert_eq!(guess(at).await, Guess::Counted, "whoever was right has all guesses again");

    for (key, pause, forgets) in
        [(b"q", GUESS_QUIET_SECS - 1, false), (b"r", GUESS_QUIET_SECS, true)]
    {
        let guess =
            async |at| store.guess_count(GuessKind::Code, key, &HOUR, NOW + at).await.unwrap();
        for _ in 1..GUESSES_PER_LOCK {
            assert_eq!(guess(0).await, Guess::Counted);
        }
        assert_eq!(guess(pause).await, Guess::Counted);
        let begun_anew = guess(pause).await == Guess::Counted;
        assert_eq!(begun_anew, forgets, "after {pause} s without guesses");
    }

    let narrow = [Window { seconds: 3600, most: 2 }];
    let hourly =
        async |at| store.guess_count(GuessKind::Password, b"h", &narrow, NOW + at).await.unwrap();
    assert_eq!((hourly(0).await, hourly(0).await), (Guess::Counted, Guess::Counted));
    assert_eq!(hourly(0).await, Guess::Locked(RetryAfter(3600)));
    assert_eq!(hourly(3600).await, Guess::Counted);
}

pub(super) async fn a_secure_window_belongs_to_its_login(store: &dyn Store) {
    let account = account(store, "a").await;
    let session = SessionId("session of c".into());
    let window = SecureWindow {
        session: session.clone(),
        account,
        challenge: None,
        method: "password",
        expires: NOW + 10,
    };
    assert!(store.secure_open(&window, NOW).await.unwrap());
    assert_eq!(store.secure_until(&session, NOW + 9).await.unwrap(), Some(NOW + 10));
    assert_eq!(store.secure_until(&session, NOW + 10).await.unwrap(), None);
    assert_eq!(store.secure_until(&SessionId("x".into()), NOW).await.unwrap(), None);
    let used = SecureWindow { challenge: Some(ChallengeId("c".into())), ..window.clone() };
    assert!(!store.secure_open(&used, NOW).await.unwrap(), "a used challenge");
    store.session_revoke(&session, NOW).await.unwrap();
    assert_eq!(store.secure_until(&session, NOW).await.unwrap(), None);
    assert!(!store.secure_open(&window, NOW).await.unwrap(), "a login that is over");
}

pub(super) async fn an_entry_tells_what_signing_in_looks_at(store: &dyn Store) {
    let own = Thumbprint([1; 32]);
    assert!(store.entry(b"number", own).await.unwrap().is_none());
    let account = account(store, "a").await;
    let entry = store.entry(b"number", own).await.unwrap().unwrap();
    assert!(entry.known_terminal && entry.password.is_none());
    assert_eq!((entry.last_seen, entry.identifiers, entry.held_until), (NOW, 1, 0));
    assert!(!store.entry(b"number", Thumbprint([2; 32])).await.unwrap().unwrap().known_terminal);
    store.password_put(&password(&account, "one"), NOW).await.unwrap();
    let stored = StoredPassword { phc: "one".into(), alone: true, changed_at: NOW };
    assert_eq!(store.entry(b"number", own).await.unwrap().unwrap().password, Some(stored));
    let terminal = TerminalId("terminal of c".into());
    store.terminal_revoke(&account, &terminal, NOW).await.unwrap();
    assert!(!store.entry(b"number", own).await.unwrap().unwrap().known_terminal, "signed out");
}
