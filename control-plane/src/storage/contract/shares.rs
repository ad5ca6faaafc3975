//! Shares: invitations, guests, numbers that rise, and every way in which they end.

use super::mailbox::{AUTH, bind, bound, owner, serial};
use super::*;
use crate::ids::ShareId;
use crate::share::schedule::Schedule;
use crate::share::scopes::{ShareScope, ShareScopes};

const INVITE_END: u64 = NOW + 500;
/// After everything that these checks do.
const LATER: u64 = NOW + 1_000_000;

/// Signs an account in whose number and ids begin with `name`.
async fn person(store: &dyn Store, name: &str) -> AccountId {
    let number = name.as_bytes().to_vec();
    let opened = OtpChallenge { target: number.clone(), ..challenge(name) };
    store.otp_open(&opened, &[], NOW).await.unwrap().unwrap();
    let mut opening = opening(name, name);
    let identifier = identifier(IdentifierKind::Phone, &number);
    opening.registration.as_mut().unwrap().found_by = FoundBy::Identifier(identifier);
    let opened = store.session_open(&opening, NOW).await.unwrap();
    assert!(matches!(opened, SessionOpened::Opened(_)));
    AccountId(name.into())
}

fn terms(scopes: &[ShareScope]) -> ShareTerms {
    ShareTerms { scopes: ShareScopes::of(scopes), channels: None, schedule: None, ends_at: None }
}

fn attested() -> Attested {
    let (subject, terminal) = (Subject("s".into()), TerminalId("t".into()));
    Attested { subject, terminal, version: 1, text_hash: vec![1] }
}

fn invite(id: &str, terms: ShareTerms) -> NewInvite {
    NewInvite {
        id: ShareId(id.into()),
        serial: serial(),
        owner: owner(),
        code: id.as_bytes().to_vec(),
        terms,
        label_enc: vec![5],
        attested: attested(),
        expires: INVITE_END,
    }
}

async fn accept(store: &dyn Store, code: &str, guest: &AccountId, now: u64) -> Accepted {
    let acceptance = Acceptance {
        code: code.as_bytes().to_vec(),
        guest: guest.clone(),
        attested: attested(),
        most: 2,
    };
    store.share_accept(&acceptance, now).await.unwrap()
}

/// A share of the owner's device with a guest.
async fn shared(store: &dyn Store, id: &str, guest: &AccountId, terms: ShareTerms) -> Share {
    let made = store.share_invite(&invite(id, terms), 10, NOW).await.unwrap();
    assert_eq!(made, Invited::Made);
    match accept(store, id, guest, NOW).await {
        Accepted::Shared(share) => *share,
        other => panic!("{other:?}"),
    }
}

/// Mondays from a time on until 14:00. [`NOW`] is a Monday, 13:46:40 UTC.
fn mondays(from: &str) -> Schedule {
    let window = serde_json::json!({ "days": ["mon"], "from": from, "to": "14:00" });
    let text = serde_json::json!({ "utc_offset_minutes": 0, "windows": [window] });
    serde_json::from_value(text).unwrap()
}

async fn kinds(store: &dyn Store, account: &AccountId) -> Vec<String> {
    while let Some(entry) = store.outbox_claim(&[], LATER).await.unwrap() {
        store.outbox_deliver(entry.id, LATER).await.unwrap();
        store.outbox_done(entry.id, LATER).await.unwrap();
    }
    let all = store.messages(account, 100).await.unwrap();
    all.into_iter().map(|message| message.kind).collect()
}

pub(super) async fn an_invitation_is_used_once_within_its_time(store: &dyn Store) {
    bound(store).await;
    let (guest, other) = (person(store, "g").await, person(store, "o").await);
    let new = invite("i", terms(&[ShareScope::View]));
    let stranger = NewInvite { owner: other.clone(), ..new.clone() };
    assert_eq!(store.share_invite(&stranger, 10, NOW).await.unwrap(), Invited::NotOwner);
    assert_eq!(store.share_invite(&new, 10, NOW).await.unwrap(), Invited::Made);
    assert!(store.share_by_code(b"i", INVITE_END - 1).await.unwrap().is_some());
    assert!(store.share_by_code(b"i", INVITE_END).await.unwrap().is_none());
    assert_eq!(accept(store, "i", &owner(), NOW).await, Accepted::OwnDevice);
    assert_eq!(accept(store, "i", &guest, INVITE_END).await, Accepted::Unknown);
    assert_eq!(accept(store, "x", &guest, NOW).await, Accepted::Unknown);
    assert!(matches!(accept(store, "i", &guest, INVITE_END - 1).await, Accepted::Shared(_)));
    assert_eq!(accept(store, "i", &other, NOW).await, Accepted::Unknown, "used");
    assert!(store.share_by_code(b"i", NOW).await.unwrap().is_none());
    assert!(store.share_with(&serial(), &guest, NOW).await.unwrap().is_some());
    assert!(store.share_with(&serial(), &other, NOW).await.unwrap().is_none());
    assert_eq!(kinds(store, &owner()).await[..2], ["share_accepted", "share_invited"]);
    assert_eq!(store.shares_of_device(&guest, &serial(), NOW).await.unwrap(), None);
    let seen = store.shares_of_device(&owner(), &serial(), NOW).await.unwrap().unwrap();
    assert_eq!((seen.len(), seen[0].guest.as_ref()), (1, Some(&guest)));
    assert_eq!(store.share_counts(&owner(), NOW).await.unwrap(), [(serial(), 1)]);
}

pub(super) async fn a_device_and_a_guest_have_so_many_shares_and_no_more(store: &dyn Store) {
    bound(store).await;
    let guest = person(store, "g").await;
    for id in ["1", "2"] {
        let new = invite(id, terms(&[ShareScope::View]));
        assert_eq!(store.share_invite(&new, 2, NOW).await.unwrap(), Invited::Made);
    }
    let third = invite("3", terms(&[ShareScope::View]));
    assert_eq!(store.share_invite(&third, 2, NOW).await.unwrap(), Invited::Full);
    assert!(matches!(accept(store, "1", &guest, NOW).await, Accepted::Shared(_)));
    assert_eq!(accept(store, "2", &guest, NOW).await, Accepted::Already);
    assert!(store.share_by_code(b"2", NOW).await.unwrap().is_some(), "nothing was used up");
    let later = NewInvite { expires: INVITE_END + 500, ..third };
    let made = store.share_invite(&later, 2, INVITE_END).await.unwrap();
    assert_eq!(made, Invited::Made, "an invitation that is over counts no more");

    for (id, name) in [("4", "E"), ("5", "F")] {
        let other =
            Device { kind: DeviceKind::Agent(Thumbprint([id.as_bytes()[0]; 32])), ..device(name) };
        assert!(store.device_add(&other, NOW).await.unwrap());
        store.bind(&Serial(name.into()), &owner(), NOW).await.unwrap();
        let new =
            NewInvite { serial: Serial(name.into()), ..invite(id, terms(&[ShareScope::View])) };
        assert_eq!(store.share_invite(&new, 2, NOW).await.unwrap(), Invited::Made);
    }
    assert!(matches!(accept(store, "4", &guest, NOW).await, Accepted::Shared(_)));
    assert_eq!(accept(store, "5", &guest, NOW).await, Accepted::Full);
    assert_eq!(store.shares_of_guest(&guest, NOW).await.unwrap().len(), 2);
}

pub(super) async fn taking_away_raises_the_number_and_giving_does_not(store: &dyn Store) {
    bound(store).await;
    let guest = person(store, "g").await;
    let share = shared(store, "i", &guest, terms(&[ShareScope::View, ShareScope::Talk])).await;
    let mut number = share.number;
    let scopes = |list: &[ShareScope]| ShareChange {
        scopes: Some(ShareScopes::of(list)),
        ..ShareChange::default()
    };
    let ends = |at: Option<u64>| ShareChange { ends_at: Some(at), ..ShareChange::default() };
    let hours = |from: Option<&str>| ShareChange {
        schedule: Some(from.map(mondays)),
        ..ShareChange::default()
    };
    let channels =
        |list: Option<Vec<u16>>| ShareChange { channels: Some(list), ..ShareChange::default() };
    for (what, change, takes) in [
        ("the same", ShareChange::default(), false),
        ("a scope less", scopes(&[ShareScope::View]), true),
        ("a scope more", scopes(&[ShareScope::View, ShareScope::Ptz]), false),
        ("another scope", scopes(&[ShareScope::View, ShareScope::Talk]), true),
        ("an end", ends(Some(NOW + 500)), false),
        ("a sooner end", ends(Some(NOW + 400)), false),
        ("hours of now", hours(Some("13:00")), false),
        ("hours of later", hours(Some("20:00")), true),
        ("hours of now again", hours(Some("13:00")), false),
        ("all hours", hours(None), false),
        ("no end", ends(None), false),
        ("one channel", channels(Some(vec![0])), true),
        ("all channels", channels(None), false),
    ] {
        let changed = store.share_change(&owner(), &serial(), &share.id, &change, NOW).await;
        let ShareChanged::Changed(now, cut) = changed.unwrap() else { panic!("{what}") };
        assert_eq!((now.number > number, cut.is_some()), (takes, takes), "{what}");
        if let Some(cut) = cut {
            assert_eq!((cut.epoch, cut.subject.as_str()), (now.number, "subject of g"), "{what}");
        }
        number = now.number;
    }
    assert!(kinds(store, &guest).await.contains(&"share_changed".to_owned()));
    let id = &share.id;
    let none = ShareChange::default();
    for (account, device) in [(&guest, serial()), (&owner(), Serial("E".into()))] {
        let changed = store.share_change(account, &device, id, &none, NOW).await.unwrap();
        assert_eq!(changed, ShareChanged::Unknown);
    }
}

pub(super) async fn the_clock_ends_shares_and_their_hours_once(store: &dyn Store) {
    const DAY: u64 = 24 * 3600;
    bound(store).await;
    let (guest, other) = (person(store, "g").await, person(store, "o").await);
    let end = NOW + 3 * DAY;
    let limited = ShareTerms { ends_at: Some(end), ..terms(&[ShareScope::View]) };
    let first = shared(store, "i", &guest, limited).await;
    let hours = mondays("13:00");
    assert!(hours.is_open(NOW));
    let close = NOW + 800;
    let scheduled = ShareTerms { schedule: Some(hours), ..terms(&[ShareScope::View]) };
    let second = shared(store, "j", &other, scheduled).await;
    assert_eq!(store.shares_due(close - 1).await.unwrap(), []);
    let cuts = store.shares_due(close).await.unwrap();
    assert_eq!((cuts.len(), cuts[0].subject.as_str()), (1, "subject of o"));
    let after = store.share_with(&serial(), &other, close).await.unwrap().unwrap();
    assert_eq!((after.number, after.number > second.number), (cuts[0].epoch, true));
    assert_eq!(store.shares_due(close).await.unwrap(), [], "once");

    assert_eq!(store.shares_due(end - DAY - 1).await.unwrap(), []);
    assert!(!kinds(store, &guest).await.contains(&"share_expiring".to_owned()));
    for _ in 0..2 {
        store.shares_due(end - DAY).await.unwrap();
    }
    let told = kinds(store, &guest).await;
    assert_eq!(told.iter().filter(|kind| *kind == "share_expiring").count(), 1);
    assert!(store.share_with(&serial(), &guest, end - 1).await.unwrap().is_some());
    assert!(store.share_with(&serial(), &guest, end).await.unwrap().is_none(), "before any look");
    let cuts = store.shares_due(end).await.unwrap();
    let cut = ShareCut {
        serial: serial(),
        subject: Subject("subject of g".into()),
        epoch: first.number + 1,
    };
    assert_eq!(cuts, [cut]);
    assert!(kinds(store, &guest).await.contains(&"share_ended".to_owned()));
    assert!(kinds(store, &owner()).await.contains(&"share_ended".to_owned()));
}

pub(super) async fn shares_go_with_the_binding_and_the_guests_things_with_the_share(
    store: &dyn Store,
) {
    let epoch = bound(store).await;
    let guest = person(store, "g").await;
    let share = shared(store, "i", &guest, terms(&[ShareScope::View])).await;
    prove(store, &guest, epoch, 1).await;
    let known = facts(store, "g", NOW).await;
    assert!(known.shared.is_some() && known.key_proof.is_some() && known.proof_by_terminal);
    assert_eq!(
        store.share_end(&share.id, EndedBy::Guest(&owner()), NOW).await.unwrap(),
        ShareEnded::Unknown
    );
    let (elsewhere, mine) = (Serial("E".into()), serial());
    let account = owner();
    let wrong = EndedBy::Owner(&account, &elsewhere);
    assert_eq!(store.share_end(&share.id, wrong, NOW).await.unwrap(), ShareEnded::Unknown);
    let ended = store.share_end(&share.id, EndedBy::Owner(&account, &mine), NOW).await.unwrap();
    let ShareEnded::Ended(Some(cut)) = ended else { panic!("{ended:?}") };
    assert_eq!(cut.epoch, share.number + 1);
    assert!(kinds(store, &guest).await.contains(&"share_revoked".to_owned()));

    // Shared anew: nothing of the first time is there, and the number is not below what was ended.
    let again = shared(store, "j", &guest, terms(&[ShareScope::View])).await;
    assert!(again.number >= cut.epoch);
    let after = facts(store, "g", NOW).await;
    assert_eq!((after.key_proof, after.window_idle_expires), (None, None));
    let left = store.share_end(&again.id, EndedBy::Guest(&guest), NOW).await.unwrap();
    assert!(matches!(left, ShareEnded::Ended(Some(_))));
    assert!(kinds(store, &owner()).await.contains(&"share_left".to_owned()));

    let third = shared(store, "k", &guest, terms(&[ShareScope::View])).await;
    store.share_invite(&invite("l", terms(&[ShareScope::View])), 10, NOW).await.unwrap();
    store.unbind(&serial(), &owner(), NOW).await.unwrap().unwrap();
    assert!(store.share_with(&serial(), &guest, NOW).await.unwrap().is_none());
    bind(store, &owner()).await;
    assert_eq!(store.shares_of_device(&owner(), &serial(), NOW).await.unwrap(), Some(vec![]));
    assert_eq!(accept(store, "l", &guest, NOW).await, Accepted::Unknown);
    let fourth = shared(store, "m", &guest, terms(&[ShareScope::View])).await;
    assert!(fourth.number > third.number);
    store.account_erase(&guest, NOW).await.unwrap().unwrap();
    assert_eq!(store.shares_of_device(&owner(), &serial(), NOW).await.unwrap(), Some(vec![]));
}

pub(super) async fn the_gate_and_leases_know_a_guest(store: &dyn Store) {
    let epoch = bound(store).await;
    let guest = person(store, "g").await;
    let stranger = facts(store, "g", NOW).await;
    assert!(stranger.bound.is_none() && stranger.shared.is_none());
    let limited = ShareTerms { ends_at: Some(NOW + 300), ..terms(&[ShareScope::View]) };
    let share = shared(store, "i", &guest, limited).await;
    prove(store, &guest, epoch, 1).await;
    let seen = facts(store, "g", NOW).await;
    let known = seen.shared.as_ref().expect("shared");
    assert_eq!((known.number, &known.terms), (share.number, &share.terms));
    assert_eq!((seen.bound, known.channels, seen.proof_scopes), (None, 1, 3));
    let owners = facts(store, "c", NOW).await;
    assert!(owners.bound.is_some() && owners.shared.is_none());

    let lease = |number| LeaseFacts {
        subject: "subject of g".into(),
        session: "session of g".into(),
        serial: "D".into(),
        epochs: sightline_grant::Epochs {
            binding: known.epochs.binding,
            key: known.epochs.key,
            share: number,
            consent: 0,
            session: 0,
            proof: seen.key_proof.expect("proven"),
        },
    };
    let live = async |number, now| store.leases_live(&[lease(number)], now).await.unwrap()[0];
    assert!(live(share.number, NOW).await && live(share.number, NOW + 299).await);
    assert!(!live(share.number, NOW + 300).await, "over, before the clock has ended it");
    assert!(!live(share.number + 1, NOW).await && !live(0, NOW).await, "a guest is no owner");
    let session = SessionId("session of g".into());
    let spend = async |now| store.step_up_spend(&session, &serial(), now).await.unwrap();
    assert!(!spend(NOW + 900).await, "the window is closed by then");
    assert!(spend(NOW).await && !spend(NOW).await, "it lets one session in");
    assert!(live(share.number, NOW).await, "which goes on");
    assert!(facts(store, "g", NOW + 299).await.shared.is_some());
    let account = owner();
    store.share_end(&share.id, EndedBy::Owner(&account, &serial()), NOW).await.unwrap();
    assert!(!live(share.number, NOW).await);
    assert!(facts(store, "g", NOW).await.shared.is_none());
}

/// What the gate knows of the login that was made with this name.
async fn facts(store: &dyn Store, name: &str, now: u64) -> GateFacts {
    let token = format!("access of {name}").into_bytes();
    store.gate_facts(&token, &serial(), "p", 1, now).await.unwrap().expect("a login")
}

/// Lets a terminal of the guest in, proves the key by it and opens a viewing window.
async fn prove(store: &dyn Store, guest: &AccountId, binding_epoch: u64, version: u64) {
    const TERMINAL: [u8; 32] = [7; 32];
    let listed =
        ListedTerminal { signing: TERMINAL, account: guest.clone(), scopes: 3, until: u64::MAX };
    let list = NewList {
        serial: serial(),
        binding_epoch,
        version,
        signed: version.to_be_bytes().to_vec(),
        verifier: AUTH,
        terminals: vec![listed],
    };
    assert!(matches!(
        store.viewer_list_put(&owner(), &list, NOW).await.unwrap(),
        ListPut::Stored(_)
    ));
    let session = SessionId("session of g".into());
    let epochs = store.device(&serial()).await.unwrap().unwrap().epochs;
    let by = ProofBy::Terminal { signing: TERMINAL, list: version, scopes: 3 };
    let proof =
        KeyProof { session: session.clone(), serial: serial(), epochs, by, expires: NOW + 900 };
    let secret = KeyProof { by: ProofBy::Secret, ..proof.clone() };
    assert!(!store.key_proof_store(guest, &secret, NOW).await.unwrap(), "the secret is no guest's");
    assert!(store.key_proof_store(guest, &proof, NOW).await.unwrap());
    let id = ChallengeId("view".into());
    let view = OtpChallenge { id: id.clone(), purpose: OtpPurpose::View, ..challenge("view") };
    store.otp_open(&view, &[], NOW).await.unwrap().unwrap();
    let window = StepUp {
        session,
        serial: serial(),
        idle: 900,
        idle_expires: NOW + 900,
        max_expires: NOW + 900,
    };
    assert!(store.step_up_open(&id, &window, NOW).await.unwrap());
}
