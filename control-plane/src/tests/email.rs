//! Mail addresses as identifiers, and their change.

use std::net::IpAddr;

use sightline_grant::requirement;

use super::rig::{ANNA, BEN, IP, Rig, User, request, terminal};
use crate::identifier::IdentifierError;
use crate::limits::{
    IDENTIFIER_HOLD_SECS, Limits, NETWORK_SHARE, SECURE_SECS, SENDS_FOR_STRANGERS,
};
use crate::otp::OtpError;
use crate::secure::SecureError;
use crate::session::SignInError;
use crate::storage::model::{IdentifierKind, Window};

pub(crate) const MAIL: &str = "Anna.Berg@Mail.Example";
const OTHER_MAIL: &str = "anna@other.example";

impl Rig {
    /// Digits of the newest mail to this address.
    pub(crate) async fn mailed(&self, address: &str) -> sightline_grant::Redacted<String> {
        self.cp.deliver_outbox().await.unwrap();
        let sent = self.mail.0.lock().unwrap();
        let (_, text) = sent.iter().rev().find(|(to, _)| to == address).unwrap();
        let code: String = text.chars().take_while(char::is_ascii_digit).collect();
        sightline_grant::Redacted::new(code)
    }

    /// Opens the secure window by a code to the account's number.
    pub(crate) async fn confirm(&self, user: &User, number: &str) {
        let sent = self.cp.request_secure_code(&user.session, None, IP).await.unwrap();
        let code = self.code(number).await;
        self.cp.secure_by_code(&user.session, &sent.challenge, &code).await.unwrap();
        self.clock.advance(60);
    }

    /// A new account that has a mail address only; a minute passes.
    pub(crate) async fn by_mail(&self, seed: u8) -> User {
        let sent = self.cp.request_login_code(MAIL, terminal(seed), IP).await.unwrap();
        let code = self.mailed("Anna.Berg@mail.example").await;
        let entered = request(sent.challenge, code);
        let signed_in = self.cp.sign_in(&entered, terminal(seed)).await.unwrap();
        self.clock.advance(60);
        let session = self.cp.session(&signed_in.tokens.access).await.unwrap().unwrap();
        User { signed_in, session }
    }

    /// Puts a mail address on the account of `user`, who has this number.
    pub(crate) async fn add_mail(&self, user: &User, number: &str, address: &str) {
        self.confirm(user, number).await;
        let sent = self.cp.request_identifier_code(&user.session, address, IP).await.unwrap();
        let code = self.mailed(crate::email::Email::parse(address).unwrap().expose()).await;
        let (mail, id) = (IdentifierKind::Email, &sent.challenge);
        self.cp.change_identifier(&user.session, mail, id, &code).await.unwrap();
        self.clock.advance(60);
    }

    fn words_to(&self, address: &str, word: &str) -> usize {
        let mail = self.mail.0.lock().unwrap();
        let sms = self.sms.0.lock().unwrap();
        let to = |(to, text): &&(String, String)| to == address && text.contains(word);
        mail.iter().filter(to).count() + sms.iter().filter(to).count()
    }
}

#[tokio::test]
async fn a_mail_address_registers_with_a_code_and_signs_in_with_one() {
    let rig = Rig::new().await;
    let sent = rig.cp.request_login_code(MAIL, terminal(1), IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    assert_eq!(code.expose().len(), 6);
    let wrong = sightline_grant::Redacted::new("x".to_owned());
    let refused = rig.cp.sign_in(&request(sent.challenge.clone(), wrong), terminal(1)).await;
    assert!(matches!(refused, Err(SignInError::Otp(OtpError::WrongCode))), "no account without it");
    let first = rig.cp.sign_in(&request(sent.challenge, code), terminal(1)).await.unwrap();
    assert!(first.new_account);
    rig.clock.advance(60);

    let sent = rig.cp.request_login_code("anna.berg@mail.EXAMPLE", terminal(2), IP).await.unwrap();
    let code = rig.mailed("anna.berg@mail.example").await;
    let again = rig.cp.sign_in(&request(sent.challenge, code), terminal(2)).await.unwrap();
    assert!(!again.new_account);
    assert_eq!(again.account, first.account, "case makes no other account");
    let session = rig.cp.session(&again.tokens.access).await.unwrap().unwrap();
    let me = rig.cp.me(&session).await.unwrap().unwrap();
    assert_eq!((me.phone_masked.as_ref(), me.is_full()), (None, true));
    let known = &me.addresses[0];
    assert_eq!((known.method.as_str(), known.held_until), ("email", 0));
    assert_eq!(known.verified_at, super::rig::START);
    let unproved = crate::session::Me { addresses: Vec::new(), ..me.clone() };
    assert!(!unproved.is_full(), "nothing was proved");
    assert!(rig.sms.0.lock().unwrap().is_empty(), "no SMS for a mail address");
    assert_eq!(rig.cp.list_accounts().await.unwrap()[0].phone_masked, "A***@mail.example");
    requirement!("A2", "A4", "A5");
}

#[tokio::test]
async fn who_has_no_number_gets_the_viewing_code_by_mail() {
    let rig = Rig::new().await;
    let anna = rig.by_mail(1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let sent = rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    assert!(rig.cp.step_up(&anna.session, &sent.challenge, &code).await.is_ok());
}

#[tokio::test]
async fn strangers_who_ask_for_mails_to_an_owner_keep_nobody_from_watching() {
    let rig = Rig::new().await;
    let anna = rig.by_mail(1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let mut taken = 0;
    for seed in 10..20 {
        let asked = rig.cp.request_login_code(MAIL, terminal(seed), IP).await;
        assert!(asked.is_ok() || matches!(asked, Err(OtpError::Limited(_))));
        taken += u64::from(asked.is_ok());
        rig.clock.advance(60);
    }
    assert_eq!(taken, SENDS_FOR_STRANGERS[0].most);
    let sent = rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    assert!(rig.cp.step_up(&anna.session, &sent.challenge, &code).await.is_ok());
}

#[tokio::test]
async fn the_networks_of_one_ipv6_customer_share_their_mails_and_others_have_their_own() {
    let sends_per_ip = vec![Window { seconds: 3600, most: 3 }];
    let rig = Rig::with(Limits { sends_per_ip, ..Limits::default() }).await;
    let wish = async |n: u16, ip: [u16; 8]| {
        let target = format!("nobody{n}@mail.example");
        rig.cp.request_login_code(&target, terminal(1), IpAddr::from(ip)).await
    };
    let most = 3 * u16::try_from(NETWORK_SHARE).unwrap();
    for n in 0..most {
        assert!(wish(n, [0x2001, 0xdb8, 1, n / 3, 0, 0, 0, 1]).await.is_ok(), "{n}");
    }
    let fourth = wish(most, [0x2001, 0xdb8, 1, 0, 0, 0, 0, 2]).await;
    assert!(matches!(fourth, Err(OtpError::Limited(_))), "another host of a full /64");
    let fresh = wish(most, [0x2001, 0xdb8, 1, 0xffff, 0, 0, 0, 1]).await;
    assert!(matches!(fresh, Err(OtpError::Limited(_))), "another /64 of a full /48");
    assert!(wish(most, [0x2001, 0xdb8, 2, 0, 0, 0, 0, 1]).await.is_ok(), "another /48");
    let keys = |ip: [u8; 4]| {
        let charges = rig.cp.ip_charges("d", IpAddr::from(ip), &[]);
        charges.into_iter().map(|charge| charge.key).collect::<Vec<_>>()
    };
    assert_ne!(keys([192, 0, 2, 1]), keys([192, 0, 2, 2]), "an IPv4 address counts alone");
    assert_eq!(keys([192, 0, 2, 1]).len(), 1);
}

#[tokio::test]
async fn an_hour_that_is_full_of_mails_to_strangers_stops_no_wish_within_a_login() {
    let sends_in_all = vec![Window { seconds: 3600, most: 2 }];
    let rig = Rig::with(Limits { sends_in_all, ..Limits::default() }).await;
    let anna = rig.by_mail(1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.cp.request_login_code("one@mail.example", terminal(2), IP).await.unwrap();
    let full = rig.cp.request_login_code("two@mail.example", terminal(3), IP).await;
    assert!(matches!(full, Err(OtpError::Limited(_))));
    assert!(rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.is_ok());
}

#[tokio::test]
async fn a_mail_code_that_is_answered_takes_nothing_from_the_next_new_terminal() {
    let rig = Rig::new().await;
    let first = rig.by_mail(1).await;
    for seed in 2..=4 {
        assert_eq!(rig.by_mail(seed).await.session.account, first.session.account);
    }
}

#[tokio::test]
async fn what_is_neither_a_number_nor_an_address_gets_no_code() {
    let rig = Rig::new().await;
    for bad in ["anna", "anna@example", "a\r\nBcc: b@c.example@d.example", "ännä@mail.example", ""]
    {
        let refused = rig.cp.request_login_code(bad, terminal(1), IP).await;
        assert!(matches!(refused, Err(OtpError::BadNumber)), "{bad:?}");
    }
    rig.cp.deliver_outbox().await.unwrap();
    assert!(rig.mail.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_address_comes_to_an_account_by_step_up_and_its_own_code_and_the_old_one_is_told() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let unconfirmed = rig.cp.request_identifier_code(&anna.session, MAIL, IP).await;
    assert!(matches!(unconfirmed, Err(IdentifierError::Secure(SecureError::Required))));
    rig.confirm(&anna, ANNA).await;
    let sent = rig.cp.request_identifier_code(&anna.session, MAIL, IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    let wrong = sightline_grant::Redacted::new("00000000x".to_owned());
    let id = &sent.challenge;
    let mail = IdentifierKind::Email;
    assert!(rig.cp.change_identifier(&anna.session, mail, id, &wrong).await.is_err());
    assert!(rig.cp.secure_by_code(&anna.session, id, &code).await.is_err(), "another purpose");
    assert_eq!(
        rig.cp.addresses_of(&anna.session.account).await.unwrap().len(),
        1,
        "not proved yet"
    );
    let phone = IdentifierKind::Phone;
    assert!(rig.cp.change_identifier(&anna.session, phone, id, &code).await.is_err(), "other kind");
    rig.cp.change_identifier(&anna.session, mail, id, &code).await.unwrap();
    assert!(rig.cp.change_identifier(&anna.session, mail, id, &code).await.is_err(), "used");
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.words_to(ANNA, "was added"), 1);

    rig.clock.advance(60);
    rig.add_mail(&anna, ANNA, OTHER_MAIL).await;
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.words_to("Anna.Berg@mail.example", "in place of this one"), 1, "the old one");
    assert_eq!(rig.words_to(OTHER_MAIL, "in place of"), 0);
    let sent = rig.cp.request_login_code(MAIL, terminal(5), IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    let stranger = rig.cp.sign_in(&request(sent.challenge, code), terminal(5)).await.unwrap();
    assert!(stranger.new_account, "the old address leads to the account no more");
    let told = rig.cp.messages(&anna.session).await.unwrap();
    assert_eq!(told.iter().filter(|m| m.message.kind == "identifier_changed").count(), 2);
    requirement!("A7");
}

#[tokio::test]
async fn a_changed_number_signs_in_and_the_old_one_is_told_and_does_not() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.confirm(&anna, ANNA).await;
    let sent = rig.cp.request_identifier_code(&anna.session, BEN, IP).await.unwrap();
    let code = rig.code(BEN).await;
    let phone = IdentifierKind::Phone;
    rig.cp.change_identifier(&anna.session, phone, &sent.challenge, &code).await.unwrap();
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.words_to(ANNA, "in place of this one"), 1);
    rig.clock.advance(60);
    let again = rig.sign_in(BEN, 2).await;
    assert_eq!(again.session.account, anna.session.account);
    assert!(rig.sign_in(ANNA, 3).await.signed_in.new_account);
    requirement!("A7");
}

#[tokio::test]
async fn an_address_of_another_account_is_refused_only_to_whoever_proves_it() {
    let rig = Rig::new().await;
    let (anna, ben) = (rig.sign_in(ANNA, 1).await, rig.sign_in(BEN, 2).await);
    rig.confirm(&ben, BEN).await;
    let sent = rig.cp.request_identifier_code(&ben.session, ANNA, IP).await.unwrap();
    let code = rig.code(ANNA).await;
    let (phone, id) = (IdentifierKind::Phone, &sent.challenge);
    let taken = rig.cp.change_identifier(&ben.session, phone, id, &code).await;
    assert!(matches!(taken, Err(IdentifierError::Taken)));
    let still = rig.cp.addresses_of(&anna.session.account).await.unwrap();
    assert_eq!(still[0].address.expose(), ANNA);
}

#[tokio::test]
async fn a_new_address_confirms_nothing_for_three_days() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.add_mail(&anna, ANNA, MAIL).await;
    let by_mail = Some(IdentifierKind::Email);
    let held = rig.cp.request_secure_code(&anna.session, by_mail, IP).await;
    assert!(matches!(held, Err(OtpError::Held(wait)) if wait.0 <= IDENTIFIER_HOLD_SECS));
    let free = rig.cp.request_secure_code(&anna.session, None, IP).await;
    assert!(free.is_ok(), "the number of the registration");
    rig.clock.advance(IDENTIFIER_HOLD_SECS - 60);
    let sent = rig.cp.request_secure_code(&anna.session, by_mail, IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    assert!(rig.cp.secure_by_code(&anna.session, &sent.challenge, &code).await.is_ok());
}

#[tokio::test]
async fn a_number_that_came_lately_gets_no_viewing_code() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.confirm(&anna, ANNA).await;
    let sent = rig.cp.request_identifier_code(&anna.session, BEN, IP).await.unwrap();
    let code = rig.code(BEN).await;
    let phone = IdentifierKind::Phone;
    rig.cp.change_identifier(&anna.session, phone, &sent.challenge, &code).await.unwrap();
    rig.clock.advance(60);
    let held = rig.cp.request_view_code(&anna.session, "CAM-1", IP).await;
    assert!(matches!(held, Err(OtpError::Held(wait)) if wait.0 == IDENTIFIER_HOLD_SECS - 60));
    rig.clock.advance(IDENTIFIER_HOLD_SECS - 60);
    rig.open_window(&anna, BEN, "CAM-1").await;
}

#[tokio::test]
async fn a_viewing_code_passes_by_a_new_number_to_the_address_of_the_registration() {
    let rig = Rig::new().await;
    let anna = rig.by_mail(1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let sent = rig.cp.request_secure_code(&anna.session, None, IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    rig.cp.secure_by_code(&anna.session, &sent.challenge, &code).await.unwrap();
    let sent = rig.cp.request_identifier_code(&anna.session, BEN, IP).await.unwrap();
    let code = rig.code(BEN).await;
    let phone = IdentifierKind::Phone;
    rig.cp.change_identifier(&anna.session, phone, &sent.challenge, &code).await.unwrap();
    rig.clock.advance(60);
    let sent = rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.unwrap();
    let code = rig.mailed("Anna.Berg@mail.example").await;
    assert!(rig.cp.step_up(&anna.session, &sent.challenge, &code).await.is_ok());
    assert_eq!(rig.sms.texts().len(), 1, "only the number's own proof");
}

#[tokio::test]
async fn a_code_to_a_number_that_was_taken_off_meanwhile_opens_nothing() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.add_mail(&anna, ANNA, MAIL).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.confirm(&anna, ANNA).await;
    let view = rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.unwrap().challenge;
    let view_code = rig.code(ANNA).await;
    rig.clock.advance(60);
    let secure = rig.cp.request_secure_code(&anna.session, None, IP).await.unwrap().challenge;
    let secure_code = rig.code(ANNA).await;
    rig.cp.remove_identifier(&anna.session, IdentifierKind::Phone).await.unwrap();
    let viewed = rig.cp.step_up(&anna.session, &view, &view_code).await;
    assert!(matches!(viewed, Err(OtpError::WrongCode)));
    let secured = rig.cp.secure_by_code(&anna.session, &secure, &secure_code).await;
    assert!(matches!(secured, Err(SecureError::Otp(OtpError::WrongCode))));
}

#[tokio::test]
async fn an_address_is_taken_off_by_step_up_but_never_the_last() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.confirm(&anna, ANNA).await;
    let last = rig.cp.remove_identifier(&anna.session, IdentifierKind::Phone).await;
    assert!(matches!(last, Err(IdentifierError::Last)));
    let none = rig.cp.remove_identifier(&anna.session, IdentifierKind::Email).await;
    assert!(matches!(none, Err(IdentifierError::Unknown)));
    rig.clock.advance(60);
    rig.add_mail(&anna, ANNA, MAIL).await;
    rig.clock.advance(SECURE_SECS);
    let late = rig.cp.remove_identifier(&anna.session, IdentifierKind::Email).await;
    assert!(matches!(late, Err(IdentifierError::Secure(SecureError::Required))), "window over");
    rig.confirm(&anna, ANNA).await;
    rig.cp.remove_identifier(&anna.session, IdentifierKind::Email).await.unwrap();
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.words_to("Anna.Berg@mail.example", "taken off"), 1);
}

#[tokio::test]
async fn a_mail_server_that_hangs_holds_up_no_sms() {
    let rig = Rig::new().await;
    rig.mail.hang();
    rig.cp.request_login_code(MAIL, terminal(1), IP).await.unwrap();
    rig.cp.request_login_code(ANNA, terminal(2), IP).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = tokio::spawn(rig.cp.clone().run_worker(stop.clone()));
    rig.sms.sent().await;
    assert_eq!(rig.sms.0.lock().unwrap()[0].0, ANNA);
    assert!(rig.mail.0.lock().unwrap().is_empty());
    stop.cancel();
    worker.await.unwrap();
}
