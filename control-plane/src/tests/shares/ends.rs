//! Every way in which a share ends.

use super::*;
use crate::consent::ACCOUNT;

#[tokio::test]
async fn a_revoked_guest_is_cut_at_once_and_nothing_of_the_share_works_again() {
    let stage = Stage::new().await;
    let invitation = stage.invite(view()).await;
    let accepted = yes(&invitation.code);
    let share = stage.rig.cp.accept_invitation(&stage.ben.session, &accepted).await.unwrap().share;
    stage.pass().await;
    let lease = stage.lease().await;
    let (challenge, message) = stage.rig.challenge(&stage.ben, "CAM-1").await;
    let mut feed = stage.rig.cp.revocations();
    let anna = &stage.anna.session;
    assert!(!stage.rig.cp.revoke_share(&stage.ben.session, "CAM-1", &share.id).await.unwrap());
    assert!(!stage.rig.cp.revoke_share(anna, "CAM-2", &share.id).await.unwrap());
    assert!(stage.is_live(&lease).await);
    assert!(stage.rig.cp.revoke_share(anna, "CAM-1", &share.id).await.unwrap());
    let Revocation::Share { serial, subject, epoch } = feed.try_recv().unwrap() else {
        panic!("another revocation")
    };
    assert_eq!((serial.as_str(), subject), ("CAM-1", lease.subject.clone()));
    assert!(epoch > lease.epochs.share && !stage.is_live(&lease).await);
    assert!(!stage.rig.cp.revoke_share(anna, "CAM-1", &share.id).await.unwrap(), "once");

    // The terminal still stands on the list, and the login goes on: neither is worth anything.
    assert!(matches!(stage.live().await, Err(Refusal::NotBound)));
    let proof = stage.rig.prove_by(&stage.ben, "CAM-1", &key(LISTED)).await;
    assert!(matches!(proof, Err(KeyError::NotBound)));
    let signature = key(LISTED).sign(&message).as_ref().to_vec();
    let terminal = Some(key(LISTED).public_key().as_ref().try_into().unwrap());
    let answer = crate::key::SignedChallenge { challenge, signature, terminal };
    let proof = stage.rig.cp.prove_key(&stage.ben.session, "CAM-1", &answer).await;
    assert!(matches!(proof, Err(KeyError::NotBound)));
    assert!(stage.rig.cp.request_view_code(&stage.ben.session, "CAM-1", IP).await.is_err());
    let again = stage.rig.cp.accept_invitation(&stage.ben.session, &accepted).await;
    assert!(matches!(again, Err(AcceptError::Unknown)), "an invitation works once");
    let token = &stage.ben.signed_in.tokens.access;
    let seen = stage.rig.cp.may_see(token, stage.ben.session.jkt, "CAM-1", 0).await;
    assert_eq!(seen.unwrap_err().to_string(), Refusal::NotBound.to_string());
    assert!(stage.told(&stage.ben).await.contains(&"share_revoked".to_owned()));

    // Shared anew, the guest starts anew.
    stage.share(view()).await;
    assert!(matches!(stage.live().await, Err(Refusal::KeyProofRequired)));
    assert!(!stage.is_live(&lease).await, "what ended does not come back");
    requirement!("B14", "M13");
}

#[tokio::test]
async fn a_guest_leaves_and_withdrawing_the_consent_leaves_everything() {
    let stage = Stage::new().await;
    let id = stage.share(view()).await;
    stage.pass().await;
    let lease = stage.lease().await;
    let (anna, ben) = (&stage.anna.session, &stage.ben.session);
    assert!(!stage.rig.cp.leave_share(anna, &id).await.unwrap(), "the guest's alone");
    assert!(stage.rig.cp.leave_share(ben, &id).await.unwrap());
    assert!(!stage.is_live(&lease).await);
    assert!(stage.told(&stage.anna).await.contains(&"share_left".to_owned()));

    stage.share(view()).await;
    assert_eq!(stage.rig.cp.shares_as_guest(ben).await.unwrap().len(), 1);
    stage.rig.cp.withdraw_consent(ben, DEVICE_SHARED.id).await.unwrap();
    assert!(stage.rig.cp.shares_as_guest(ben).await.unwrap().is_empty());
    assert!(matches!(stage.live().await, Err(Refusal::NotBound)));
    requirement!("B14");
}

#[tokio::test]
async fn withdrawing_the_policy_gives_up_every_share_for_good() {
    let stage = Stage::new().await;
    stage.share(view()).await;
    stage.pass().await;
    let lease = stage.lease().await;
    let ben = &stage.ben.session;
    stage.rig.cp.withdraw_consent(ben, ACCOUNT.id).await.unwrap();
    assert!(!stage.is_live(&lease).await);
    assert!(stage.rig.cp.shares_as_guest(ben).await.unwrap().is_empty());
    assert!(stage.told(&stage.anna).await.contains(&"share_left".to_owned()));
    for purpose in [ACCOUNT, MEDIA_VIEW] {
        stage.rig.cp.grant_consent(ben, purpose.id, purpose.version).await.unwrap();
    }
    assert!(matches!(stage.live().await, Err(Refusal::NotBound)), "a guest has to be asked anew");
    requirement!("B14");
}

#[tokio::test]
async fn a_share_ends_in_its_last_second_and_its_end_is_announced() {
    let stage = Stage::new().await;
    let end = stage.rig.clock.now() + 2 * 24 * 3600;
    stage.share(ShareTerms { ends_at: Some(end), ..view() }).await;
    let left = |stage: &Stage| end - stage.rig.clock.now();
    stage.rig.clock.advance(left(&stage) - 24 * 3600 - 1);
    stage.rig.cp.end_expired_proofs().await.unwrap();
    stage.rig.clock.advance(1);
    stage.rig.cp.end_expired_proofs().await.unwrap();
    let stage = Stage { ben: stage.rig.sign_in(BEN, 2).await, ..stage };
    let stage = Stage { anna: stage.rig.sign_in(ANNA, 1).await, ..stage };
    for user in [&stage.ben, &stage.anna] {
        assert!(stage.told(user).await.contains(&"share_expiring".to_owned()));
    }
    stage.rig.clock.advance(left(&stage) - 200);
    let stage = Stage { ben: stage.rig.sign_in(BEN, 2).await, ..stage };
    let stage = Stage { anna: stage.rig.sign_in(ANNA, 1).await, ..stage };
    stage.list(1, 15).await;
    stage.rig.prove_by(&stage.ben, "CAM-1", &key(LISTED)).await.unwrap();
    let sent = stage.rig.cp.request_view_code(&stage.ben.session, "CAM-1", IP).await.unwrap();
    let code = stage.rig.code(BEN).await;
    stage.rig.cp.step_up(&stage.ben.session, &sent.challenge, &code).await.unwrap();
    let ben = &stage.ben.session;
    stage.rig.cp.grant_consent(ben, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    stage.rig.clock.advance(left(&stage) - 1);
    let lease = stage.lease().await;
    assert!(stage.is_live(&lease).await);
    let mut feed = stage.rig.cp.revocations();
    stage.rig.cp.end_expired_proofs().await.unwrap();
    assert!(feed.try_recv().is_err(), "not before its time");
    stage.rig.clock.advance(1);
    assert!(matches!(stage.live().await, Err(Refusal::NotBound)));
    assert!(!stage.is_live(&lease).await);
    stage.rig.cp.end_expired_proofs().await.unwrap();
    assert!(matches!(feed.try_recv(), Ok(Revocation::Share { .. })));
    assert!(feed.try_recv().is_err(), "once");
    requirement!("B14", "M13");
}

#[tokio::test]
async fn hours_open_and_close_a_share_again_and_again() {
    let mut stage = Stage::new().await;
    let minute = stage.rig.clock.now() / 60 + 10;
    // From the beginning of a minute soon to come on, for five of them, every day of the week.
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let text = format!(
        r#"{{"utc_offset_minutes": 0, "windows": [{{
            "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "from": "{}", "to": "{}"}}]}}"#,
        clock(minute),
        clock(minute + 5)
    );
    let schedule: Schedule = serde_json::from_str(&text).unwrap();
    stage.share(ShareTerms { schedule: Some(schedule), ..view() }).await;
    stage.pass().await;
    let to = |stage: &Stage, at: u64| stage.rig.clock.advance(at - stage.rig.clock.now());
    to(&stage, minute * 60 - 1);
    stage.renew_login().await;
    assert!(matches!(stage.live().await, Err(Refusal::ShareClosed)));
    let token = &stage.ben.signed_in.tokens.access;
    let seen = stage.rig.cp.may_see(token, stage.ben.session.jkt, "CAM-1", 0).await;
    assert!(matches!(seen, Err(Refusal::ShareClosed)));
    to(&stage, minute * 60);
    stage.rig.cp.end_expired_proofs().await.unwrap();
    let lease = stage.lease().await;
    let mut feed = stage.rig.cp.revocations();
    stage.rig.clock.advance(299);
    stage.rig.cp.end_expired_proofs().await.unwrap();
    assert!(feed.try_recv().is_err() && stage.is_live(&lease).await);
    stage.rig.clock.advance(1);
    assert!(!stage.is_live(&lease).await, "before anybody looks");
    stage.rig.cp.end_expired_proofs().await.unwrap();
    assert!(matches!(feed.try_recv(), Ok(Revocation::Share { .. })));
    stage.rig.cp.end_expired_proofs().await.unwrap();
    assert!(feed.try_recv().is_err(), "once");
    let held = stage.rig.cp.shares_as_guest(&stage.ben.session).await.unwrap();
    assert!(held[0].share.number > lease.epochs.share, "the share itself goes on");
    requirement!("M13");
}

#[tokio::test]
async fn unbinding_ends_every_share_and_invitation() {
    let stage = Stage::new().await;
    stage.share(view()).await;
    stage.pass().await;
    let lease = stage.lease().await;
    let open = stage.invite(view()).await;
    assert!(stage.rig.cp.unbind(&stage.anna.session, "CAM-1").await.unwrap());
    assert!(!stage.is_live(&lease).await);
    assert!(matches!(stage.live().await, Err(Refusal::NotBound)));
    let cleo = stage.rig.sign_in(CLEO, 3).await;
    let late = stage.rig.cp.accept_invitation(&cleo.session, &yes(&open.code)).await;
    assert!(matches!(late, Err(AcceptError::Unknown)));
    assert!(stage.rig.cp.shares_as_guest(&stage.ben.session).await.unwrap().is_empty());
    assert!(stage.told(&stage.ben).await.contains(&"share_ended".to_owned()));
    requirement!("B3", "B4");
}

#[tokio::test]
async fn deleting_the_guests_or_the_owners_account_ends_the_share() {
    for owners in [false, true] {
        let stage = Stage::new().await;
        stage.share(view()).await;
        stage.pass().await;
        let lease = stage.lease().await;
        let gone = if owners { &stage.anna } else { &stage.ben };
        stage.rig.cp.delete_account(&gone.session.account).await.unwrap();
        assert!(!stage.is_live(&lease).await);
        let live = stage.live().await;
        assert!(matches!(live, Err(Refusal::NotBound | Refusal::LoginRequired)), "{live:?}");
        if !owners {
            let listed = stage.rig.cp.shares_of_device(&stage.anna.session, "CAM-1").await;
            assert!(listed.unwrap().is_empty());
        }
    }
    requirement!("M13");
}
