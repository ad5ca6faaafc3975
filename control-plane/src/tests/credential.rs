//! Passwords, step-up, reset, and guesses at all of them.

use std::sync::Arc;
use std::time::Instant;

use sightline_grant::{Redacted, Revocation, requirement};

use super::email::MAIL;
use super::rig::{ANNA, BEN, IP, Rig, User, agreed, request, terminal};
use crate::credential::{NewPasswordError, PasswordError, PasswordSignIn};
use crate::development::Outlet;
use crate::limits::{
    GUESS_LOCK_MAX_MINUTES, GUESSES_IN_ALL, GUESSES_PER_LOCK, IDENTIFIER_HOLD_SECS, Limits,
    OTP_TRIES, OTP_TTL_SECS, RECYCLED_AFTER_SECS, SECURE_SECS,
};
use crate::mail::DevelopmentMail;
use crate::otp::OtpError;
use crate::password::{HashCost, Password, PasswordConfig, WRONG_STEP, Weakness};
use crate::secure::SecureError;
use crate::session::{SignIn, SignInError, SignedIn};
use crate::sms::DevelopmentSms;
use crate::sms::budget::Policy;
use crate::storage::UpkeepStore;
use crate::storage::model::Window;
use crate::{Config, ControlPlane};

const LONG: &str = "gnu lamp oboe fig";
const SHORT: &str = "vK7 mbzq";

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

fn by_password(target: &str, text: &str) -> PasswordSignIn {
    PasswordSignIn {
        target: Redacted::new(target.to_owned()),
        password: password(text),
        terminal_name: "Kitchen tablet".into(),
        client_type: "browser".into(),
        consents: agreed(),
    }
}

impl Rig {
    async fn enter(&self, target: &str, text: &str, seed: u8) -> Result<SignedIn, SignInError> {
        self.cp.sign_in_by_password(&by_password(target, text), terminal(seed), IP).await
    }

    /// A new account with a password.
    async fn with_password(&self, number: &str, seed: u8, text: &str) -> User {
        let user = self.sign_in(number, seed).await;
        self.confirm(&user, number).await;
        self.cp.set_password(&user.session, &password(text)).await.unwrap();
        user
    }
}

fn is_wrong<T>(result: Result<T, SignInError>) -> bool {
    matches!(result, Err(SignInError::Password(PasswordError::Wrong)))
}

/// Limits by the hour out of the way of those that count in another way.
fn generous() -> Limits {
    let hourly = vec![Window { seconds: 3600, most: 100_000 }];
    Limits {
        passwords_per_account: hourly.clone(),
        passwords_per_ip: hourly.clone(),
        codes_per_number: hourly.clone(),
        sends_per_number: hourly.clone(),
        sends_per_prefix: hourly.clone(),
        sends_per_ip: hourly,
        sms: Policy::for_development(),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_password_signs_in_by_number_or_address_and_all_wrong_ones_are_refused_alike() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(60);
    rig.add_mail(&anna, ANNA, MAIL).await;
    let ben = rig.sign_in(BEN, 3).await;
    assert!(!rig.cp.has_password(&ben.session).await.unwrap());
    for target in [ANNA, MAIL, "+49 151 1234 5678"] {
        let signed_in = rig.enter(target, LONG, 2).await.unwrap();
        assert!(!signed_in.new_account);
        assert_eq!(signed_in.account, anna.session.account, "{target}");
    }
    let texts: Vec<String> = [
        rig.enter(ANNA, "gnu lamp oboe fog", 2).await,
        rig.enter(BEN, LONG, 2).await,
        rig.enter("+4915112340000", LONG, 2).await,
        rig.enter("nobody@mail.example", LONG, 2).await,
    ]
    .into_iter()
    .map(|refused| refused.unwrap_err().to_string())
    .collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    let nobody = rig.enter("+4915112340000", LONG, 2).await;
    assert!(is_wrong(nobody), "a password registers nobody");
    assert_eq!(rig.cp.list_accounts().await.unwrap().len(), 2);
    requirement!("A3");
}

#[tokio::test]
async fn a_short_password_needs_a_terminal_that_the_account_knows() {
    let rig = Rig::new().await;
    rig.with_password(ANNA, 1, SHORT).await;
    assert!(rig.enter(ANNA, SHORT, 1).await.is_ok());
    let new = rig.enter(ANNA, SHORT, 2).await;
    assert!(matches!(new, Err(SignInError::Password(PasswordError::NewTerminal))));
    assert!(is_wrong(rig.enter(ANNA, "vK7 mbzr", 2).await), "that is told to who knows it only");
    rig.clock.advance(60);
    let here = rig.sign_in(ANNA, 2).await;
    assert!(rig.enter(ANNA, SHORT, 2).await.is_ok(), "known since the code");
    let first = rig.cp.my_terminals(&here.session).await.unwrap();
    let other = first.iter().find(|terminal| !terminal.current).unwrap();
    rig.cp.sign_out_terminal(&here.session, &other.id).await.unwrap();
    let lost = rig.enter(ANNA, SHORT, 1).await;
    assert!(matches!(lost, Err(SignInError::Password(PasswordError::NewTerminal))));
}

#[tokio::test]
async fn a_new_password_makes_the_other_terminals_unknown_until_they_sign_in_again() {
    const NEXT: &str = "wN4 qdxr";
    let rig = Rig::with(generous()).await;
    let anna = rig.with_password(ANNA, 1, SHORT).await;
    rig.sign_in(ANNA, 2).await;
    assert!(rig.enter(ANNA, SHORT, 2).await.is_ok());
    rig.confirm(&anna, ANNA).await;
    rig.cp.set_password(&anna.session, &password(NEXT)).await.unwrap();
    let new = rig.enter(ANNA, NEXT, 2).await;
    assert!(matches!(new, Err(SignInError::Password(PasswordError::NewTerminal))));
    assert!(rig.enter(ANNA, NEXT, 1).await.is_ok(), "where it was changed");
    rig.sign_in(ANNA, 2).await;
    assert!(rig.enter(ANNA, NEXT, 2).await.is_ok());
}

#[tokio::test]
async fn a_password_is_set_after_step_up_only_and_ends_the_other_logins() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let there = rig.sign_in(ANNA, 2).await;
    let early = rig.cp.set_password(&anna.session, &password(LONG)).await;
    assert!(matches!(early, Err(NewPasswordError::Secure(SecureError::Required))));
    rig.confirm(&anna, ANNA).await;
    let elsewhere = rig.cp.set_password(&there.session, &password(LONG)).await;
    assert!(elsewhere.is_err(), "the window is one login's");
    for (weak, why) in [("short", Weakness::Short), ("Password123!", Weakness::Common)] {
        let refused = rig.cp.set_password(&anna.session, &password(weak)).await;
        assert!(matches!(refused, Err(NewPasswordError::Weak(found)) if found == why), "{weak}");
    }
    let mut feed = rig.cp.revocations();
    rig.cp.set_password(&anna.session, &password(LONG)).await.unwrap();
    let session = there.session.id.0.clone();
    assert_eq!(feed.try_recv().unwrap(), Revocation::Session { session });
    assert!(rig.cp.session(&anna.signed_in.tokens.access).await.unwrap().is_some(), "stays");
    assert!(rig.cp.session(&there.signed_in.tokens.access).await.unwrap().is_none());
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    assert_eq!(told.iter().filter(|m| m.message.kind == "password_changed").count(), 1);
    let log = rig.store.oplog(&anna.session.account, 10).await.unwrap();
    assert!(log.iter().any(|entry| entry.action == "password.changed"));
    requirement!("A7");
}

#[tokio::test]
async fn the_window_opens_by_password_too_and_closes_in_time() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(SECURE_SECS);
    assert!(matches!(rig.cp.require_secure(&anna.session).await, Err(SecureError::Required)));
    let wrong = rig.cp.secure_by_password(&anna.session, &password("something else")).await;
    assert!(matches!(wrong, Err(SecureError::Password(PasswordError::Wrong))));
    let until = rig.cp.secure_by_password(&anna.session, &password(LONG)).await.unwrap();
    assert_eq!(until, crate::clock::Clock::now(rig.clock.as_ref()) + SECURE_SECS);
    rig.clock.advance(SECURE_SECS - 1);
    assert!(rig.cp.require_secure(&anna.session).await.is_ok());
    rig.clock.advance(1);
    assert!(rig.cp.require_secure(&anna.session).await.is_err());
    let ben = rig.sign_in(BEN, 2).await;
    let none = rig.cp.secure_by_password(&ben.session, &password(LONG)).await;
    assert!(matches!(none, Err(SecureError::Password(PasswordError::Wrong))), "has no password");
}

#[tokio::test]
async fn a_code_for_confirming_confirms_nothing_else_and_nobody_else() {
    let rig = Rig::new().await;
    let (anna, ben) = (rig.sign_in(ANNA, 1).await, rig.sign_in(BEN, 2).await);
    let secure = rig.cp.request_secure_code(&anna.session, None, IP).await.unwrap().challenge;
    let code = rig.code(ANNA).await;
    assert_eq!(code.expose().len(), 8);
    assert!(rig.cp.sign_in(&request(secure.clone(), code.clone()), terminal(1)).await.is_err());
    assert!(rig.cp.step_up(&anna.session, &secure, &code).await.is_err());
    assert!(rig.cp.secure_by_code(&ben.session, &secure, &code).await.is_err());
    let reset = rig.cp.reset_password(&secure, &code, &password(LONG), terminal(1)).await;
    assert!(reset.is_err());
    assert!(rig.cp.secure_by_code(&anna.session, &secure, &code).await.is_ok());
    assert!(rig.cp.secure_by_code(&anna.session, &secure, &code).await.is_err(), "used");
    rig.clock.advance(60);
    let login = rig.login_challenge(ANNA, terminal(1)).await;
    let code = rig.code(ANNA).await;
    assert!(rig.cp.secure_by_code(&anna.session, &login, &code).await.is_err());
}

#[tokio::test]
async fn a_reset_needs_its_code_and_until_then_the_old_password_holds() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(60);
    let new = "nine quiet herons";
    let sent = rig.cp.request_reset_code(ANNA, terminal(9), IP).await.unwrap();
    let code = rig.code(ANNA).await;
    assert!(rig.enter(ANNA, LONG, 2).await.is_ok(), "asked for and not done");
    let wrong = Redacted::new("00000000x".to_owned());
    let id = &sent.challenge;
    assert!(rig.cp.reset_password(id, &wrong, &password(new), terminal(9)).await.is_err());
    let weak = rig.cp.reset_password(id, &code, &password("password1"), terminal(9)).await;
    assert!(matches!(weak, Err(NewPasswordError::Weak(_))));
    assert!(rig.cp.reset_password(id, &code, &password(new), terminal(8)).await.is_err());
    let inside = rig.enter(ANNA, LONG, 2).await.unwrap();
    rig.cp.reset_password(id, &code, &password(new), terminal(9)).await.unwrap();
    assert!(rig.cp.reset_password(id, &code, &password(LONG), terminal(9)).await.is_err(), "used");
    assert!(is_wrong(rig.enter(ANNA, LONG, 2).await));
    assert!(rig.enter(ANNA, new, 2).await.is_ok());
    for access in [&anna.signed_in.tokens.access, &inside.tokens.access] {
        assert_eq!(rig.cp.session(access).await.unwrap(), None, "every login has ended");
    }
    requirement!("A6");
}

#[tokio::test]
async fn a_reset_that_is_never_finished_changes_nothing() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(60);
    let sent = rig.cp.request_reset_code(ANNA, terminal(9), IP).await.unwrap();
    let code = rig.code(ANNA).await;
    rig.clock.advance(OTP_TTL_SECS);
    let new = password("nine quiet herons");
    let late = rig.cp.reset_password(&sent.challenge, &code, &new, terminal(9)).await;
    assert!(matches!(late, Err(NewPasswordError::Otp(OtpError::WrongCode))));
    assert!(rig.enter(ANNA, LONG, 2).await.is_ok());
    let tokens = rig.cp.refresh(&anna.signed_in.tokens.refresh, terminal(1)).await;
    assert!(tokens.is_ok(), "logins go on");
    requirement!("A6");
}

#[tokio::test]
async fn nobody_without_an_account_is_sent_a_code_for_a_password_and_the_answer_is_the_same() {
    let rig = Rig::new().await;
    rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(60);
    rig.cp.deliver_outbox().await.unwrap();
    let before = rig.sms.0.lock().unwrap().len();
    let known = rig.cp.request_reset_code(ANNA, terminal(9), IP).await.unwrap();
    let new = rig.cp.request_reset_code(BEN, terminal(9), IP).await.unwrap();
    assert_eq!(known.resend_after, new.resend_after);
    assert_eq!(known.challenge.0.len(), new.challenge.0.len());
    rig.cp.deliver_outbox().await.unwrap();
    let sms = rig.sms.0.lock().unwrap();
    let to: Vec<_> = sms[before..].iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, [ANNA]);
}

#[tokio::test]
async fn strangers_who_guess_passwords_are_locked_out_and_the_owners_terminal_is_not() {
    let rig = Rig::with(generous()).await;
    rig.with_password(ANNA, 1, LONG).await;
    let (mut seed, mut compared) = (10, 0);
    let closed = loop {
        seed = if seed == 200 { 10 } else { seed + 1 };
        match rig.enter(ANNA, "a wrong guess of it", seed).await {
            Err(SignInError::Password(PasswordError::Wrong)) => compared += 1,
            Err(SignInError::Password(PasswordError::Limited(wait))) => rig.clock.advance(wait.0),
            Err(SignInError::Password(PasswordError::SecondFactor(wait))) => break wait.0,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(compared, GUESSES_IN_ALL);
    let right = rig.enter(ANNA, LONG, 9).await;
    assert!(matches!(right, Err(SignInError::Password(PasswordError::SecondFactor(_)))));
    assert!(rig.enter(ANNA, LONG, 1).await.is_ok(), "a terminal that the account knows");
    let by_code = rig.sign_in(ANNA, 9).await;
    assert!(!by_code.signed_in.new_account, "a code lets the owner in anywhere");
    assert!(rig.enter(ANNA, LONG, 9).await.is_ok(), "and that terminal is known now");
    rig.clock.advance(closed);
    assert!(rig.enter(ANNA, LONG, 8).await.is_ok(), "not for ever");
}

/// Guesses codes to Anna on a terminal that is not hers until the code alone is not enough; how many
/// were compared.
async fn use_up_guesses(rig: &Rig) -> u64 {
    let wrong = Redacted::new("x".to_owned());
    let mut compared = 0;
    loop {
        let id = rig.login_challenge(ANNA, terminal(9)).await;
        for _ in 0..OTP_TRIES {
            match rig.cp.sign_in(&request(id.clone(), wrong.clone()), terminal(9)).await {
                Err(SignInError::Otp(OtpError::WrongCode)) => compared += 1,
                Err(SignInError::Otp(OtpError::SecondFactor(wait))) => {
                    if wait.0 > GUESS_LOCK_MAX_MINUTES * 60 {
                        return compared;
                    }
                    rig.clock.advance(wait.0);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        rig.clock.advance(OTP_TTL_SECS);
    }
}

#[tokio::test]
async fn a_lock_by_strangers_lets_code_and_password_in_together_and_neither_alone() {
    let rig = Rig::with(generous()).await;
    rig.with_password(ANNA, 1, LONG).await;
    let id = rig.login_challenge(ANNA, terminal(9)).await;
    for _ in 0..GUESSES_PER_LOCK {
        let guess = request(id.clone(), Redacted::new("x".to_owned()));
        assert!(rig.cp.sign_in(&guess, terminal(9)).await.is_err());
    }
    let id = rig.login_challenge(ANNA, terminal(7)).await;
    let alone = request(id, rig.code(ANNA).await);
    let refused = rig.cp.sign_in(&alone, terminal(7)).await;
    assert!(matches!(refused, Err(SignInError::Otp(OtpError::SecondFactor(wait))) if wait.0 == 60));
    let lying = SignIn { password: Some(password("not the password")), ..alone.clone() };
    assert!(is_wrong(rig.cp.sign_in(&lying, terminal(7)).await));
    let both = SignIn { password: Some(password(LONG)), ..alone };
    assert!(rig.cp.sign_in(&both, terminal(7)).await.is_ok());
}

#[tokio::test]
async fn a_password_is_looked_at_beside_a_right_code_only_and_all_terminals_share_its_guesses() {
    let rig = Rig::with(generous()).await;
    rig.with_password(ANNA, 1, LONG).await;
    use_up_guesses(&rig).await;
    let wish = async |seed: u8, code: Option<&str>, text: &str| {
        let id = rig.login_challenge(ANNA, terminal(seed)).await;
        let right = rig.code(ANNA).await;
        let code = code.map_or(right, |code| Redacted::new(code.to_owned()));
        let both = SignIn { password: Some(password(text)), ..request(id, code) };
        rig.cp.sign_in(&both, terminal(seed)).await
    };
    for n in 0..2 * GUESSES_PER_LOCK {
        let text = if n % 2 == 0 { LONG } else { "not the password" };
        let refused = wish(20, Some("x"), text).await;
        assert!(matches!(refused, Err(SignInError::Otp(OtpError::WrongCode))), "{refused:?}");
        rig.clock.advance(OTP_TTL_SECS);
    }
    for n in 0..GUESSES_PER_LOCK {
        let seed = 30 + u8::try_from(n).unwrap();
        assert!(is_wrong(wish(seed, None, "not the password").await), "{n}");
    }
    let locked = wish(40, None, LONG).await;
    assert!(matches!(locked, Err(SignInError::Password(PasswordError::Limited(_)))));
    rig.clock.advance(60);
    assert!(wish(41, None, LONG).await.is_ok(), "a minute later");
}

#[tokio::test]
async fn strangers_who_guess_codes_are_locked_out_until_a_second_factor() {
    let rig = Rig::with(generous()).await;
    rig.with_password(ANNA, 1, LONG).await;
    assert_eq!(use_up_guesses(&rig).await, GUESSES_IN_ALL);
    let id = rig.login_challenge(ANNA, terminal(1)).await;
    let code = rig.code(ANNA).await;
    assert!(rig.cp.sign_in(&request(id, code), terminal(1)).await.is_ok(), "the owner's terminal");
    let id = rig.login_challenge(ANNA, terminal(7)).await;
    let alone = request(id, rig.code(ANNA).await);
    let refused = rig.cp.sign_in(&alone, terminal(7)).await;
    assert!(matches!(refused, Err(SignInError::Otp(OtpError::SecondFactor(_)))));
    let lying = SignIn { password: Some(password("not the password")), ..alone.clone() };
    assert!(is_wrong(rig.cp.sign_in(&lying, terminal(7)).await));
    let both = SignIn { password: Some(password(LONG)), ..alone };
    assert!(rig.cp.sign_in(&both, terminal(7)).await.is_ok(), "code and password");
}

#[tokio::test]
async fn guesses_at_once_are_compared_five_times_at_most() {
    let rig = Arc::new(Rig::with(generous()).await);
    rig.with_password(ANNA, 1, LONG).await;
    let tries = (0..100).map(|n| {
        let rig = rig.clone();
        tokio::spawn(async move { is_wrong(rig.enter(ANNA, &format!("guess {n:015}"), 9).await) })
    });
    let compared = futures_util::future::join_all(tries).await;
    let compared = compared.into_iter().filter(|wrong| matches!(wrong, Ok(true))).count();
    assert_eq!(compared as u64, GUESSES_PER_LOCK);
}

#[tokio::test]
async fn one_address_of_the_network_may_try_so_many_passwords() {
    let hourly = |most| vec![Window { seconds: 3600, most }];
    let rig = Rig::with(Limits { passwords_per_ip: hourly(3), ..generous() }).await;
    for number in ["+4915100000001", "+4915100000002", "+4915100000003"] {
        assert!(is_wrong(rig.enter(number, LONG, 1).await));
    }
    let fourth = rig.enter("+4915100000004", LONG, 1).await;
    assert!(matches!(fourth, Err(SignInError::Password(PasswordError::Limited(_)))));
    let elsewhere = "198.51.100.1".parse().unwrap();
    let wish = by_password("+4915100000004", LONG);
    assert!(is_wrong(rig.cp.sign_in_by_password(&wish, terminal(1), elsewhere).await));
}

#[tokio::test]
async fn a_code_to_a_number_that_changed_hands_does_not_open_a_protected_account() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    let ben = rig.sign_in(BEN, 2).await;
    rig.clock.advance(RECYCLED_AFTER_SECS);
    let id = rig.login_challenge(ANNA, terminal(9)).await;
    let by_code = request(id, rig.code(ANNA).await);
    let refused = rig.cp.sign_in(&by_code, terminal(9)).await;
    assert!(matches!(refused, Err(SignInError::Idle)), "{refused:?}");
    rig.clock.advance(60);
    let sent = rig.cp.request_reset_code(ANNA, terminal(9), IP).await.unwrap();
    let code = rig.code(ANNA).await;
    let new = password("nine quiet herons");
    let reset = rig.cp.reset_password(&sent.challenge, &code, &new, terminal(9)).await;
    assert!(matches!(reset, Err(NewPasswordError::Idle)));
    let both = SignIn { password: Some(password(LONG)), ..by_code };
    let owner = rig.cp.sign_in(&both, terminal(9)).await.unwrap();
    assert_eq!(owner.account, anna.session.account);
    let unprotected = rig.sign_in(BEN, 8).await;
    assert_eq!(unprotected.session.account, ben.session.account, "nothing better to ask for");
}

#[tokio::test]
async fn an_address_that_came_lately_resets_no_password() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(60);
    rig.add_mail(&anna, ANNA, MAIL).await;
    let sent = rig.cp.request_reset_code(MAIL, terminal(9), IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    let new = password("nine quiet herons");
    let held = rig.cp.reset_password(&sent.challenge, &code, &new, terminal(9)).await;
    assert!(matches!(held, Err(NewPasswordError::Otp(OtpError::Held(_)))));
    rig.clock.advance(IDENTIFIER_HOLD_SECS);
    let sent = rig.cp.request_reset_code(MAIL, terminal(9), IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    assert!(rig.cp.reset_password(&sent.challenge, &code, &new, terminal(9)).await.is_ok());
}

#[tokio::test]
async fn passwords_codes_and_addresses_stand_in_clear_in_no_file_and_no_debug_form() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(60);
    rig.add_mail(&anna, ANNA, MAIL).await;
    let sent = rig.cp.request_reset_code(MAIL, terminal(9), IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    assert!(is_wrong(rig.enter("wrong.guess@mail.example", "a password of nobody", 3).await));
    let secrets = [
        LONG,
        "nna.Berg@mail",
        "nna.berg@mail",
        code.expose(),
        "a password of nobody",
        "rong.guess",
    ];
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", file.display());
        }
    }
    let me = rig.cp.me(&anna.session).await.unwrap().unwrap();
    let wish = by_password(MAIL, LONG);
    let both = SignIn { password: Some(password(LONG)), ..request(sent.challenge, code.clone()) };
    let shown = format!("{me:?} {wish:?} {both:?}");
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    requirement!("A20");
}

#[tokio::test]
async fn an_erased_account_leaves_neither_password_nor_address() {
    let rig = Rig::new().await;
    let anna = rig.with_password(ANNA, 1, LONG).await;
    rig.clock.advance(60);
    rig.add_mail(&anna, ANNA, MAIL).await;
    rig.cp.delete_account(&anna.session.account).await.unwrap();
    assert!(is_wrong(rig.enter(ANNA, LONG, 1).await));
    assert!(rig.cp.addresses_of(&anna.session.account).await.unwrap().is_empty());
    rig.clock.advance(60);
    let sent = rig.cp.request_login_code(MAIL, terminal(1), IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    let again = rig.cp.sign_in(&request(sent.challenge, code), terminal(1)).await.unwrap();
    assert!(again.new_account);
}

#[tokio::test]
async fn a_wrong_password_is_told_so_at_a_whole_step_with_and_without_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let outlet = |name: &str| Outlet::new(Box::new(|_| {}), folder.path().join(name));
    let config = Config {
        data_dir: folder.path().join("data"),
        master_key: None,
        server_name: "test.example".into(),
        page_host: "test.example".into(),
        limits: Limits::for_development(),
        passwords: PasswordConfig { cost: HashCost::cheap(), ..PasswordConfig::default() },
    };
    let (sms, mail) = (DevelopmentSms(outlet("sms")), DevelopmentMail(outlet("mail")));
    let cp = ControlPlane::open(config, Arc::new(sms), Arc::new(mail)).await.unwrap();
    let asked = Instant::now();
    let entered = cp.sign_in_by_password(&by_password(ANNA, LONG), terminal(1), IP).await;
    assert!(is_wrong(entered));
    assert!(asked.elapsed() >= WRONG_STEP, "cheap as it is: {:?}", asked.elapsed());
}
