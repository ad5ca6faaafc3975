//! Sharing a device: invitation, acceptance, the gate, and every way in which a share ends.

use aws_lc_rs::signature::KeyPair;
use sightline_grant::{Action, Redacted, Revocation, Role, requirement};

use super::rig::{ANNA, BEN, IP, Rig, User, auth_of, key, terminal};
use crate::binding::BindRequest;
use crate::clock::Clock;
use crate::consent::{DEVICE_SHARED, MEDIA_VIEW};
use crate::gate::{Admission, Refusal};
use crate::ids::ShareId;
use crate::key::KeyError;
use crate::limits::{
    INVITE_TRIES_PER_ACCOUNT, SHARE_INVITE_SECS, SHARE_MAX_SECS, SHARES_PER_DEVICE,
};
use crate::sealed::testing::list_of;
use crate::share::accept::{AcceptError, AcceptRequest};
use crate::share::attestation;
use crate::share::invite::{Invitation, InviteError, InviteRequest};
use crate::share::scopes::{ShareScope, ShareScopes};
use crate::share::{ShareWish, schedule::Schedule};
use crate::storage::model::{LeaseFacts, ShareChange, ShareTerms};

/// Seed of the guest's key for sealed video.
const LISTED: u8 = 60;
const CLEO: &str = "+4915200000007";

/// An owner with a camera, and somebody else.
struct Stage {
    rig: Rig,
    anna: User,
    ben: User,
    epoch: u64,
}

fn terms(scopes: &[ShareScope]) -> ShareTerms {
    ShareTerms { scopes: ShareScopes::of(scopes), channels: None, schedule: None, ends_at: None }
}

fn view() -> ShareTerms {
    terms(&[ShareScope::View])
}

fn request(terms: ShareTerms) -> InviteRequest {
    InviteRequest {
        serial: "CAM-1".into(),
        terms,
        label: " Ben next door ".into(),
        attested: Some(attestation::OWNER.version),
    }
}

fn yes(code: &Redacted<String>) -> AcceptRequest {
    AcceptRequest {
        code: code.clone(),
        consent: Some(DEVICE_SHARED.version),
        attested: Some(attestation::GUEST.version),
    }
}

impl Stage {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let anna = rig.sign_in(ANNA, 1).await;
        rig.admitted(&anna, ANNA, "CAM-1").await;
        let ben = rig.sign_in(BEN, 2).await;
        let epoch = rig.cp.device_of(terminal(100)).await.unwrap().epochs.binding;
        Self { rig, anna, ben, epoch }
    }

    async fn invite(&self, terms: ShareTerms) -> Invitation {
        self.rig.cp.invite_guest(&self.anna.session, &request(terms)).await.unwrap()
    }

    async fn share(&self, terms: ShareTerms) -> ShareId {
        let invitation = self.invite(terms).await;
        let accepted = yes(&invitation.code);
        self.rig.cp.accept_invitation(&self.ben.session, &accepted).await.unwrap().share.id
    }

    /// Puts a list into force that lets the guest's terminal do something.
    async fn list(&self, version: u64, scopes: u16) {
        let pair = key(LISTED);
        let entry = (pair.public_key().as_ref(), self.ben.session.account.as_str(), scopes, 0);
        let list = list_of(("CAM-1", self.epoch, version), &[entry], &key(101));
        self.rig.cp.store_viewer_list(&self.anna.session, "CAM-1", &list).await.unwrap();
    }

    /// All that the guest needs on top of a share.
    async fn pass(&self) {
        self.list(1, 15).await;
        self.rig.prove_by(&self.ben, "CAM-1", &key(LISTED)).await.unwrap();
        self.rig.open_window(&self.ben, BEN, "CAM-1").await;
        let ben = &self.ben.session;
        self.rig.cp.grant_consent(ben, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    }

    async fn admit(&self, channel: u16, action: Action) -> Result<Admission, Refusal> {
        let (token, jkt) = (&self.ben.signed_in.tokens.access, self.ben.session.jkt);
        self.rig.cp.admit(token, jkt, "CAM-1", channel, action).await
    }

    async fn live(&self) -> Result<Admission, Refusal> {
        self.admit(0, Action::Live).await
    }

    async fn lease(&self) -> LeaseFacts {
        let admission = self.live().await.unwrap();
        LeaseFacts {
            subject: admission.subject,
            session: admission.session,
            serial: "CAM-1".into(),
            epochs: admission.epochs,
        }
    }

    async fn is_live(&self, lease: &LeaseFacts) -> bool {
        self.rig.cp.renew(std::slice::from_ref(lease)).await.unwrap()[0]
    }

    async fn told(&self, user: &User) -> Vec<String> {
        self.rig.cp.deliver_outbox().await.unwrap();
        let all = self.rig.cp.messages(&user.session).await.unwrap();
        assert!(all.iter().all(|shown| shown.en != "Your account has news."), "{all:?}");
        all.into_iter().map(|shown| shown.message.kind).collect()
    }

    async fn renew_login(&mut self) {
        let refresh = &self.ben.signed_in.tokens.refresh;
        let tokens = self.rig.cp.refresh(refresh, self.ben.session.jkt).await.unwrap();
        self.ben.signed_in.tokens = tokens;
    }

    async fn change(&self, id: &ShareId, change: ShareChange) -> Result<(), InviteError> {
        let wish = ShareWish { change, label: None };
        self.rig.cp.change_share(&self.anna.session, "CAM-1", id, &wish).await.map(drop)
    }
}

#[tokio::test]
async fn a_guest_passes_the_gate_with_share_listed_terminal_sms_and_consent_and_not_before() {
    let stage = Stage::new().await;
    let stranger = stage.live().await.unwrap_err().to_string();
    assert_eq!(stranger, Refusal::NotBound.to_string());
    let code = stage.rig.cp.request_view_code(&stage.ben.session, "CAM-1", IP).await;
    assert!(code.is_err(), "no SMS about what is not shared");
    stage.share(view()).await;
    assert!(matches!(stage.live().await, Err(Refusal::KeyProofRequired)));
    // The right secret, in a guest's hands, is as good as a wrong one.
    assert!(!stage.rig.prove(&stage.ben, "CAM-1", &key(101)).await);
    let unlisted = stage.rig.prove_by(&stage.ben, "CAM-1", &key(LISTED)).await;
    assert!(matches!(unlisted, Err(KeyError::Wrong)));
    stage.list(1, 15).await;
    stage.rig.prove_by(&stage.ben, "CAM-1", &key(LISTED)).await.unwrap();
    assert!(matches!(stage.live().await, Err(Refusal::SmsRequired)));
    stage.rig.open_window(&stage.ben, BEN, "CAM-1").await;
    assert!(matches!(stage.live().await, Err(Refusal::ConsentRequired)));
    let ben = &stage.ben.session;
    stage.rig.cp.grant_consent(ben, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    let admission = stage.live().await.unwrap();
    assert_eq!(admission.role, Role::Guest);
    assert!(admission.epochs.share > 0);
    let owner = stage.rig.admit(&stage.anna, "CAM-1").await.unwrap();
    assert_eq!((owner.role, owner.epochs.share), (Role::Owner, 0));
    requirement!("B14", "M1");
}

#[tokio::test]
async fn a_share_gives_its_scopes_and_channels_and_no_others() {
    let stage = Stage::new().await;
    let id = stage.share(terms(&[ShareScope::View, ShareScope::Talk, ShareScope::Ptz])).await;
    stage.pass().await;
    for (action, given) in [
        (Action::Live, true),
        (Action::Talk, true),
        (Action::Playback, false),
        (Action::Download, false),
    ] {
        let admitted = stage.admit(0, action).await;
        match admitted {
            Ok(_) => assert!(given, "{action:?}"),
            Err(Refusal::ScopeRequired) => assert!(!given, "{action:?}"),
            Err(other) => panic!("{action:?}: {other}"),
        }
    }
    // What the owner's signature on the list does not say is not given either.
    stage.list(2, 15 - 8).await;
    stage.rig.prove_by(&stage.ben, "CAM-1", &key(LISTED)).await.unwrap();
    assert!(stage.live().await.is_ok());
    assert!(matches!(stage.admit(0, Action::Talk).await, Err(Refusal::KeyProofRequired)));
    assert!(
        matches!(stage.admit(1, Action::Live).await, Err(Refusal::NotBound)),
        "no such channel"
    );

    let lease = stage.lease().await;
    let mut feed = stage.rig.cp.revocations();
    let more =
        ShareScopes::of(&[ShareScope::View, ShareScope::Talk, ShareScope::Ptz, ShareScope::Events]);
    stage.change(&id, ShareChange { scopes: Some(more), ..ShareChange::default() }).await.unwrap();
    assert!(feed.try_recv().is_err() && stage.is_live(&lease).await, "more disturbs nobody");
    let fewer = ShareScopes::of(&[ShareScope::View, ShareScope::Events]);
    stage.change(&id, ShareChange { scopes: Some(fewer), ..ShareChange::default() }).await.unwrap();
    let now = stage.live().await.unwrap();
    let expected = Revocation::Share {
        serial: "CAM-1".into(),
        subject: now.subject.clone(),
        epoch: now.epochs.share,
    };
    assert_eq!(feed.try_recv().unwrap(), expected);
    assert!(now.epochs.share > lease.epochs.share && !stage.is_live(&lease).await);
    assert!(stage.told(&stage.ben).await.contains(&"share_changed".to_owned()));
    requirement!("B14");
}

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
    let seen = stage.rig.cp.may_see(token, stage.ben.session.jkt, "CAM-1").await;
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
    let seen = stage.rig.cp.may_see(token, stage.ben.session.jkt, "CAM-1").await;
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
    assert!(cp.consents(ben).await.unwrap().is_empty(), "a refusal records no consent");
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

#[tokio::test]
async fn an_open_device_is_watched_by_a_guest_whom_its_password_signed_in() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let ben = rig.sign_in(BEN, 2).await;
    let texts = rig.add_open("CAM-1").await;
    let auth = auth_of(texts.publish_password.as_ref().unwrap());
    let (challenge, message) = rig.challenge(&anna, "CAM-1").await;
    let wish = BindRequest {
        serial: "CAM-1".into(),
        code: texts.verification_code.expose().clone(),
        proof: Some((challenge, auth.sign(&message).as_ref().to_vec())),
    };
    let epoch = rig.cp.bind(&anna.session, &wish, IP).await.unwrap().binding;
    let invitation = rig.cp.invite_guest(&anna.session, &request(view())).await.unwrap();
    rig.cp.accept_invitation(&ben.session, &yes(&invitation.code)).await.unwrap();
    assert!(!rig.prove(&ben, "CAM-1", &auth).await, "the password is no guest's");
    let pair = key(LISTED);
    let entry = (pair.public_key().as_ref(), ben.session.account.as_str(), 1, 0);
    let forged = list_of(("CAM-1", epoch, 1), &[entry], &key(9));
    assert!(rig.cp.store_viewer_list(&anna.session, "CAM-1", &forged).await.is_err());
    let list = list_of(("CAM-1", epoch, 1), &[entry], &auth);
    rig.cp.store_viewer_list(&anna.session, "CAM-1", &list).await.unwrap();
    rig.prove_by(&ben, "CAM-1", &pair).await.unwrap();
    rig.open_window(&ben, BEN, "CAM-1").await;
    rig.cp.grant_consent(&ben.session, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    assert_eq!(rig.admit(&ben, "CAM-1").await.unwrap().role, Role::Guest);
    // Another password: list, proofs and media of before are dead.
    rig.cp.rotate_publish_password("CAM-1").await.unwrap();
    assert!(matches!(rig.admit(&ben, "CAM-1").await, Err(Refusal::KeyProofRequired)));
    assert!(matches!(rig.prove_by(&ben, "CAM-1", &pair).await, Err(KeyError::Wrong)));
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
async fn guests_are_told_of_a_mode_change_too() {
    use crate::device::EncMode;
    use crate::sealed::testing::order_of;
    let stage = Stage::new().await;
    stage.share(view()).await;
    let order = order_of("CAM-1", stage.epoch, 1, 0, &key(101));
    let token = &stage.anna.signed_in.tokens.access;
    let anna = &stage.anna.session;
    stage.rig.cp.order_enc_mode(anna, token, "CAM-1", EncMode::Open, &order).await.unwrap();
    for user in [&stage.anna, &stage.ben] {
        assert!(stage.told(user).await.contains(&"sealing_off".to_owned()));
    }
    let refused = stage
        .rig
        .cp
        .order_enc_mode(&stage.ben.session, token, "CAM-1", EncMode::Open, &order)
        .await;
    assert!(refused.is_err(), "a guest orders nothing");
}
