use std::sync::Arc;

use futures_util::future::join_all;
use sightline_grant::{Redacted, Revocation, requirement};

use super::rig::{ANNA, BEN, IP, Rig, request, terminal};
use crate::limits::{
    ACCESS_TTL_SECS, Limits, OTP_TRIES, OTP_TTL_SECS, REFRESH_RETRY_SECS, SESSION_IDLE_SECS,
};
use crate::otp::OtpError;
use crate::session::{RefreshError, SignInError};
use crate::sms::budget::Policy;
use crate::storage::model::{OtpBinding, OtpPurpose};
use crate::storage::{OtpStore, UpkeepStore};

#[tokio::test]
async fn a_new_number_registers_with_a_code_and_a_known_one_signs_in_with_one() {
    let rig = Rig::new().await;
    let first = rig.sign_in(ANNA, 1).await;
    let second = rig.sign_in(ANNA, 2).await;
    assert!(first.signed_in.new_account);
    assert!(!second.signed_in.new_account);
    assert_eq!(first.session.account, second.session.account);
    let me = rig.cp.me(&second.session).await.unwrap().unwrap();
    assert_eq!(me.phone_masked.as_deref(), Some("+49*********78"));
    requirement!("A1", "A4");
}

#[tokio::test]
async fn asking_for_a_code_answers_alike_for_known_and_new_numbers() {
    let rig = Rig::new().await;
    rig.sign_in(ANNA, 1).await;
    let known = rig.cp.request_login_code(ANNA, terminal(2), IP).await.unwrap();
    let new = rig.cp.request_login_code(BEN, terminal(2), IP).await.unwrap();
    assert_eq!(known.resend_after, new.resend_after);
    assert_eq!(known.challenge.0.len(), new.challenge.0.len());
    let refused = [ANNA, BEN].map(|number| (number, rig.cp.clone()));
    for (number, cp) in refused {
        let error = cp.request_login_code(number, terminal(2), IP).await.unwrap_err();
        assert!(matches!(error, OtpError::Limited(wait) if wait.0 == 60), "{number}");
    }
    requirement!("A1");
}

#[tokio::test]
async fn a_thousand_guesses_at_once_are_compared_five_times_at_most() {
    let rig = Rig::new().await;
    let id = rig.login_challenge(ANNA, terminal(1)).await;
    let right = rig.code(ANNA).await;
    let binding =
        Arc::new(OtpBinding { purpose: OtpPurpose::Login, terminal: terminal(1), account: None });
    let tries = (0..1000).map(|_| {
        let (store, id, binding) = (rig.store.clone(), id.clone(), binding.clone());
        tokio::spawn(async move {
            store.otp_count_try(&id, &binding, super::rig::START).await.map(|row| row.is_some())
        })
    });
    let evaluated = join_all(tries).await.into_iter().filter(|t| matches!(t, Ok(Ok(true)))).count();
    assert_eq!(evaluated as u64, OTP_TRIES);
    let sixth = rig.cp.sign_in(&request(id, right), terminal(1)).await;
    assert!(matches!(sixth, Err(SignInError::Otp(OtpError::WrongCode))));
}

#[tokio::test]
async fn the_right_code_is_taken_on_the_fifth_try_and_once() {
    let rig = Rig::new().await;
    let id = rig.login_challenge(ANNA, terminal(1)).await;
    let right = rig.code(ANNA).await;
    let wrong = Redacted::new("x".to_owned());
    for _ in 0..OTP_TRIES - 1 {
        let guess = rig.cp.sign_in(&request(id.clone(), wrong.clone()), terminal(1)).await;
        assert!(guess.is_err());
    }
    assert!(rig.cp.sign_in(&request(id.clone(), right.clone()), terminal(1)).await.is_ok());
    assert!(rig.cp.sign_in(&request(id, right), terminal(1)).await.is_err());
}

#[tokio::test]
async fn a_code_holds_for_its_challenge_terminal_and_time_only() {
    let rig = Rig::new().await;
    let anna = rig.login_challenge(ANNA, terminal(1)).await;
    let anna_code = rig.code(ANNA).await;
    let ben = rig.login_challenge(BEN, terminal(1)).await;
    let crossed = rig.cp.sign_in(&request(ben, anna_code.clone()), terminal(1)).await;
    assert!(crossed.is_err(), "another challenge");
    let stolen = rig.cp.sign_in(&request(anna.clone(), anna_code.clone()), terminal(2)).await;
    assert!(stolen.is_err(), "another terminal");
    rig.clock.advance(OTP_TTL_SECS);
    let late = rig.cp.sign_in(&request(anna, anna_code), terminal(1)).await;
    assert!(late.is_err(), "too late");
}

#[tokio::test]
async fn a_code_is_sent_again_unchanged_while_it_lives() {
    let rig = Rig::new().await;
    let first = rig.login_challenge(ANNA, terminal(1)).await;
    let code = rig.code(ANNA).await;
    rig.clock.advance(60);
    assert_eq!(rig.login_challenge(ANNA, terminal(1)).await, first);
    assert_eq!(rig.code(ANNA).await, code);
}

#[tokio::test]
async fn a_login_code_opens_no_view_and_a_view_code_no_login() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let login = rig.login_challenge(ANNA, terminal(1)).await;
    let code = rig.code(ANNA).await;
    assert!(rig.cp.step_up(&anna.session, &login, &code).await.is_err());
    rig.clock.advance(60);
    let view = rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.unwrap().challenge;
    let code = rig.code(ANNA).await;
    assert_eq!(code.expose().len(), 8);
    assert!(rig.cp.sign_in(&request(view.clone(), code.clone()), terminal(1)).await.is_err());
    let ben = rig.sign_in(BEN, 1).await;
    assert!(rig.cp.step_up(&ben.session, &view, &code).await.is_err(), "another account");
    assert!(rig.cp.step_up(&anna.session, &view, &code).await.is_ok());
    assert!(rig.cp.step_up(&anna.session, &view, &code).await.is_err(), "used");
    requirement!("M3");
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_login() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let old = anna.signed_in.tokens.refresh.clone();
    let fresh = rig.cp.refresh(&old, terminal(1)).await.unwrap();
    rig.clock.advance(REFRESH_RETRY_SECS);
    let again = rig.cp.refresh(&old, terminal(1)).await.unwrap();
    assert_eq!(again.refresh, fresh.refresh, "a lost answer is given again, one lineage");
    assert!(rig.cp.refresh(&fresh.refresh, terminal(2)).await.is_err(), "another terminal's key");
    let mut feed = rig.cp.revocations();
    rig.clock.advance(1);
    assert!(matches!(rig.cp.refresh(&old, terminal(1)).await, Err(RefreshError::Refused)));
    let session = anna.session.id.0.clone();
    assert_eq!(feed.try_recv().unwrap(), Revocation::Session { session });
    assert!(rig.cp.refresh(&fresh.refresh, terminal(1)).await.is_err(), "the family is dead");
    assert_eq!(rig.cp.session(&fresh.access).await.unwrap(), None);
}

#[tokio::test]
async fn an_access_token_and_an_unused_login_end_in_time() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let tokens = &anna.signed_in.tokens;
    rig.clock.advance(ACCESS_TTL_SECS - 61);
    assert!(rig.cp.session(&tokens.access).await.unwrap().is_some());
    rig.clock.advance(1);
    assert!(rig.cp.session(&tokens.access).await.unwrap().is_none());
    let tokens = rig.cp.refresh(&tokens.refresh, terminal(1)).await.unwrap();
    rig.clock.advance(SESSION_IDLE_SECS);
    assert!(rig.cp.refresh(&tokens.refresh, terminal(1)).await.is_err());
}

#[tokio::test]
async fn signing_out_elsewhere_ends_that_terminals_logins_and_streams() {
    let rig = Rig::new().await;
    let here = rig.sign_in(ANNA, 1).await;
    let there = rig.sign_in(ANNA, 2).await;
    let terminals = rig.cp.my_terminals(&here.session).await.unwrap();
    assert_eq!(terminals.len(), 2);
    assert!(terminals.iter().all(|terminal| terminal.name == "Kitchen tablet"));
    assert!(terminals.iter().find(|t| t.current).unwrap().id == here.session.terminal);
    let mut feed = rig.cp.revocations();
    let ben = rig.sign_in(BEN, 3).await;
    let target = &there.session.terminal;
    assert!(!rig.cp.sign_out_terminal(&ben.session, target).await.unwrap(), "a stranger");
    assert!(rig.cp.sign_out_terminal(&here.session, target).await.unwrap());
    let session = there.session.id.0.clone();
    assert_eq!(feed.try_recv().unwrap(), Revocation::Session { session });
    assert_eq!(rig.cp.session(&there.signed_in.tokens.access).await.unwrap(), None);
    assert!(rig.cp.refresh(&there.signed_in.tokens.refresh, terminal(2)).await.is_err());
    assert!(rig.cp.session(&here.signed_in.tokens.access).await.unwrap().is_some());
    assert_eq!(rig.cp.my_terminals(&here.session).await.unwrap().len(), 1);
    requirement!("A17");
}

#[tokio::test]
async fn a_login_elsewhere_is_told_once_however_often_the_outbox_is_delivered() {
    let rig = Rig::new().await;
    let here = rig.sign_in(ANNA, 1).await;
    rig.sign_in(ANNA, 2).await;
    for _ in 0..3 {
        rig.cp.deliver_outbox().await.unwrap();
        rig.clock.advance(60);
    }
    let messages = rig.cp.messages(&here.session).await.unwrap();
    assert_eq!(messages.iter().filter(|shown| shown.message.kind == "login").count(), 1);
}

#[tokio::test]
async fn ten_codes_an_hour_are_compared_for_one_number_over_all_its_challenges() {
    // More codes than strangers get of a number in an hour.
    let sms = Policy { strangers: Policy::for_development().strangers, ..Policy::default() };
    let rig = Rig::with(Limits { sms, ..Limits::default() }).await;
    let wrong = Redacted::new("x".to_owned());
    let mut answers = Vec::new();
    for seed in 1..=3 {
        let id = rig.login_challenge(ANNA, terminal(seed)).await;
        for _ in 0..OTP_TRIES {
            let guess = rig.cp.sign_in(&request(id.clone(), wrong.clone()), terminal(seed)).await;
            answers.push(matches!(guess, Err(SignInError::Otp(OtpError::SecondFactor(_)))));
        }
        rig.clock.advance(60);
    }
    assert_eq!(answers.iter().position(|limited| *limited), Some(10));
    assert!(answers[10..].iter().all(|limited| *limited));
}

#[tokio::test]
async fn logins_that_are_over_are_deleted_and_others_stay() {
    let rig = Rig::new().await;
    let over = rig.sign_in(ANNA, 1).await;
    rig.admitted(&over, ANNA, "CAM-1").await;
    let open = rig.sign_in(ANNA, 2).await;
    rig.cp.sign_out(&over.session).await.unwrap();
    let now = crate::clock::Clock::now(rig.clock.as_ref());
    assert!(rig.store.purge(now + crate::limits::LEDGER_KEEP_SECS).await.unwrap() > 0);
    let old = &over.signed_in.tokens.refresh;
    assert!(rig.cp.refresh(old, terminal(1)).await.is_err());
    assert!(rig.cp.refresh(&open.signed_in.tokens.refresh, terminal(2)).await.is_ok());
    rig.clock.advance(2 * SESSION_IDLE_SECS);
    let now = crate::clock::Clock::now(rig.clock.as_ref());
    assert!(rig.store.purge(now).await.unwrap() > 0, "idle logins go with all that refers to them");
}
