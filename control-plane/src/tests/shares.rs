//! Sharing a device: what a guest may do, and what the owner decides.

mod ends;
mod invitations;

use aws_lc_rs::signature::KeyPair;
use sightline_grant::{Action, Redacted, Revocation, Role, requirement};

use super::rig::{ANNA, BEN, IP, Rig, User, auth_of, device, key, terminal};
use crate::admin::NewDevice;
use crate::binding::BindRequest;
use crate::clock::Clock;
use crate::consent::{DEVICE_SHARED, MEDIA_VIEW};
use crate::gate::{Admission, Refusal};
use crate::ids::ShareId;
use crate::key::KeyError;
use crate::limits::{
    INVITE_TRIES_PER_ACCOUNT, INVITES_PER_ACCOUNT, KEY_TRIES, SHARE_INVITE_SECS, SHARE_MAX_SECS,
    SHARES_PER_DEVICE,
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
async fn a_guest_learns_of_shared_channels_alone_whether_they_are_live() {
    let stage = Stage::new().await;
    let (rig, serial) = (&stage.rig, "HUB-1");
    let hub = NewDevice { channels: 2, ..device(serial, Some(terminal(110))) };
    let texts = rig.cp.add_device(&hub).await.unwrap();
    rig.bind_sealed(&stage.anna, serial, &texts).await;
    let terms = ShareTerms { channels: Some(vec![1]), ..view() };
    let wish = InviteRequest { serial: serial.into(), ..request(terms) };
    let invited = rig.cp.invite_guest(&stage.anna.session, &wish).await.unwrap();
    rig.cp.accept_invitation(&stage.ben.session, &yes(&invited.code)).await.unwrap();
    let seen = async |who: &User, channel| {
        let token = &who.signed_in.tokens.access;
        rig.cp.may_see(token, who.session.jkt, serial, channel).await
    };
    assert!(seen(&stage.ben, 1).await.is_ok());
    for (who, channel) in [(&stage.ben, 0), (&stage.ben, 2), (&stage.anna, 2)] {
        assert!(matches!(seen(who, channel).await, Err(Refusal::NotBound)), "{channel}");
    }
    assert!(seen(&stage.anna, 0).await.is_ok());
    requirement!("B18");
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

#[tokio::test]
async fn the_owner_is_told_when_a_guest_tries_wrong_device_keys() {
    let stage = Stage::new().await;
    stage.share(view()).await;
    stage.list(1, 15).await;
    for _ in 0..KEY_TRIES {
        let wrong = stage.rig.prove_by(&stage.ben, "CAM-1", &key(9)).await;
        assert!(matches!(wrong, Err(KeyError::Wrong)), "{wrong:?}");
    }
    assert!(!stage.told(&stage.anna).await.contains(&"key_guessed".to_owned()), "not locked yet");
    let locked = stage.rig.prove_by(&stage.ben, "CAM-1", &key(9)).await;
    assert!(matches!(locked, Err(KeyError::Limited(_))), "{locked:?}");
    let (owner, guest) = (stage.told(&stage.anna).await, stage.told(&stage.ben).await);
    assert!(owner.contains(&"key_guessed".to_owned()), "{owner:?}");
    assert!(guest.contains(&"key_locked".to_owned()), "{guest:?}");
    assert!(!owner.contains(&"key_locked".to_owned()), "the owner's own entry is open");
    requirement!("M2");
}
