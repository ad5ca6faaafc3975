//! Invitations: who makes them, who takes them, and how many there are.

use super::*;
use crate::names::Renaming;

#[tokio::test]
async fn an_invitation_is_for_one_other_person_within_a_day_and_with_consent() {
    let stage = Stage::new().await;
    let (cp, ben) = (&stage.rig.cp, &stage.ben.session);
    let invitation = stage.invite(view()).await;
    assert_eq!(invitation.code.expose().len(), 26, "128 bits in base32");
    let mut unasked = yes(&invitation.code);
    unasked.consent = None;
    let refused = cp.accept_invitation(ben, &unasked).await;
    assert!(matches!(refused, Err(AcceptError::ConsentRequired)));
    unasked = AcceptRequest { attested: None, ..yes(&invitation.code) };
    let refused = cp.accept_invitation(ben, &unasked).await;
    assert!(matches!(refused, Err(AcceptError::AttestationRequired)));
    let decided = cp.consents(ben).await.unwrap();
    assert!(
        decided.iter().all(|state| state.purpose != DEVICE_SHARED.id),
        "a refusal records none"
    );
    let own = cp.accept_invitation(&stage.anna.session, &yes(&invitation.code)).await;
    assert!(matches!(own, Err(AcceptError::OwnDevice)));
    let wrong = Redacted::new("A".repeat(26));
    assert!(matches!(cp.invitation(ben, &wrong).await, Err(AcceptError::Unknown)));
    let typed = Redacted::new(invitation.code.expose().to_lowercase());
    let offered = cp.invitation(ben, &typed).await.unwrap();
    assert_eq!((offered.device.device.name.as_str(), offered.share.guest), ("Door", None));
    cp.accept_invitation(ben, &yes(&typed)).await.unwrap();
    let cleo = stage.rig.sign_in(CLEO, 3).await;
    let second = cp.accept_invitation(&cleo.session, &yes(&invitation.code)).await;
    assert!(matches!(second, Err(AcceptError::Unknown)), "single use");
    let another = stage.invite(view()).await;
    let twice = cp.accept_invitation(ben, &yes(&another.code)).await;
    assert!(matches!(twice, Err(AcceptError::Already)));
    stage.rig.clock.advance(SHARE_INVITE_SECS - 1);
    let cleo = stage.rig.sign_in(CLEO, 3).await;
    let late = cp.accept_invitation(&cleo.session, &yes(&another.code)).await;
    assert!(matches!(late, Err(AcceptError::Unknown)), "a day has passed");
    requirement!("B14", "C10", "M15");
}

#[tokio::test]
async fn codes_of_invitations_are_tried_so_often_and_no_more() {
    let stage = Stage::new().await;
    let invitation = stage.invite(view()).await;
    let wrong = Redacted::new("A".repeat(26));
    let most = INVITE_TRIES_PER_ACCOUNT[0].most;
    for _ in 0..most {
        let tried = stage.rig.cp.invitation(&stage.ben.session, &wrong).await;
        assert!(matches!(tried, Err(AcceptError::Unknown)));
    }
    let right = stage.rig.cp.accept_invitation(&stage.ben.session, &yes(&invitation.code)).await;
    assert!(matches!(right, Err(AcceptError::Limited(_))));
    stage.rig.clock.advance(INVITE_TRIES_PER_ACCOUNT[0].seconds);
    let right = stage.rig.cp.accept_invitation(&stage.ben.session, &yes(&invitation.code)).await;
    assert!(right.is_ok());
}

#[tokio::test]
async fn only_an_owner_shares_and_only_what_there_is() {
    let stage = Stage::new().await;
    let cp = &stage.rig.cp;
    for serial in ["CAM-1", "CAM-9", "no serial/.."] {
        let wish = InviteRequest { serial: serial.into(), ..request(view()) };
        let refused = cp.invite_guest(&stage.ben.session, &wish).await;
        assert_eq!(refused.unwrap_err().to_string(), InviteError::NotBound.to_string());
        let listed = cp.shares_of_device(&stage.ben.session, serial).await;
        assert_eq!(listed.unwrap_err().to_string(), InviteError::NotBound.to_string());
    }
    let now = stage.rig.clock.now();
    let of_channels = |channels: &[u16]| ShareTerms { channels: Some(channels.to_vec()), ..view() };
    let ending = |at| ShareTerms { ends_at: Some(at), ..view() };
    let fits = |error: &InviteError, kind: u8| match error {
        InviteError::NoScopes => kind == 0,
        InviteError::Channels => kind == 1,
        InviteError::End => kind == 2,
        _ => false,
    };
    for (bad, kind) in [
        (terms(&[]), 0),
        (of_channels(&[]), 1),
        (of_channels(&[1]), 1),
        (of_channels(&[0, 0]), 1),
        (ending(now), 2),
        (ending(now + SHARE_MAX_SECS + 1), 2),
    ] {
        let error = cp.invite_guest(&stage.anna.session, &request(bad.clone())).await.unwrap_err();
        assert!(fits(&error, kind), "{bad:?}: {error}");
    }
    let long = InviteRequest { label: "x".repeat(65), ..request(view()) };
    let refused = cp.invite_guest(&stage.anna.session, &long).await;
    assert!(matches!(refused, Err(InviteError::Label)));
    let silent = InviteRequest { attested: None, ..request(view()) };
    let refused = cp.invite_guest(&stage.anna.session, &silent).await;
    assert!(matches!(refused, Err(InviteError::AttestationRequired)));
    let fitting = InviteRequest { label: "x".repeat(64), ..request(view()) };
    assert!(cp.invite_guest(&stage.anna.session, &fitting).await.is_ok());
    for good in [of_channels(&[0]), ending(now + 1), ending(now + SHARE_MAX_SECS)] {
        assert!(cp.invite_guest(&stage.anna.session, &request(good)).await.is_ok());
    }
}

#[tokio::test]
async fn a_device_has_a_hundred_shares_and_no_more() {
    let stage = Stage::new().await;
    let mut last = None;
    for _ in 0..SHARES_PER_DEVICE {
        last = Some(stage.invite(view()).await);
    }
    let full = stage.rig.cp.invite_guest(&stage.anna.session, &request(view())).await;
    assert!(matches!(full, Err(InviteError::Full)));
    let last = last.expect("a hundred were made");
    assert!(stage.rig.cp.revoke_share(&stage.anna.session, "CAM-1", &last.id).await.unwrap());
    stage.invite(view()).await;
    let withdrawn = stage.rig.cp.accept_invitation(&stage.ben.session, &yes(&last.code)).await;
    assert!(matches!(withdrawn, Err(AcceptError::Unknown)));
}

#[tokio::test]
async fn an_account_makes_so_many_invitations_an_hour_and_no_more() {
    let stage = Stage::new().await;
    let (cp, anna) = (&stage.rig.cp, &stage.anna.session);
    let limit = INVITES_PER_ACCOUNT[0];
    for _ in 0..limit.most {
        let made = stage.invite(view()).await;
        assert!(cp.revoke_share(anna, "CAM-1", &made.id).await.unwrap());
    }
    let more = cp.invite_guest(anna, &request(view())).await;
    assert!(matches!(more, Err(InviteError::Limited(_))));
    stage.rig.clock.advance(limit.seconds);
    stage.invite(view()).await;
}

#[tokio::test]
async fn the_owner_sees_who_came_and_what_the_owner_called_them() {
    let stage = Stage::new().await;
    let id = stage.share(view()).await;
    let seen = stage.rig.cp.shares_of_device(&stage.anna.session, "CAM-1").await.unwrap();
    assert_eq!((seen.len(), seen[0].label.as_str()), (1, "Ben next door"));
    assert_eq!(seen[0].share.guest.as_ref(), Some(&stage.ben.session.account));
    let masked = seen[0].guest_phone_masked.as_deref().expect("a number");
    assert!(masked.ends_with(&BEN[BEN.len() - 2..]) && !masked.contains(&BEN[4..10]), "{masked}");
    let wish = ShareWish { label: Some("Benjamin".into()), ..ShareWish::default() };
    let cp = &stage.rig.cp;
    let changed = cp.change_share(&stage.anna.session, "CAM-1", &id, &wish).await.unwrap();
    assert_eq!(changed.label, "Benjamin");
    let other = cp.change_share(&stage.ben.session, "CAM-1", &id, &wish).await;
    assert!(matches!(other, Err(InviteError::NotBound)));
    let unknown = cp.change_share(&stage.anna.session, "CAM-1", &ShareId("x".into()), &wish).await;
    assert!(matches!(unknown, Err(InviteError::Unknown)));
    for file in stage.rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        for label in ["Ben next door", "Benjamin"] {
            let found = bytes.windows(label.len()).any(|window| window == label.as_bytes());
            assert!(!found, "{label} in {}", file.display());
        }
    }
    requirement!("B14");
}

#[tokio::test]
async fn owner_and_guest_meet_over_their_share_without_another_code() {
    let stage = Stage::new().await;
    let id = stage.share(view()).await;
    let cp = &stage.rig.cp;
    let (anna, ben) = (&stage.anna.session, &stage.ben.session);
    let waits = async || cp.shares_of_device(anna, "CAM-1").await.unwrap()[0].introduction.clone();
    assert_eq!(waits().await, None);
    assert!(cp.open_share_introduction(anna, &id, &[1; 32]).await.is_err(), "the guest's alone");
    let opened = cp.open_share_introduction(ben, &id, &[1; 32]).await.unwrap();
    let code = waits().await.expect("the guest waits");
    assert_eq!(opened.code.replace('-', ""), code);
    let again = cp.open_share_introduction(ben, &id, &[2; 32]).await.unwrap();
    assert_eq!(again.code, opened.code, "in place of the first");
    let held = cp.introduction(anna, &code).await.unwrap();
    assert_eq!((held.commitment, held.guest.account), (vec![2; 32], ben.account.clone()));
    cp.reply_to_introduction(anna, &code, &[3; 40]).await.unwrap();
    assert_eq!(waits().await, None, "somebody has answered");
    requirement!("B14");
}

#[tokio::test]
async fn a_guest_sees_the_owners_name_for_the_camera() {
    let stage = Stage::new().await;
    let names = Renaming { name: Some("Front garden".into()), ..Renaming::default() };
    stage.rig.cp.rename_device(&stage.anna.session, "CAM-1", &names).await.unwrap();
    stage.share(view()).await;
    let seen = stage.rig.cp.shares_as_guest(&stage.ben.session).await.unwrap();
    assert_eq!(seen[0].device.device.name, "Front garden");
}
