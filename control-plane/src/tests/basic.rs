use sightline_grant::{Action, Redacted, Revocation, requirement};

use super::rig::{ANNA, Rig, terminal};
use crate::consent::{ACCOUNT, ConsentError, MEDIA_VIEW, PROFILE};
use crate::gate::Refusal;
use crate::limits::BASIC_SECS;
use crate::profile::{ProfileChange, ProfileError};
use crate::storage::model::LeaseFacts;

#[tokio::test]
async fn who_agreed_to_nothing_may_look_around_with_the_key_of_one_terminal() {
    let rig = Rig::new().await;
    let opened = rig.cp.open_basic(terminal(1));
    assert_eq!(opened.expires_in, BASIC_SECS);
    assert!(rig.cp.is_basic(&opened.token, terminal(1)));
    assert!(!rig.cp.is_basic(&opened.token, terminal(2)), "another terminal's key");
    assert!(rig.cp.session(&opened.token).await.unwrap().is_none(), "no login");
    let refused = rig.cp.admit(&opened.token, terminal(1), "CAM-1", 0, Action::Live).await;
    assert!(matches!(refused, Err(Refusal::PolicyRequired)), "no account is asked for cameras");
    let refused = rig.cp.admit(&opened.token, terminal(2), "CAM-1", 0, Action::Live).await;
    assert!(matches!(refused, Err(Refusal::LoginRequired)));
    let text = opened.token.expose().clone();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else { continue };
        assert!(!rig.cp.is_basic(&Redacted::new(changed), terminal(1)), "byte {at}");
    }
    for bad in ["", "basic", "basic..", "basic.x.y", "basic.18446744073709551616.y"] {
        assert!(!rig.cp.is_basic(&Redacted::new(bad.into()), terminal(1)), "{bad}");
    }
    rig.clock.advance(BASIC_SECS - 1);
    assert!(rig.cp.is_basic(&opened.token, terminal(1)));
    rig.clock.advance(1);
    assert!(!rig.cp.is_basic(&opened.token, terminal(1)));
}

#[tokio::test]
async fn withdrawing_the_policy_ends_media_at_once_and_agreeing_again_restores_the_account() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let admission = rig.admit(&anna, "CAM-1").await.unwrap();
    let lease = LeaseFacts {
        subject: admission.subject.clone(),
        session: admission.session,
        serial: "CAM-1".into(),
        epochs: admission.epochs,
    };
    let mut feed = rig.cp.revocations();
    rig.cp.withdraw_consent(&anna.session, ACCOUNT.id).await.unwrap();
    let Revocation::Consent { subject, epoch } = feed.try_recv().unwrap() else {
        panic!("another revocation")
    };
    assert!(subject == admission.subject && epoch > admission.epochs.consent);
    assert_eq!(rig.cp.renew(std::slice::from_ref(&lease)).await.unwrap(), [false]);
    assert!(rig.cp.in_basic_mode(&anna.session).await.unwrap());
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::PolicyRequired)));
    let token = &anna.signed_in.tokens.access;
    let seen = rig.cp.may_see(token, anna.session.jkt, "CAM-1", 0).await;
    assert!(matches!(seen, Err(Refusal::PolicyRequired)));

    let grant = async |purpose: &crate::consent::Purpose| {
        rig.cp.grant_consent(&anna.session, purpose.id, purpose.version).await
    };
    assert!(matches!(grant(&MEDIA_VIEW).await, Err(ConsentError::PolicyRequired)));
    let again = rig.cp.withdraw_consent(&anna.session, ACCOUNT.id).await;
    assert!(matches!(again, Err(ConsentError::NotGranted)));
    rig.cp.verify_consents().await.unwrap().unwrap();

    grant(&ACCOUNT).await.unwrap();
    assert!(!rig.cp.in_basic_mode(&anna.session).await.unwrap());
    assert_eq!(rig.cp.my_devices(&anna.session).await.unwrap().len(), 1, "nothing was lost");
    let refused = rig.admit(&anna, "CAM-1").await;
    assert!(matches!(refused, Err(Refusal::ConsentRequired)), "each purpose is asked for anew");
    grant(&MEDIA_VIEW).await.unwrap();
    let admission = rig.admit(&anna, "CAM-1").await.unwrap();
    assert!(admission.epochs.consent >= epoch);
    assert_eq!(rig.cp.renew(&[lease]).await.unwrap(), [false], "what ended stays ended");
    requirement!("A22");
}

#[tokio::test]
async fn basic_mode_keeps_no_profile() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.cp.grant_consent(&anna.session, PROFILE.id, PROFILE.version).await.unwrap();
    let name = Some(Some(Redacted::new("Anna".to_owned())));
    let change = ProfileChange { nickname: name, ..ProfileChange::default() };
    rig.cp.change_profile(&anna.session, &change).await.unwrap();
    rig.cp.withdraw_consent(&anna.session, ACCOUNT.id).await.unwrap();
    assert!(rig.cp.profile(&anna.session).await.unwrap().nickname.is_none());
    let refused = rig.cp.change_profile(&anna.session, &change).await;
    assert!(matches!(refused, Err(ProfileError::ConsentRequired)));
}
