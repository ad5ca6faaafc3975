use sightline_grant::{Action, Redacted, requirement};

use super::rig::{ANNA, BEN, IP, Rig};
use crate::acting::Acting;
use crate::app_version::AppVersionError;
use crate::attestation::{AttestationError, AttestationKind};
use crate::avatar::{BadPicture, tests::jpeg, tests::png};
use crate::consent::{PROFILE, TERMINAL_SECURITY};
use crate::ids::TerminalId;
use crate::limits::{ATTESTED_CHARS, TERMINAL_FACTS_SECS, VERSION_NOTE_CHARS};
use crate::profile::{ProfileChange, ProfileError};
use crate::storage::UpkeepStore;
use crate::storage::account::AttestationStore;
use crate::terminal::{Permission, Permissions, TerminalError, TerminalFacts};

fn secret(text: &str) -> Option<Option<Redacted<String>>> {
    Some(Some(Redacted::new(text.to_owned())))
}

fn change(nickname: &str, region: &str, scenario: &str) -> ProfileChange {
    ProfileChange { nickname: secret(nickname), region: secret(region), scenario: secret(scenario) }
}

#[tokio::test]
async fn a_profile_is_optional_kept_under_its_consent_and_never_in_clear() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let none = rig.cp.profile(&anna.session).await.unwrap();
    assert!(none.nickname.is_none() && !none.avatar, "registering asked for none of it");
    let wanted = change("Nickname-of-Anna", "CN-31", "shop");
    let refused = rig.cp.change_profile(&anna.session, &wanted).await;
    assert!(matches!(refused, Err(ProfileError::ConsentRequired)));
    rig.cp.grant_consent(&anna.session, PROFILE.id, PROFILE.version).await.unwrap();
    rig.cp.change_profile(&anna.session, &wanted).await.unwrap();
    for (bad, part) in [
        (change("", "CN", "shop"), "nickname"),
        (change("A", "China", "shop"), "region"),
        (change("A", "CN", "bank"), "scenario"),
    ] {
        let refused = rig.cp.change_profile(&anna.session, &bad).await.unwrap_err();
        assert!(refused.to_string().contains(part), "{refused}");
    }
    let region = ProfileChange { region: Some(None), ..ProfileChange::default() };
    rig.cp.change_profile(&anna.session, &region).await.unwrap();
    let held = rig.cp.profile(&anna.session).await.unwrap();
    assert_eq!(held.nickname.unwrap().expose(), "Nickname-of-Anna");
    assert_eq!(held.scenario.unwrap().expose(), "shop");
    assert!(held.region.is_none(), "deleted alone");
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes.windows(16).any(|window| window == b"Nickname-of-Anna"),
            "{}",
            file.display()
        );
    }
    requirement!("A13");
}

#[tokio::test]
async fn a_picture_is_stored_bare_and_encrypted_and_shown_to_its_owner_only() {
    let rig = Rig::new().await;
    let (anna, ben) = (rig.sign_in(ANNA, 1).await, rig.sign_in(BEN, 2).await);
    let refused = rig.cp.store_avatar(&anna.session, &jpeg(64, 64)).await;
    assert!(matches!(refused, Err(ProfileError::ConsentRequired)));
    rig.cp.grant_consent(&anna.session, PROFILE.id, PROFILE.version).await.unwrap();
    rig.cp.store_avatar(&anna.session, &jpeg(64, 64)).await.unwrap();
    let held = rig.cp.avatar(&anna.session).await.unwrap();
    assert_eq!(held.media_type, "image/jpeg");
    assert!(held.file.starts_with(&[0xff, 0xd8]));
    assert!(!held.file.windows(3).any(|window| window == b"GPS"));
    assert!(matches!(rig.cp.avatar(&ben.session).await, Err(ProfileError::NoPicture)));
    let table = &held.file[2..40];
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(table.len()).any(|window| window == table), "{}", file.display());
    }
    rig.cp.store_avatar(&anna.session, &png(64, 64)).await.unwrap();
    assert_eq!(rig.cp.avatar(&anna.session).await.unwrap().media_type, "image/png");
    let refused = rig.cp.store_avatar(&anna.session, b"GIF89a").await;
    assert!(matches!(refused, Err(ProfileError::Picture(BadPicture::Format))));
    rig.cp.delete_avatar(&anna.session).await.unwrap();
    assert!(matches!(rig.cp.avatar(&anna.session).await, Err(ProfileError::NoPicture)));
    assert!(matches!(rig.cp.delete_avatar(&anna.session).await, Err(ProfileError::NoPicture)));
    requirement!("A14");
}

#[tokio::test]
async fn terminals_are_listed_with_their_network_and_what_they_said_until_it_is_over() {
    let rig = Rig::new().await;
    let anna = Acting::request(IP, false).scope(rig.sign_in(ANNA, 1)).await;
    let facts = TerminalFacts { model: Some("Tablet 8".into()), ..TerminalFacts::default() };
    let own = anna.session.terminal.clone();
    let describe = async |terminal: &TerminalId, facts: &TerminalFacts| {
        rig.cp.describe_terminal(&anna.session, terminal, facts).await
    };
    assert!(matches!(describe(&own, &facts).await, Err(TerminalError::ConsentRequired)));
    let purpose = TERMINAL_SECURITY;
    rig.cp.grant_consent(&anna.session, purpose.id, purpose.version).await.unwrap();
    describe(&own, &facts).await.unwrap();
    let ben = rig.sign_in(BEN, 2).await;
    let of_ben = &ben.session.terminal;
    assert!(matches!(describe(of_ben, &facts).await, Err(TerminalError::Unknown)));
    for (chars, fits) in [(64, true), (65, false), (0, false)] {
        let facts = TerminalFacts { os: Some("x".repeat(chars)), ..facts.clone() };
        assert_eq!(describe(&own, &facts).await.is_ok(), fits, "{chars}");
    }
    describe(&own, &facts).await.unwrap();
    let listed = rig.cp.my_terminals(&anna.session).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].current && listed[0].name == "Kitchen tablet");
    assert_eq!(listed[0].network.as_deref(), Some("192.0.2.0/24"), "never the whole address");
    assert_eq!(listed[0].facts.as_ref(), Some(&facts));
    rig.store.purge(rig.clock_now() + TERMINAL_FACTS_SECS - 1).await.unwrap();
    assert!(rig.cp.my_terminals(&anna.session).await.unwrap()[0].facts.is_some());
    rig.store.purge(rig.clock_now() + TERMINAL_FACTS_SECS).await.unwrap();
    assert!(rig.cp.my_terminals(&anna.session).await.unwrap()[0].facts.is_none());
    for text in ["packages", "processes", "sim_state", "android_id"] {
        let json = format!(r#"{{"model":"x","{text}":"y"}}"#);
        assert!(serde_json::from_str::<TerminalFacts>(&json).is_err(), "{text} has no field");
    }
    requirement!("A17", "L1");
}

#[tokio::test]
async fn permissions_are_kept_for_their_owner_and_decide_nothing() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let denied = Some(Permission::Denied);
    let all = Permissions {
        camera: denied,
        location: denied,
        microphone: denied,
        network: denied,
        photos: denied,
        bluetooth: denied,
        storage: denied,
        notifications: denied,
        contacts: denied,
    };
    let own = anna.session.terminal.clone();
    rig.cp.report_permissions(&anna.session, &own, &all).await.unwrap();
    let listed = rig.cp.my_terminals(&anna.session).await.unwrap();
    assert_eq!(listed[0].permissions, Some((all.clone(), rig.clock_now())));
    assert!(rig.admit(&anna, "CAM-1").await.is_ok(), "no feature depends on them");
    let other = TerminalId("x".into());
    let refused = rig.cp.report_permissions(&anna.session, &other, &all).await;
    assert!(matches!(refused, Err(TerminalError::Unknown)));
}

#[tokio::test]
async fn signing_a_terminal_out_ends_its_login_and_its_media() {
    let rig = Rig::new().await;
    let tablet = rig.sign_in(ANNA, 1).await;
    rig.admitted(&tablet, ANNA, "CAM-1").await;
    let phone = rig.sign_in(ANNA, 2).await;
    let mut feed = rig.cp.revocations();
    let gone = rig.cp.sign_out_terminal(&phone.session, &tablet.session.terminal).await.unwrap();
    assert!(gone);
    let ended = sightline_grant::Revocation::Session { session: tablet.session.id.0.clone() };
    assert_eq!(feed.try_recv().unwrap(), ended);
    let token = &tablet.signed_in.tokens.access;
    assert!(rig.cp.session(token).await.unwrap().is_none());
    let refused = rig.cp.admit(token, tablet.session.jkt, "CAM-1", 0, Action::Live).await;
    assert!(refused.is_err());
    assert_eq!(rig.cp.my_terminals(&phone.session).await.unwrap().len(), 1);
    requirement!("A17");
}

#[tokio::test]
async fn a_feature_that_needs_the_consent_of_others_goes_on_only_with_an_attestation() {
    let rig = Rig::new().await;
    let (anna, ben) = (rig.sign_in(ANNA, 1).await, rig.sign_in(BEN, 2).await);
    for (kind, name) in
        [(AttestationKind::Others, "others"), (AttestationKind::Guardian, "guardian")]
    {
        let require = async |user: &super::rig::User, object: &str| {
            rig.cp.require_attestation(&user.session, kind, object).await
        };
        let version = kind.text().version;
        let missing = require(&anna, "CAM-1").await;
        assert!(matches!(missing, Err(AttestationError::Missing { .. })));
        let other = rig.cp.attest(&anna.session, kind, "CAM-1", version + 1).await;
        assert!(matches!(other, Err(AttestationError::OtherVersion)));
        let seq = rig.cp.attest(&anna.session, kind, "CAM-1", version).await.unwrap();
        assert_eq!(require(&anna, "CAM-1").await.unwrap(), seq);
        assert!(require(&anna, "CAM-2").await.is_err(), "about one thing");
        assert!(require(&ben, "CAM-1").await.is_err(), "of one person");
        let held = rig.store.attested(&anna.session.account, name, "CAM-1").await.unwrap().unwrap();
        assert_eq!(held.text_sha256, kind.text().sha256());
        assert_eq!(held.terminal, anna.session.terminal.0);
        assert_eq!(held.at, rig.clock_now());
    }
    for (object, fits) in [
        ("A".repeat(ATTESTED_CHARS), true),
        ("A".repeat(ATTESTED_CHARS + 1), false),
        (String::new(), false),
        ("my neighbour".into(), false),
    ] {
        let given = rig.cp.attest(&anna.session, AttestationKind::Others, &object, 1).await;
        assert_eq!(given.is_ok(), fits, "{object}");
    }
    assert_eq!(rig.cp.attestations(&anna.session, None).await.unwrap().len(), 3);
    assert!(rig.cp.attestations(&ben.session, None).await.unwrap().is_empty());
    requirement!("C10", "K3", "M15");
}

#[tokio::test]
async fn versions_of_a_client_are_the_operators_to_name() {
    let rig = Rig::new().await;
    let set = async |client: &str, newest: &str, minimum: &str, notes: &str| {
        rig.cp.set_app_version(client, newest, minimum, (notes, notes)).await
    };
    assert!(rig.cp.app_version("android").await.unwrap().is_none());
    set("android", "2.10.0", "2.9", "news").await.unwrap();
    let held = rig.cp.app_version("android").await.unwrap().unwrap();
    assert_eq!((held.newest.as_str(), held.minimum.as_str()), ("2.10.0", "2.9"));
    assert!(matches!(set("a b", "1", "1", "").await, Err(AppVersionError::BadClient)));
    assert!(matches!(set("a", "v1", "1", "").await, Err(AppVersionError::BadVersion)));
    let above = set("a", "1.9", "1.10", "").await;
    assert!(matches!(above, Err(AppVersionError::MinimumAboveNewest)));
    assert!(set("a", "1", "1", &"x".repeat(VERSION_NOTE_CHARS)).await.is_ok());
    let long = set("a", "1", "1", &"x".repeat(VERSION_NOTE_CHARS + 1)).await;
    assert!(matches!(long, Err(AppVersionError::LongNotes)));
    assert!(rig.cp.remove_app_version("a").await.unwrap());
    assert_eq!(rig.cp.app_versions().await.unwrap().len(), 1);
    requirement!("L2");
}
