use sightline_grant::{Action, Redacted, requirement};

use super::rig::{ANNA, BEN, Rig, key, terminal};
use crate::consent::{ACCOUNT, MEDIA_VIEW};
use crate::gate::{AuditError, Refusal, SessionContext};
use crate::ids::Serial;
use crate::limits::{Limits, MEDIA_CONTEXT_SECS, VIEW_IDLE_SECS};
use crate::storage::model::LeaseFacts;
use crate::storage::{ConsentStore, UpkeepStore};
use crate::viewing::ViewWindow;

#[tokio::test]
async fn the_gate_asks_for_each_fact_in_its_order() {
    let rig = Rig::new().await;
    let nobody = Redacted::new("nobody".to_owned());
    let refused = rig.cp.admit(&nobody, terminal(1), "CAM-1", 0, Action::Live).await;
    assert!(matches!(refused, Err(Refusal::LoginRequired)));
    let anna = rig.sign_in(ANNA, 1).await;
    let token = &anna.signed_in.tokens.access;
    let refused = rig.cp.admit(token, terminal(2), "CAM-1", 0, Action::Live).await;
    assert!(matches!(refused, Err(Refusal::WrongTerminal)));
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::NotBound)), "unknown");
    let texts = rig.add_sealed("CAM-1", 100).await;
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::NotBound)), "not bound");
    let epoch = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::KeyProofRequired)));
    let auth = key(101);
    let sightline_grant::PublicKey::Ed25519(verifier) = super::rig::public(&auth) else {
        panic!("Ed25519")
    };
    rig.cp.store_verifier(terminal(100), epoch, &verifier).await.unwrap();
    assert!(rig.prove(&anna, "CAM-1", &auth).await);
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::SmsRequired)));
    rig.open_window(&anna, ANNA, "CAM-1").await;
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::ConsentRequired)));
    rig.cp.grant_consent(&anna.session, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    let admission = rig.admit(&anna, "CAM-1").await.unwrap();
    assert_eq!(admission.subject, anna.session.subject.0);
    assert_eq!(admission.epochs.binding, epoch);
    let other = rig.cp.admit(token, terminal(1), "CAM-1", 1, Action::Live).await;
    assert!(matches!(other, Err(Refusal::NotBound)), "no such channel");
    requirement!("A23");
}

#[tokio::test]
async fn an_idle_window_closes_and_a_used_one_stays_open() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let admission = rig.admit(&anna, "CAM-1").await.unwrap();
    let lease = LeaseFacts {
        subject: admission.subject,
        session: admission.session,
        serial: "CAM-1".into(),
        epochs: admission.epochs,
    };
    let mut tokens = anna.signed_in.tokens.clone();
    for _ in 0..3 {
        rig.clock.advance(VIEW_IDLE_SECS - 61);
        assert_eq!(rig.cp.renew(std::slice::from_ref(&lease)).await.unwrap(), [true]);
    }
    tokens = rig.cp.refresh(&tokens.refresh, terminal(1)).await.unwrap();
    let admit = async |rig: &Rig, access: &Redacted<String>| {
        let verdict = rig.cp.admit(access, terminal(1), "CAM-1", 0, Action::Live).await;
        rig.cp.touches_written().await;
        verdict
    };
    assert!(admit(&rig, &tokens.access).await.is_ok(), "a running stream keeps it open");
    rig.clock.advance(VIEW_IDLE_SECS);
    tokens = rig.cp.refresh(&tokens.refresh, terminal(1)).await.unwrap();
    assert!(matches!(admit(&rig, &tokens.access).await, Err(Refusal::SmsRequired)));
}

#[tokio::test]
async fn where_every_session_needs_a_code_a_window_lets_one_in_and_that_one_goes_on() {
    let limits = Limits { view: ViewWindow::of_minutes(0).unwrap(), ..Limits::default() };
    let rig = Rig::with(limits).await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let begin = async |rig: &Rig| {
        let token = &anna.signed_in.tokens.access;
        rig.cp.admit_session(token, terminal(1), "CAM-1", 0, Action::Live).await
    };
    let both = tokio::join!(begin(&rig), begin(&rig));
    let admission = match both {
        (Ok(admission), Err(Refusal::SmsRequired)) | (Err(Refusal::SmsRequired), Ok(admission)) => {
            admission
        }
        other => panic!("one of two sessions is let in: {other:?}"),
    };
    let lease = LeaseFacts {
        subject: admission.subject,
        session: admission.session,
        serial: "CAM-1".into(),
        epochs: admission.epochs,
    };
    assert_eq!(rig.cp.renew(&[lease]).await.unwrap(), [true], "it goes on");
    assert!(rig.admit(&anna, "CAM-1").await.is_ok(), "and gets the keys that follow");
    rig.clock.advance(61);
    rig.open_window(&anna, ANNA, "CAM-1").await;
    assert!(begin(&rig).await.is_ok(), "a new code lets another one in");
    assert!(matches!(begin(&rig).await, Err(Refusal::SmsRequired)));
}

#[tokio::test]
async fn a_window_closes_after_the_minutes_that_the_operator_wants() {
    let limits = Limits { view: ViewWindow::of_minutes(2).unwrap(), ..Limits::default() };
    let rig = Rig::with(limits).await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    // A minute has gone since the code was answered.
    rig.clock.advance(59);
    assert!(rig.admit(&anna, "CAM-1").await.is_ok(), "a use moves it on");
    rig.cp.touches_written().await;
    rig.clock.advance(119);
    assert!(rig.admit(&anna, "CAM-1").await.is_ok());
    rig.cp.touches_written().await;
    let tokens = rig.cp.refresh(&anna.signed_in.tokens.refresh, terminal(1)).await.unwrap();
    rig.clock.advance(120);
    let late = rig.cp.admit(&tokens.access, terminal(1), "CAM-1", 0, Action::Live).await;
    assert!(matches!(late, Err(Refusal::SmsRequired)), "{late:?}");
}

#[tokio::test]
async fn a_view_ends_with_the_login_and_at_the_windows_latest_end() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let admission = rig.admit(&anna, "CAM-1").await.unwrap();
    let lease = |serial: &str, subject: &str| LeaseFacts {
        subject: subject.into(),
        session: admission.session.clone(),
        serial: serial.into(),
        epochs: admission.epochs,
    };
    let good = lease("CAM-1", &admission.subject);
    let leases =
        [good.clone(), lease("CAM-2", &admission.subject), lease("CAM-1", "someone"), good.clone()];
    assert_eq!(rig.cp.renew(&leases).await.unwrap(), [true, false, false, true]);
    rig.clock.advance(crate::limits::VIEW_MAX_SECS);
    assert_eq!(rig.cp.renew(std::slice::from_ref(&good)).await.unwrap(), [false]);
    rig.cp.sign_out(&anna.session).await.unwrap();
    assert_eq!(rig.cp.renew(&[good]).await.unwrap(), [false]);
}

#[tokio::test]
async fn refusing_to_be_viewed_at_blocks_viewing_only() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    rig.cp.withdraw_consent(&anna.session, MEDIA_VIEW.id).await.unwrap();
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::ConsentRequired)));
    assert_eq!(rig.cp.my_devices(&anna.session).await.unwrap().len(), 1);
    assert!(rig.cp.me(&anna.session).await.unwrap().is_some());
    assert!(rig.cp.unbind(&anna.session, "CAM-1").await.unwrap());
    requirement!("M9");
}

#[tokio::test]
async fn the_context_of_a_view_is_kept_under_its_purpose_and_for_its_time() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let serial = Serial("CAM-1".into());
    let context = SessionContext { wan_ip: Some("198.51.100.77".into()), ..Default::default() };
    let record = async |context: &SessionContext| {
        rig.cp.audit_media_session(&anna.session, &serial, Action::Live, Some(context)).await
    };
    assert!(matches!(record(&context).await, Err(AuditError::ConsentRequired)));
    rig.cp.grant_consent(&anna.session, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    record(&context).await.unwrap();
    let long = SessionContext { model: Some("x".repeat(65)), ..Default::default() };
    assert!(matches!(record(&long).await, Err(AuditError::TooLong)));
    let text = r#"{"accelerometer":"0,0,1"}"#;
    assert!(serde_json::from_str::<SessionContext>(text).is_err(), "no field for motion");
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(13).any(|w| w == b"198.51.100.77"), "{}", file.display());
    }
    rig.store.purge(super::rig::START + MEDIA_CONTEXT_SECS).await.unwrap();
    assert_eq!(rig.store.contexts_kept().await, 1);
    rig.store.purge(super::rig::START + 2 * MEDIA_CONTEXT_SECS).await.unwrap();
    assert_eq!(rig.store.contexts_kept().await, 0);
    requirement!("M7", "M8");
}

#[tokio::test]
async fn a_stranger_is_refused_like_someone_whose_device_does_not_exist() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let ben = rig.sign_in(BEN, 2).await;
    for serial in ["CAM-1", "CAM-2", "*", "../CAM-1", ""] {
        assert!(matches!(rig.admit(&ben, serial).await, Err(Refusal::NotBound)), "{serial}");
    }
    let decided = rig.store.consents(&ben.session.account).await.unwrap();
    let about: Vec<&str> = decided.iter().map(|state| state.purpose.as_str()).collect();
    assert_eq!(about, [ACCOUNT.id]);
}
