//! How a device comes to another owner, and what the former one is left with.

use sightline_grant::{Revocation, requirement};

use super::rig::{ANNA, BEN, IP, Rig, User, auth_of, terminal};
use crate::add_code::AddCode;
use crate::binding::{BindError, BindRequest};
use crate::consent::DEVICE_LOCATION;
use crate::device::DeviceError;
use crate::gate::Refusal;
use crate::limits::DEVICE_CODE_SECS;
use crate::place::Place;
use crate::storage::model::LeaseFacts;
use crate::transfer::{CodeError, CodeIssued, ResetError};

async fn issue(rig: &Rig, user: &User, serial: &str) -> Result<CodeIssued, CodeError> {
    let token = &user.signed_in.tokens.access;
    rig.cp.issue_transfer_code(&user.session, token, serial).await
}

fn accept(issued: &CodeIssued) -> BindRequest {
    let read = AddCode::parse(issued.picture.expose()).unwrap();
    BindRequest { serial: read.serial.0, code: read.code.into_inner(), proof: None }
}

#[tokio::test]
async fn a_device_given_away_is_wholly_the_new_owners_and_the_former_one_is_told() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    rig.cp.grant_consent(&anna.session, DEVICE_LOCATION.id, 1).await.unwrap();
    let place = Place {
        province: None,
        city: Some("Hangzhou".into()),
        district: None,
        street: None,
        latitude: None,
        longitude: None,
    };
    rig.cp.put_place(&anna.session, "CAM-1", &place).await.unwrap();
    let admission = rig.admit(&anna, "CAM-1").await.unwrap();
    let lease = LeaseFacts {
        subject: admission.subject,
        session: admission.session,
        serial: "CAM-1".into(),
        epochs: admission.epochs,
    };
    let ben = rig.sign_in(BEN, 2).await;
    let anna = rig.sign_in(ANNA, 1).await;
    assert!(rig.prove(&anna, "CAM-1", &super::rig::key(101)).await);
    rig.open_window(&anna, ANNA, "CAM-1").await;
    let issued = issue(&rig, &anna, "CAM-1").await.unwrap();
    assert!(!format!("{issued:?}").contains(issued.code.expose().as_str()));
    let detail = rig.cp.device_detail(&anna.session, "CAM-1").await.unwrap();
    assert_eq!(detail.transfer_until, Some(issued.expires_at));

    let mut feed = rig.cp.revocations();
    let epochs = rig.cp.accept_transfer(&ben.session, &accept(&issued), IP).await.unwrap();
    assert!(epochs.binding > lease.epochs.binding);
    let expected = Revocation::Binding { serial: "CAM-1".into(), epoch: epochs.binding };
    assert_eq!(feed.try_recv().unwrap(), expected);
    assert_eq!(rig.cp.renew(&[lease]).await.unwrap(), [false]);
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::NotBound)));
    assert!(matches!(rig.admit(&ben, "CAM-1").await, Err(Refusal::KeyProofRequired)));
    let standing = rig.cp.device_of(terminal(100)).await.unwrap();
    assert_eq!(standing.verifier, None, "the camera makes a secret of the new owner's own");
    let detail = rig.cp.device_detail(&ben.session, "CAM-1").await.unwrap();
    assert!(!detail.has_place && detail.state.device.name == "Door");
    let again = rig.cp.accept_transfer(&anna.session, &accept(&issued), IP).await;
    assert!(matches!(again, Err(BindError::NoMatch)), "single use");
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    assert!(told.iter().any(|shown| shown.message.kind == "device_given"));
    requirement!("B3", "B4", "B6");
}

#[tokio::test]
async fn a_transfer_code_needs_the_device_key_and_sms_ends_in_a_day_and_can_be_taken_back() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    let epoch = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let bare = issue(&rig, &anna, "CAM-1").await;
    assert!(matches!(bare, Err(CodeError::Refused(Refusal::KeyProofRequired))), "{bare:?}");
    rig.key_and_facts(&anna, ANNA, "CAM-1", epoch, 101).await;
    let first = issue(&rig, &anna, "CAM-1").await.unwrap();
    let ben = rig.sign_in(BEN, 2).await;
    let stranger = issue(&rig, &ben, "CAM-1").await;
    assert!(matches!(stranger, Err(CodeError::Refused(Refusal::NotBound))));
    rig.cp.end_transfer_code(&anna.session, "CAM-1").await.unwrap();
    let ended = rig.cp.accept_transfer(&ben.session, &accept(&first), IP).await;
    assert!(matches!(ended, Err(BindError::NoMatch)));
    let second = issue(&rig, &anna, "CAM-1").await.unwrap();
    let own = rig.cp.accept_transfer(&anna.session, &accept(&second), IP).await.unwrap();
    assert_eq!(own.binding, epoch, "his own code changes nothing");
    rig.clock.advance(DEVICE_CODE_SECS);
    let ben = rig.sign_in(BEN, 2).await;
    let over = rig.cp.accept_transfer(&ben.session, &accept(&second), IP).await;
    assert!(matches!(over, Err(BindError::NoMatch)));
    assert!(rig.cp.my_devices(&ben.session).await.unwrap().is_empty());
    requirement!("B6");
}

#[tokio::test]
async fn an_open_device_is_taken_over_only_with_its_publishing_password() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_open("CAM-1").await;
    let auth = auth_of(texts.publish_password.as_ref().unwrap());
    let code = texts.verification_code.expose().clone();
    let proven = async |user: &User| {
        let (challenge, message) = rig.challenge(user, "CAM-1").await;
        Some((challenge, auth.sign(&message).as_ref().to_vec()))
    };
    let proof = proven(&anna).await;
    let request = BindRequest { serial: "CAM-1".into(), code, proof };
    rig.cp.bind(&anna.session, &request, IP).await.unwrap();
    assert!(rig.prove(&anna, "CAM-1", &auth).await);
    rig.open_window(&anna, ANNA, "CAM-1").await;
    let issued = issue(&rig, &anna, "CAM-1").await.unwrap();
    let ben = rig.sign_in(BEN, 2).await;
    let bare = rig.cp.accept_transfer(&ben.session, &accept(&issued), IP).await;
    assert!(matches!(bare, Err(BindError::KeyProofRequired)));
    let request = BindRequest { proof: proven(&ben).await, ..accept(&issued) };
    rig.cp.accept_transfer(&ben.session, &request, IP).await.unwrap();
    requirement!("B3");
}

#[tokio::test]
async fn a_bound_device_is_bound_anew_only_after_somebody_reset_it_on_the_spot() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.admitted(&anna, ANNA, "CAM-1").await;
    let epoch = rig.admit(&anna, "CAM-1").await.unwrap().epochs.binding;
    let ben = rig.sign_in(BEN, 2).await;
    let code = texts.verification_code.expose().clone();
    let request = BindRequest { serial: "CAM-1".into(), code, proof: None };
    let taken = rig.cp.bind(&ben.session, &request, IP).await;
    assert!(matches!(taken, Err(BindError::Taken)));
    let token = rig.cp.open_bind_token(&ben.session, None).await.unwrap().token;
    assert!(rig.cp.present_bind_token(terminal(100), &token).await.is_err(), "taken this way too");

    let other = rig.cp.reset_device(terminal(99), epoch).await;
    assert!(matches!(other, Err(ResetError::Device(DeviceError::Unknown))));
    let stale = rig.cp.reset_device(terminal(100), epoch - 1).await;
    assert!(matches!(stale, Err(ResetError::Device(DeviceError::OtherBinding))));
    let mut feed = rig.cp.revocations();
    let ended = rig.cp.reset_device(terminal(100), epoch).await.unwrap();
    let expected = Revocation::Binding { serial: "CAM-1".into(), epoch: ended.binding };
    assert_eq!(feed.try_recv().unwrap(), expected);
    let again = rig.cp.reset_device(terminal(100), epoch).await;
    assert!(matches!(again, Err(ResetError::Device(DeviceError::OtherBinding))), "a replay");
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::NotBound)));
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    let told = told.iter().find(|shown| shown.message.kind == "device_reset").unwrap();
    assert!(told.en.contains("reset") && told.zh.contains("重置"));

    rig.cp.present_bind_token(terminal(100), &token).await.unwrap();
    assert!(matches!(rig.admit(&ben, "CAM-1").await, Err(Refusal::KeyProofRequired)));
    assert!(!rig.prove(&ben, "CAM-1", &super::rig::key(101)).await, "the old secret is dead");
    requirement!("B3");
}

#[tokio::test]
async fn the_operator_ends_a_binding_and_the_former_owner_is_told() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    assert!(rig.cp.release_device("CAM-1").await.is_err(), "nobody owns it");
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.cp.release_device("CAM-1").await.unwrap();
    assert!(rig.cp.my_devices(&anna.session).await.unwrap().is_empty());
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    assert!(told.iter().any(|shown| shown.message.kind == "device_unbound"));
}
