//! Adding devices: by a token that the device presents, by a code that ends, and with or without
//! telling which terminal did it.

use sightline_grant::{Redacted, requirement};

use super::rig::{ANNA, BEN, IP, Rig, terminal};
use crate::add_code::AddCode;
use crate::bind_client::BindClient;
use crate::bind_token::{BindTokenError, PresentError};
use crate::binding::{BindError, BindRequest};
use crate::consent::DEVICE_BIND;
use crate::device_facts::FactError;
use crate::limits::{
    BIND_CLIENT_SECS, BIND_TOKEN_SECS, BIND_TOKENS_OPEN, DEVICE_CODE_SECS, TOKEN_TRIES_PER_DEVICE,
};
use crate::storage::model::CodeKind;

fn bind(serial: &str, code: &str) -> BindRequest {
    BindRequest { serial: serial.into(), code: code.into(), proof: None }
}

#[tokio::test]
async fn a_device_that_presents_a_user_token_is_bound_to_the_account_that_asked_for_it_once() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.add_sealed("CAM-1", 100).await;
    rig.add_sealed("CAM-2", 102).await;
    let opened = rig.cp.open_bind_token(&anna.session, None).await.unwrap();
    assert!(!format!("{opened:?}").contains(opened.token.expose().as_str()));
    assert!(opened.token.expose().len() >= "SLU1.".len() + 22, "128 bits");
    let waiting = rig.cp.bind_token(&anna.session, &opened.id).await.unwrap();
    assert_eq!((waiting.used, waiting.serial), (false, None));

    let stranger = rig.cp.present_bind_token(terminal(99), &opened.token).await;
    assert!(matches!(stranger, Err(PresentError::Device(_))), "no device has this identity");
    let (serial, epochs) = rig.cp.present_bind_token(terminal(100), &opened.token).await.unwrap();
    assert_eq!(serial.as_str(), "CAM-1");
    let mine = rig.cp.my_devices(&anna.session).await.unwrap();
    assert_eq!((mine.len(), mine[0].epochs), (1, epochs));
    let used = rig.cp.bind_token(&anna.session, &opened.id).await.unwrap();
    assert_eq!((used.used, used.serial), (true, Some(serial)));
    let again = rig.cp.present_bind_token(terminal(102), &opened.token).await;
    assert!(matches!(again, Err(PresentError::WrongToken)), "single use");
    requirement!("B2");
}

#[tokio::test]
async fn a_user_token_lives_ten_minutes_and_its_number_and_guesses_are_bounded() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.add_sealed("CAM-1", 100).await;
    let opened = rig.cp.open_bind_token(&anna.session, Some("CAM-1")).await.unwrap();
    assert_eq!(opened.expires_at, rig.clock_now() + BIND_TOKEN_SECS);
    for _ in 1..BIND_TOKENS_OPEN {
        rig.cp.open_bind_token(&anna.session, None).await.unwrap();
    }
    let full = rig.cp.open_bind_token(&anna.session, None).await;
    assert!(matches!(full, Err(BindTokenError::Full)), "{full:?}");
    rig.cp.end_bind_token(&anna.session, &opened.id).await.unwrap();
    let ended = rig.cp.present_bind_token(terminal(100), &opened.token).await;
    assert!(matches!(ended, Err(PresentError::WrongToken)));

    let late = rig.cp.open_bind_token(&anna.session, None).await.unwrap();
    rig.clock.advance(BIND_TOKEN_SECS);
    let over = rig.cp.present_bind_token(terminal(100), &late.token).await;
    assert!(matches!(over, Err(PresentError::WrongToken)));
    let guess = Redacted::new("SLU1.guess".to_owned());
    for _ in 2..TOKEN_TRIES_PER_DEVICE[0].most {
        let wrong = rig.cp.present_bind_token(terminal(100), &guess).await;
        assert!(matches!(wrong, Err(PresentError::WrongToken)));
    }
    let anna = rig.sign_in(ANNA, 1).await;
    let right = rig.cp.open_bind_token(&anna.session, None).await.unwrap();
    let limited = rig.cp.present_bind_token(terminal(100), &right.token).await;
    assert!(matches!(limited, Err(PresentError::Fact(FactError::Limited(_)))), "{limited:?}");
    requirement!("B2");
}

#[tokio::test]
async fn the_operators_code_binds_a_free_device_once_and_within_a_day() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    let first = rig.cp.issue_bind_code("CAM-1").await.unwrap();
    let issued = rig.cp.issue_bind_code("CAM-1").await.unwrap();
    let read = AddCode::parse(issued.picture.expose()).unwrap();
    assert_eq!((read.kind, read.serial.as_str()), (CodeKind::Bind, "CAM-1"));
    assert_ne!(issued.code.expose(), texts.verification_code.expose(), "not the printed one");
    let old = rig.cp.bind(&anna.session, &bind("CAM-1", first.code.expose()), IP).await;
    assert!(matches!(old, Err(BindError::NoMatch)), "a newer one took its place");
    rig.cp.bind(&anna.session, &bind("CAM-1", read.code.expose()), IP).await.unwrap();
    rig.cp.unbind(&anna.session, "CAM-1").await.unwrap();
    let again = rig.cp.bind(&anna.session, &bind("CAM-1", read.code.expose()), IP).await;
    assert!(matches!(again, Err(BindError::NoMatch)), "single use");
    assert!(rig.cp.issue_bind_code("CAM-9").await.is_err());

    let late = rig.cp.issue_bind_code("CAM-1").await.unwrap();
    rig.clock.advance(DEVICE_CODE_SECS);
    let anna = rig.sign_in(ANNA, 1).await;
    let over = rig.cp.bind(&anna.session, &bind("CAM-1", late.code.expose()), IP).await;
    assert!(matches!(over, Err(BindError::NoMatch)));
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    assert!(rig.cp.issue_bind_code("CAM-1").await.is_err(), "somebody owns it");
    requirement!("B6");
}

fn client() -> BindClient {
    BindClient {
        client_type: "browser".into(),
        client_version: "7".into(),
        model: Some("Phone 3".into()),
        hardware_fingerprint: Some("fingerprint-of-anna".into()),
        os_version: Some("OS 5".into()),
        operator: Some("Operator".into()),
    }
}

#[tokio::test]
async fn the_terminal_that_added_a_device_is_kept_under_its_purpose_and_for_its_time() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    let refused = rig.cp.bind_client(&anna.session, client()).await;
    assert!(matches!(refused, Err(FactError::ConsentRequired("device.bind"))));
    rig.cp.grant_consent(&anna.session, DEVICE_BIND.id, 1).await.unwrap();
    let long = BindClient { client_version: "v".repeat(65), ..client() };
    assert!(matches!(rig.cp.bind_client(&anna.session, long).await, Err(FactError::Bad(_))));
    let kept = rig.cp.bind_client(&anna.session, client()).await.unwrap();
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.cp.keep_bind_client(&anna.session, "CAM-1", &kept).await.unwrap();
    let shown = rig.cp.device_detail(&anna.session, "CAM-1").await.unwrap().added_with.unwrap();
    assert_eq!((shown.model.as_deref(), shown.client_type.as_str()), (Some("Phone 3"), "browser"));
    let hash = shown.hardware_hash.unwrap();
    assert!(hash.len() == 64 && !hash.contains("anna"));
    let ben = rig.sign_in(BEN, 2).await;
    rig.cp.grant_consent(&ben.session, DEVICE_BIND.id, 1).await.unwrap();
    let of_ben = rig.cp.bind_client(&ben.session, client()).await.unwrap();
    assert_ne!(of_ben.hardware_hash, Some(hash), "no terminal is known across accounts");

    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        for secret in [&b"fingerprint-of-anna"[..], b"Phone 3"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} in {}", String::from_utf8_lossy(secret), file.display());
        }
    }
    rig.clock.advance(BIND_CLIENT_SECS);
    let anna = rig.sign_in(ANNA, 1).await;
    let over = rig.cp.device_detail(&anna.session, "CAM-1").await.unwrap();
    assert_eq!(over.added_with, None);
    requirement!("B7");
}

#[tokio::test]
async fn who_refuses_what_binding_needs_adds_nothing_and_keeps_the_account() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let first = rig.add_sealed("CAM-1", 100).await;
    let second = rig.add_sealed("CAM-2", 102).await;
    rig.bind_sealed(&anna, "CAM-1", &first).await;
    rig.cp.grant_consent(&anna.session, DEVICE_BIND.id, 1).await.unwrap();
    rig.cp.withdraw_consent(&anna.session, DEVICE_BIND.id).await.unwrap();
    let request = bind("CAM-2", second.verification_code.expose());
    let refused = rig.cp.bind(&anna.session, &request, IP).await;
    assert!(matches!(refused, Err(BindError::ConsentRequired("device.bind"))), "{refused:?}");
    let refused = rig.cp.open_bind_token(&anna.session, None).await;
    assert!(matches!(refused, Err(BindTokenError::ConsentRequired(_))));

    assert!(rig.cp.me(&anna.session).await.unwrap().is_some());
    assert_eq!(rig.cp.my_devices(&anna.session).await.unwrap().len(), 1, "what he has stays");
    assert!(rig.cp.unbind(&anna.session, "CAM-1").await.unwrap());
    rig.cp.grant_consent(&anna.session, DEVICE_BIND.id, 1).await.unwrap();
    rig.cp.bind(&anna.session, &request, IP).await.unwrap();
    requirement!("B17");
}
