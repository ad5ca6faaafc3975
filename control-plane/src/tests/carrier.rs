use std::sync::Arc;

use sightline_grant::{Redacted, requirement};

use super::rig::{ANNA, IP, Rig, agreed, request, terminal};
use crate::carrier::camara::{Account, Camara, Flow};
use crate::carrier::development::{API, AUTHORIZE, Development, TOKEN};
use crate::carrier::{CarrierError, CarrierSignIn};
use crate::clock::Clock;
use crate::limits::GUESSES_PER_LOCK;
use crate::outbound;
use crate::phone::Phone;
use crate::random::SeededRandom;

fn secret(text: &str) -> Redacted<String> {
    Redacted::new(text.to_owned())
}

/// A carrier on this machine, and a rig that works with it.
async fn rig(secret_there: &str) -> (Rig, Arc<Development>) {
    let rig = Rig::new().await;
    let clock: Arc<dyn Clock> = rig.clock.clone();
    let random = Arc::new(SeededRandom::new(3));
    let desk = Arc::new(Development::new("sightline", secret(secret_there), clock, random));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = outbound::address(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let app = desk.clone().router();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let account = Account {
        name: "Test".into(),
        client_id: "sightline".into(),
        secret: secret("shared"),
        flow: Flow::Code,
        authorize: Some(at.join(AUTHORIZE).unwrap()),
        token: at.join(TOKEN).unwrap(),
        api: at.join(API).unwrap(),
        development: true,
    };
    let http = outbound::client(None, &at).unwrap();
    rig.cp.set_carrier(Arc::new(Camara::new(account, http)));
    (rig, desk)
}

fn wish(token: &str) -> CarrierSignIn {
    CarrierSignIn {
        token: secret(token),
        redirect: None,
        terminal_name: "Phone".into(),
        client_type: "app".into(),
        consents: agreed(),
    }
}

#[tokio::test]
async fn a_line_signs_in_with_its_token_once_and_the_number_comes_from_the_carrier() {
    let (rig, desk) = rig("shared").await;
    let token = desk.code_for(Phone::parse(ANNA).unwrap());
    let first = rig.cp.sign_in_by_carrier(&wish(&token), terminal(1), IP).await.unwrap();
    assert!(first.new_account);
    let session = rig.cp.session(&first.tokens.access).await.unwrap().unwrap();
    let me = rig.cp.me(&session).await.unwrap().unwrap();
    assert!(format!("{:?}", me.phone_masked).contains("+49*********78"));
    let again = rig.cp.sign_in_by_carrier(&wish(&token), terminal(2), IP).await;
    assert!(matches!(again, Err(CarrierError::Refused)), "once");
    let made_up = rig.cp.sign_in_by_carrier(&wish("0123456789abcdef"), terminal(2), IP).await;
    assert!(matches!(made_up, Err(CarrierError::Refused)));
    let short = rig.cp.sign_in_by_carrier(&wish(ANNA.get(..7).unwrap()), terminal(2), IP).await;
    assert!(matches!(short, Err(CarrierError::Refused)), "no token");
    // The same account by a code: the number is the same identifier.
    rig.clock.advance(60);
    let by_code = rig.sign_in(ANNA, 3).await;
    assert_eq!(by_code.signed_in.account, first.account);
    assert!(rig.sms.texts().len() == 1, "nothing is sent for a line that proved itself");
    requirement!("A8");
}

#[tokio::test]
async fn guesses_of_strangers_do_not_keep_a_line_that_proves_itself_out() {
    let (rig, desk) = rig("shared").await;
    let id = rig.login_challenge(ANNA, terminal(9)).await;
    for _ in 0..GUESSES_PER_LOCK {
        let guess = request(id.clone(), secret("x"));
        assert!(rig.cp.sign_in(&guess, terminal(9)).await.is_err());
    }
    let token = desk.code_for(Phone::parse(ANNA).unwrap());
    assert!(rig.cp.sign_in_by_carrier(&wish(&token), terminal(1), IP).await.is_ok());
}

#[tokio::test]
async fn a_token_is_over_after_its_time_and_an_access_token_is_none() {
    let (rig, desk) = rig("shared").await;
    let token = desk.code_for(Phone::parse(ANNA).unwrap());
    rig.clock.advance(120);
    let late = rig.cp.sign_in_by_carrier(&wish(&token), terminal(1), IP).await;
    assert!(matches!(late, Err(CarrierError::Refused)));
}

#[tokio::test]
async fn other_ways_to_sign_in_work_while_the_carrier_is_down_or_refuses_us() {
    let (rig, desk) = rig("another").await;
    let token = desk.code_for(Phone::parse(ANNA).unwrap());
    let refused = rig.cp.sign_in_by_carrier(&wish(&token), terminal(1), IP).await;
    assert!(matches!(refused, Err(CarrierError::Refused)), "our secret is wrong");
    assert!(rig.sign_in(ANNA, 1).await.signed_in.new_account);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = outbound::address(&format!("http://{}/", closed.local_addr().unwrap())).unwrap();
    drop(closed);
    let down = Rig::new().await;
    let none = down.cp.sign_in_by_carrier(&wish("0123456789abcdef"), terminal(1), IP).await;
    assert!(matches!(none, Err(CarrierError::NoCarrier)));
    let account = Account {
        name: "Down".into(),
        client_id: "sightline".into(),
        secret: secret("shared"),
        flow: Flow::OperatorToken,
        authorize: None,
        token: at.join(TOKEN).unwrap(),
        api: at.join(API).unwrap(),
        development: false,
    };
    down.cp.set_carrier(Arc::new(Camara::new(account, outbound::client(None, &at).unwrap())));
    let silent = down.cp.sign_in_by_carrier(&wish("0123456789abcdef"), terminal(1), IP).await;
    assert!(matches!(silent, Err(CarrierError::Silent)));
    let challenge = down.login_challenge(ANNA, terminal(1)).await;
    let code = down.code(ANNA).await;
    assert!(down.cp.sign_in(&request(challenge, code), terminal(1)).await.is_ok());
}
