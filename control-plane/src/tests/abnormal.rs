use std::net::IpAddr;

use sightline_grant::{Redacted, requirement};

use super::rig::{ANNA, IP, Rig, User, request, terminal};
use crate::abnormal::{HISTORY, Kind, LoginHeld, Policy};
use crate::consent::{ACCOUNT, MEDIA_VIEW};
use crate::credential::PasswordSignIn;
use crate::limits::{APPROVAL_SECS, Limits, RESET_HOLD_SECS};
use crate::password::Password;
use crate::session::{SignIn, SignedIn};
use crate::storage::model::Alert;

const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 99, 113, 9));
const RESET_TO: &str = "nine quiet herons";

/// Signs in from an address, as the endpoint does.
async fn from(rig: &Rig, seed: u8, ip: IpAddr) -> Result<User, LoginHeld> {
    let challenge = rig.login_challenge(ANNA, terminal(seed)).await;
    rig.clock.advance(60);
    let code = rig.code(ANNA).await;
    let signed_in = rig.cp.sign_in(&request(challenge, code), terminal(seed)).await.unwrap();
    judged(rig, signed_in, ip).await
}

/// The same by the password that [`reset`] sets.
async fn by_password(rig: &Rig, seed: u8, ip: IpAddr) -> Result<User, LoginHeld> {
    let wish = PasswordSignIn {
        target: Redacted::new(ANNA.to_owned()),
        password: Password::new(RESET_TO.to_owned()),
        terminal_name: "Kitchen tablet".into(),
        client_type: "browser".into(),
        consents: Vec::new(),
    };
    let signed_in = rig.cp.sign_in_by_password(&wish, terminal(seed), ip).await.unwrap();
    judged(rig, signed_in, ip).await
}

/// Signs in by code and consents to watching at once.
async fn agreeing(rig: &Rig, seed: u8, ip: IpAddr) -> Result<User, LoginHeld> {
    let challenge = rig.login_challenge(ANNA, terminal(seed)).await;
    rig.clock.advance(60);
    let code = rig.code(ANNA).await;
    let consents = vec![(MEDIA_VIEW.id.to_owned(), MEDIA_VIEW.version)];
    let wish = SignIn { consents, ..request(challenge, code) };
    let signed_in = rig.cp.sign_in(&wish, terminal(seed)).await.unwrap();
    judged(rig, signed_in, ip).await
}

async fn judged(rig: &Rig, signed_in: SignedIn, ip: IpAddr) -> Result<User, LoginHeld> {
    let noticed = rig.cp.notice_login(&signed_in, ip).await;
    let session = rig.cp.session(&signed_in.tokens.access).await.unwrap();
    noticed?;
    Ok(User { signed_in, session: session.expect("a login that is not held") })
}

/// Resets the password on a terminal by a code to the number.
async fn reset(rig: &Rig, seed: u8) {
    rig.clock.advance(60);
    let sent = rig.cp.request_reset_code(ANNA, terminal(seed), IP).await.unwrap();
    let code = rig.code(ANNA).await;
    let new = Password::new(RESET_TO.to_owned());
    rig.cp.reset_password(&sent.challenge, &code, &new, terminal(seed)).await.unwrap();
}

async fn alerts(rig: &Rig, user: &User) -> Vec<Alert> {
    rig.cp.alerts(&user.session).await.unwrap()
}

fn holding() -> Limits {
    Limits { abnormal: Policy { hold: true, ..Policy::default() }, ..Limits::default() }
}

#[tokio::test]
async fn a_new_terminal_elsewhere_is_an_event_and_a_message_but_no_sms() {
    let rig = Rig::new().await;
    let home = from(&rig, 1, IP).await.unwrap();
    assert_eq!(alerts(&rig, &home).await, []);
    from(&rig, 1, IP).await.unwrap();
    assert_eq!(alerts(&rig, &home).await, [], "the same again");
    let before = rig.sms.texts().len();
    let away = from(&rig, 2, ELSEWHERE).await.unwrap();
    assert_eq!(rig.sms.texts().len(), before + 1, "its own code");
    let noticed = alerts(&rig, &home).await;
    assert_eq!(noticed[0].kinds, [Kind::NewTerminal, Kind::NewNetwork]);
    assert!(!noticed[0].held && noticed[0].terminal == away.session.terminal);
    rig.cp.deliver_outbox().await.unwrap();
    let messages = rig.cp.messages(&home.session).await.unwrap();
    assert!(messages.iter().any(|shown| shown.message.kind == "login_unusual"));
    requirement!("A19");
}

#[tokio::test]
async fn a_held_login_opens_after_another_terminal_agreed() {
    let rig = Rig::with(holding()).await;
    let home = from(&rig, 1, IP).await.unwrap();
    assert!(matches!(from(&rig, 2, ELSEWHERE).await, Err(LoginHeld::Held)));
    let held = alerts(&rig, &home).await.remove(0);
    assert!(held.held && held.approved_at.is_none());
    let stranger = {
        let challenge = rig.login_challenge(super::rig::BEN, terminal(5)).await;
        let code = rig.code(super::rig::BEN).await;
        let signed = rig.cp.sign_in(&request(challenge, code), terminal(5)).await.unwrap();
        rig.cp.session(&signed.tokens.access).await.unwrap().unwrap()
    };
    assert!(!rig.cp.approve_login(&stranger, &held.id).await.unwrap(), "another account");
    assert!(rig.cp.approve_login(&home.session, &held.id).await.unwrap());
    assert!(!rig.cp.approve_login(&home.session, &held.id).await.unwrap(), "once");
    rig.clock.advance(60);
    let away = from(&rig, 2, ELSEWHERE).await.unwrap();
    assert_eq!(away.session.terminal, held.terminal);
    requirement!("A19");
}

#[tokio::test]
async fn a_login_is_held_only_while_somebody_could_agree_and_for_a_day() {
    let rig = Rig::with(holding()).await;
    let home = from(&rig, 1, IP).await.unwrap();
    rig.cp.sign_out(&home.session).await.unwrap();
    let alone = from(&rig, 2, ELSEWHERE).await.unwrap();
    assert!(matches!(from(&rig, 3, IpAddr::from([198, 51, 100, 1])).await, Err(LoginHeld::Held)));
    let held = alerts(&rig, &alone).await.remove(0);
    rig.clock.advance(APPROVAL_SECS);
    assert!(rig.cp.session(&alone.signed_in.tokens.access).await.unwrap().is_none(), "too old");
    assert!(!rig.cp.approve_login(&alone.session, &held.id).await.unwrap());
}

#[tokio::test]
async fn a_held_login_has_agreed_to_nothing_and_its_terminal_is_unknown() {
    let rig = Rig::with(holding()).await;
    let home = from(&rig, 1, IP).await.unwrap();
    assert!(matches!(agreeing(&rig, 2, ELSEWHERE).await, Err(LoginHeld::Held)));
    let about = async || {
        let agreed = rig.cp.consents(&home.session).await.unwrap();
        agreed.into_iter().map(|state| state.purpose).collect::<Vec<_>>()
    };
    assert_eq!(about().await, [ACCOUNT.id]);
    let known = rig.cp.my_terminals(&home.session).await.unwrap();
    assert!(known.len() == 1 && known[0].current, "{known:?}");
    let held = alerts(&rig, &home).await.remove(0);
    assert!(rig.cp.approve_login(&home.session, &held.id).await.unwrap());
    rig.clock.advance(60);
    let away = agreeing(&rig, 2, ELSEWHERE).await.unwrap();
    assert_eq!(away.session.terminal, held.terminal);
    assert_eq!(about().await.len(), 2);
    assert_eq!(rig.cp.my_terminals(&home.session).await.unwrap().len(), 2);
    requirement!("A19");
}

#[tokio::test]
async fn a_terminal_that_was_let_in_long_ago_stays_known_when_it_is_held() {
    let rig = Rig::with(holding()).await;
    let home = from(&rig, 1, IP).await.unwrap();
    assert!(matches!(from(&rig, 2, ELSEWHERE).await, Err(LoginHeld::Held)));
    let held = alerts(&rig, &home).await.remove(0);
    assert!(rig.cp.approve_login(&home.session, &held.id).await.unwrap());
    rig.clock.advance(60);
    from(&rig, 2, ELSEWHERE).await.unwrap();
    for _ in 0..HISTORY {
        rig.cp.notice_login(&home.signed_in, IP).await.unwrap();
    }
    rig.clock.advance(APPROVAL_SECS);
    assert!(matches!(from(&rig, 2, ELSEWHERE).await, Err(LoginHeld::Held)));
    assert_eq!(rig.cp.my_terminals(&home.session).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_reset_of_the_password_does_not_clear_the_way_for_an_unusual_login() {
    let rig = Rig::with(holding()).await;
    let home = from(&rig, 1, IP).await.unwrap();
    reset(&rig, 9).await;
    assert!(rig.cp.session(&home.signed_in.tokens.access).await.unwrap().is_none());
    assert!(matches!(by_password(&rig, 9, ELSEWHERE).await, Err(LoginHeld::Held)));
    rig.clock.advance(60);
    assert!(matches!(from(&rig, 9, ELSEWHERE).await, Err(LoginHeld::Held)), "by code neither");
    let home = by_password(&rig, 1, IP).await.expect("not new, so it can agree");
    let held = alerts(&rig, &home).await.remove(0);
    assert!(rig.cp.approve_login(&home.session, &held.id).await.unwrap());
    by_password(&rig, 9, ELSEWHERE).await.unwrap();
    requirement!("A19");
}

#[tokio::test]
async fn a_reset_holds_new_terminals_for_three_days_if_somebody_was_signed_in() {
    let rig = Rig::with(holding()).await;
    from(&rig, 1, IP).await.unwrap();
    reset(&rig, 9).await;
    rig.clock.advance(RESET_HOLD_SECS - 1);
    assert!(matches!(by_password(&rig, 9, ELSEWHERE).await, Err(LoginHeld::Held)));
    rig.clock.advance(1);
    by_password(&rig, 9, ELSEWHERE).await.expect("an owner who has no other terminal left");

    let rig = Rig::with(holding()).await;
    let home = from(&rig, 1, IP).await.unwrap();
    rig.cp.sign_out(&home.session).await.unwrap();
    reset(&rig, 9).await;
    by_password(&rig, 9, ELSEWHERE).await.expect("nobody was signed in");
    requirement!("A19");
}

#[tokio::test]
async fn codes_that_strangers_ask_for_are_told_at_the_next_login() {
    let sms = crate::sms::budget::Policy::for_development();
    let rig = Rig::with(Limits { sms, ..Limits::default() }).await;
    let home = from(&rig, 1, IP).await.unwrap();
    for seed in 10..14 {
        rig.cp.request_login_code(ANNA, terminal(seed), ELSEWHERE).await.unwrap();
        rig.clock.advance(60);
    }
    from(&rig, 1, IP).await.unwrap();
    assert_eq!(alerts(&rig, &home).await[0].kinds, [Kind::CodeAbuse]);
    requirement!("A19");
}
