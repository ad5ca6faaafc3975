use sightline_grant::{Revocation, requirement};

use super::rig::{ANNA, BEN, IP, Rig, answered, auth_of, key, terminal};
use crate::binding::{BindError, BindRequest};
use crate::device::{DeviceError, DeviceKnown, DeviceStanding, EncMode};
use crate::gate::Refusal;
use crate::key::KeyError;
use crate::limits::KEY_TRIES;
use crate::storage::model::{DeviceEpochs, LeaseFacts};

fn bind(serial: &str, code: &str) -> BindRequest {
    BindRequest { serial: serial.into(), code: code.into(), proof: None }
}

#[tokio::test]
async fn a_wrong_code_and_an_unknown_serial_get_the_same_answer() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.add_sealed("CAM-1", 100).await;
    let mut answers = Vec::new();
    for serial in ["CAM-1", "CAM-2", "no such serial/.."] {
        let mut of_serial = Vec::new();
        for _ in 0..3 {
            let error = rig.cp.bind(&anna.session, &bind(serial, "AAAA-AAAA"), IP).await;
            of_serial.push(error.unwrap_err().to_string());
        }
        answers.push(of_serial);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    requirement!("B1");
}

#[tokio::test]
async fn five_binding_tries_on_a_serial_close_it_for_an_hour_even_to_the_right_code() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    for serial in ["CAM-1", "CAM-9"] {
        for _ in 0..5 {
            let error = rig.cp.bind(&anna.session, &bind(serial, "AAAA-AAAA"), IP).await;
            assert!(matches!(error, Err(BindError::NoMatch)));
        }
    }
    let ben = rig.sign_in(BEN, 2).await;
    let right = bind("CAM-1", texts.verification_code.expose());
    for request in [&right, &bind("CAM-9", "AAAA-AAAA")] {
        let error = rig.cp.bind(&ben.session, request, IP).await;
        assert!(matches!(error, Err(BindError::Limited(wait)) if wait.0 > 3000), "{error:?}");
    }
    rig.clock.advance(3600);
    let ben = rig.sign_in(BEN, 2).await;
    let typed = texts.verification_code.expose().to_lowercase().replace('-', " ");
    assert!(rig.cp.bind(&ben.session, &bind("CAM-1", &typed), IP).await.is_ok());
    requirement!("B1");
}

#[tokio::test]
async fn a_device_has_one_owner_and_everything_of_the_former_one_is_dead() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.admitted(&anna, ANNA, "CAM-1").await;
    let admission = rig.admit(&anna, "CAM-1").await.unwrap();
    let lease = LeaseFacts {
        subject: admission.subject.clone(),
        session: admission.session.clone(),
        serial: "CAM-1".into(),
        epochs: admission.epochs,
    };
    assert_eq!(rig.cp.renew(std::slice::from_ref(&lease)).await.unwrap(), [true]);
    let (old_challenge, old_message) = rig.challenge(&anna, "CAM-1").await;

    let ben = rig.sign_in(BEN, 2).await;
    let code = texts.verification_code.expose();
    let taken = rig.cp.bind(&ben.session, &bind("CAM-1", code), IP).await;
    assert!(matches!(taken, Err(BindError::Taken)));
    assert!(!rig.cp.unbind(&ben.session, "CAM-1").await.unwrap(), "only the owner unbinds");

    let mut feed = rig.cp.revocations();
    assert!(rig.cp.unbind(&anna.session, "CAM-1").await.unwrap());
    let Revocation::Binding { serial, epoch } = feed.try_recv().unwrap() else {
        panic!("another revocation")
    };
    assert_eq!(serial, "CAM-1");
    assert!(epoch > admission.epochs.binding);
    assert_eq!(rig.cp.renew(std::slice::from_ref(&lease)).await.unwrap(), [false]);
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::NotBound)));

    let epoch = rig.bind_sealed(&ben, "CAM-1", &texts).await;
    assert!(matches!(rig.admit(&ben, "CAM-1").await, Err(Refusal::KeyProofRequired)));
    rig.key_and_facts(&ben, BEN, "CAM-1", epoch, 102).await;
    assert!(rig.admit(&ben, "CAM-1").await.is_ok());
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::NotBound)));
    assert_eq!(rig.cp.renew(&[lease]).await.unwrap(), [false]);
    let old = key(101).sign(&old_message);
    let proof =
        rig.cp.prove_key(&anna.session, "CAM-1", &answered(old_challenge, old.as_ref())).await;
    assert!(matches!(proof, Err(KeyError::NotBound)));
    assert!(rig.cp.request_view_code(&anna.session, "CAM-1", IP).await.is_err());
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    assert!(told.iter().any(|shown| shown.message.kind == "device_unbound"));

    // Bound back to the first owner: still nothing of the old time holds.
    rig.cp.unbind(&ben.session, "CAM-1").await.unwrap();
    rig.clock.advance(3600);
    let anna = rig.sign_in(ANNA, 1).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::KeyProofRequired)));
    requirement!("B3");
}

#[tokio::test]
async fn an_open_device_is_bound_only_with_its_publishing_password() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_open("CAM-1").await;
    let code = texts.verification_code.expose().clone();
    let bare = rig.cp.bind(&anna.session, &bind("CAM-1", &code), IP).await;
    assert!(matches!(bare, Err(BindError::KeyProofRequired)));
    let (challenge, message) = rig.challenge(&anna, "CAM-1").await;
    let wrong = key(9).sign(&message).as_ref().to_vec();
    let request = BindRequest { proof: Some((challenge, wrong)), ..bind("CAM-1", &code) };
    assert!(rig.cp.bind(&anna.session, &request, IP).await.is_err());
    let auth = auth_of(texts.publish_password.as_ref().unwrap());
    let (challenge, message) = rig.challenge(&anna, "CAM-1").await;
    let right = auth.sign(&message).as_ref().to_vec();
    let request = BindRequest { proof: Some((challenge, right)), ..bind("CAM-1", &code) };
    assert!(rig.cp.bind(&anna.session, &request, IP).await.is_ok());
    assert!(rig.prove(&anna, "CAM-1", &auth).await);
}

#[tokio::test]
async fn a_device_learns_of_its_owner_and_a_new_key_ends_old_proofs() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    let known = rig.cp.device_of(terminal(100)).await.unwrap().epochs;
    let cp = rig.cp.clone();
    let told = DeviceKnown { epochs: known, ..DeviceKnown::default() };
    let waiting = tokio::spawn(async move { cp.poll_device(terminal(100), told).await });
    tokio::task::yield_now().await;
    let epoch = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    let standing = waiting.await.unwrap().unwrap();
    let epochs = DeviceEpochs { binding: epoch, key: known.key };
    let expected = DeviceStanding {
        bound: true,
        epochs,
        key_wanted: true,
        list_version: 0,
        enc_mode: EncMode::Sealed,
        enc_order: None,
        inventory_wanted: false,
    };
    assert_eq!(standing, expected);

    let stale = rig.cp.store_verifier(terminal(100), epoch - 1, &[1; 32]).await;
    assert!(matches!(stale, Err(DeviceError::OtherBinding)));
    let stranger = rig.cp.store_verifier(terminal(99), epoch, &[1; 32]).await;
    assert!(matches!(stranger, Err(DeviceError::Unknown)));
    rig.key_and_facts(&anna, ANNA, "CAM-1", epoch, 101).await;
    let before = rig.admit(&anna, "CAM-1").await.unwrap();
    let mut feed = rig.cp.revocations();
    let verifier = super::rig::public(&key(102));
    let sightline_grant::PublicKey::Ed25519(verifier) = verifier else { panic!("Ed25519") };
    let rotated = rig.cp.store_verifier(terminal(100), epoch, &verifier).await.unwrap();
    assert!(rotated > before.epochs.key);
    let again = rig.cp.store_verifier(terminal(100), epoch, &verifier).await.unwrap();
    assert_eq!(again, rotated, "the same key again changes nothing");
    let expected = Revocation::Key { serial: "CAM-1".into(), epoch: rotated };
    assert_eq!(feed.try_recv().unwrap(), expected);
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::KeyProofRequired)));
    assert!(rig.prove(&anna, "CAM-1", &key(102)).await);
    assert!(rig.admit(&anna, "CAM-1").await.is_ok());
    requirement!("M2");
}

#[tokio::test]
async fn wrong_device_keys_lock_the_entry_on_a_ladder() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    for _ in 0..KEY_TRIES {
        assert!(!rig.prove(&anna, "CAM-1", &key(9)).await);
    }
    for minutes in [1, 2] {
        let (challenge, message) = rig.challenge(&anna, "CAM-1").await;
        let right = key(101).sign(&message);
        let locked =
            rig.cp.prove_key(&anna.session, "CAM-1", &answered(challenge, right.as_ref())).await;
        let Err(KeyError::Limited(wait)) = locked else { panic!("not locked: {locked:?}") };
        assert_eq!(wait.0, minutes * 60);
        rig.clock.advance(wait.0);
        assert!(!rig.prove(&anna, "CAM-1", &key(9)).await);
    }
    rig.cp.deliver_outbox().await.unwrap();
    let told = rig.cp.messages(&anna.session).await.unwrap();
    assert!(told.iter().any(|shown| shown.message.kind == "key_locked"));
    requirement!("M2");
}
