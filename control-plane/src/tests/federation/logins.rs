use sightline_grant::requirement;

use super::*;
use crate::federation::flow::{FlowError, ProofError};
use crate::federation::identities::IdentityError;
use crate::limits::{
    IDENTIFIER_HOLD_SECS, IDENTITIES_PER_ACCOUNT, IDENTITY_FLOW_SECS, IDENTITY_FLOWS_PER_ACCOUNT,
};
use crate::secure::SecureError;
use crate::tests::rig::ANNA;

fn refused(outcome: Result<SignedIn, ProviderSignInError>) -> bool {
    matches!(outcome, Err(ProviderSignInError::Proof(ProofError::Refused)))
}

#[tokio::test]
async fn who_is_new_gets_an_account_that_is_not_full_and_finds_it_again() {
    let world = World::new().await;
    let first = world.by_desk("anna", 1).await;
    assert!(first.signed_in.new_account);
    let me = world.rig.cp.me(&first.session).await.unwrap().unwrap();
    assert!(!me.is_full() && me.addresses.is_empty());
    assert!(!world.rig.cp.is_full(&first.session).await.unwrap());
    let again = world.by_desk("anna", 2).await;
    assert_eq!(again.signed_in.account, first.signed_in.account);
    assert!(!again.signed_in.new_account);
    let other = world.by_desk("ben", 3).await;
    assert_ne!(other.signed_in.account, first.signed_in.account);
    let mine = world.rig.cp.my_identities(&first.session).await.unwrap();
    assert_eq!(mine.len(), 1);
    assert_eq!((mine[0].provider.as_str(), mine[0].suspended), ("development", false));
    // Nothing that was said is in the files.
    for file in world.rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(11).any(|part| part == b"shared-secr");
        assert!(!found, "{}", file.display());
    }
}

#[tokio::test]
async fn no_address_that_a_provider_names_leads_to_an_account() {
    let world = World::new().await;
    let anna = world.rig.sign_in(ANNA, 1).await;
    world.confirm(&anna).await;
    let asked = world.rig.cp.request_identifier_code(&anna.session, "anna@mail.example", IP);
    let challenge = asked.await.unwrap().challenge;
    world.rig.cp.deliver_outbox().await.unwrap();
    let mail = world.rig.mail.0.lock().unwrap().last().unwrap().1.clone();
    let code = mail.split(' ').next().unwrap().to_owned();
    let kind = crate::storage::model::IdentifierKind::Email;
    let code = Redacted::new(code);
    let put = world.rig.cp.change_identifier(&anna.session, kind, &challenge, &code);
    put.await.unwrap();
    // Apple says that this is anna@mail.example, verified. It is a stranger all the same.
    let stranger = world.by_apple("001.stranger", 2).await;
    assert!(stranger.signed_in.new_account);
    assert_ne!(stranger.signed_in.account, anna.signed_in.account);
    let me = world.rig.cp.me(&stranger.session).await.unwrap().unwrap();
    assert!(me.addresses.is_empty(), "not even taken over as the stranger's");
}

#[tokio::test]
async fn the_first_number_of_an_account_confirms_at_once_and_what_comes_later_does_not() {
    let world = World::new().await;
    let rig = &world.rig;
    let anna = world.by_desk("anna", 1).await;
    world.confirm(&anna).await;
    let sent = rig.cp.request_identifier_code(&anna.session, ANNA, IP).await.unwrap();
    let code = rig.code(ANNA).await;
    let phone = crate::storage::model::IdentifierKind::Phone;
    rig.cp.change_identifier(&anna.session, phone, &sent.challenge, &code).await.unwrap();
    rig.clock.advance(60);
    let texts = rig.add_sealed("CAM-1", 100).await;
    rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.open_window(&anna, ANNA, "CAM-1").await;
    rig.add_mail(&anna, ANNA, crate::tests::email::MAIL).await;
    let known = rig.cp.addresses_of(&anna.session.account).await.unwrap();
    let held: Vec<bool> = known.iter().map(|known| known.held_until > rig.clock_now()).collect();
    assert_eq!(held, [false, true]);
}

#[tokio::test]
async fn a_way_is_for_one_terminal_one_purpose_one_time() {
    let world = World::new().await;
    let begun = world.begin("development", 1).await;
    let back = world.visit(&begun, "anna").await;
    assert!(refused(world.enter(back.clone(), 2).await), "another terminal");
    assert!(world.enter(back.clone(), 1).await.is_ok());
    assert!(refused(world.enter(back, 1).await), "once");

    let begun = world.begin("development", 1).await;
    let back = world.visit(&begun, "anna").await;
    let forged = Return { state: Redacted::new("x".repeat(43)), ..back.clone() };
    assert!(refused(world.enter(forged, 1).await), "another state");
    assert!(refused(world.enter(back, 1).await), "which was the one try");

    // A code of somebody else's way: the nonce within is not this way's.
    let (own, planted) = (world.begin("development", 1).await, world.begin("development", 2).await);
    let planted = world.visit(&planted, "mallory").await;
    let mixed = Return { code: planted.code, ..world.visit(&own, "anna").await };
    assert!(refused(world.enter(mixed, 1).await), "a planted code");

    for (wait, good) in [(IDENTITY_FLOW_SECS - 1, true), (IDENTITY_FLOW_SECS, false)] {
        let begun = world.begin("apple", 1).await;
        let back = world.at_apple(&begun, "001");
        world.rig.clock.advance(wait);
        assert_eq!(world.enter(back, 1).await.is_ok(), good, "after {wait} s");
    }
    let anna = world.by_desk("anna", 1).await;
    let begun = world.begin_for(&anna, "development", FlowPurpose::Confirm).await;
    let back = world.visit(&begun, "anna").await;
    assert!(refused(world.enter(back, 1).await), "another purpose");
}

#[tokio::test]
async fn an_answer_of_another_provider_is_not_taken() {
    let world = World::new().await;
    for (issuer, why) in [
        (Some("https://evil.example".to_owned()), "another issuer"),
        (None, "one that always names itself"),
    ] {
        let begun = world.begin("development", 1).await;
        let back = Return { issuer, ..world.visit(&begun, "anna").await };
        assert!(refused(world.enter(back, 1).await), "{why}");
    }
    let begun = world.begin("wechat", 1).await;
    let mut back = world.at_wechat(&begun, "o1", None);
    back.issuer = Some("https://id.example".into());
    assert!(refused(world.enter(back, 1).await), "one that never names itself");
    for (provider, redirect) in [("none", BACK), ("apple", "http://127.0.0.1:8080/x")] {
        let begun = world.rig.cp.begin_provider_login(provider, redirect, terminal(1), IP).await;
        let expected = matches!(begun, Err(FlowError::NoProvider | FlowError::BadRedirect));
        assert!(expected, "{provider} {redirect}");
    }
    let far = "https://evil.example/";
    let begun = world.rig.cp.begin_provider_login("development", far, terminal(1), IP).await;
    assert!(matches!(begun, Err(FlowError::BadRedirect)), "the stand-in stays on this machine");
}

#[tokio::test]
async fn a_binding_needs_a_confirmation_and_belongs_to_one_account() {
    let world = World::new().await;
    let (cp, anna) = (&world.rig.cp, world.rig.sign_in(ANNA, 1).await);
    let begun = cp.begin_identity(&anna.session, "apple", BACK, FlowPurpose::Bind).await;
    assert!(matches!(begun, Err(IdentityError::Secure(SecureError::Required))));
    let bound = world.bind_apple(&anna, "001.anna").await;
    assert_eq!(bound.provider, "apple");
    let by_apple = world.by_apple("001.anna", 2).await;
    assert_eq!(by_apple.signed_in.account, anna.signed_in.account);
    cp.deliver_outbox().await.unwrap();
    let told = cp.messages_before(&anna.session, None, 100).await.unwrap();
    assert!(told.iter().any(|shown| shown.message.kind == "identity_bound"));
    assert!(world.rig.sms.texts().iter().any(|(to, text)| to == ANNA && text.contains("bound")));

    let ben = world.by_desk("ben", 3).await;
    world.confirm(&ben).await;
    let begun = world.begin_for(&ben, "apple", FlowPurpose::Bind).await;
    let taken = cp.bind_identity(&ben.session, &world.at_apple(&begun, "001.anna")).await;
    assert!(matches!(taken, Err(IdentityError::Taken)));
    // Bound again by who has it, it stays one.
    assert_eq!(world.bind_apple(&anna, "001.anna").await.id, bound.id);

    for n in 1..IDENTITIES_PER_ACCOUNT {
        world.bind_apple(&anna, &format!("002.{n}")).await;
    }
    let begun = world.begin_for(&anna, "apple", FlowPurpose::Bind).await;
    let full = cp.bind_identity(&anna.session, &world.at_apple(&begun, "003")).await;
    assert!(matches!(full, Err(IdentityError::Full)));
    // The confirmation is asked for at the end, too.
    let begun = world.begin_for(&anna, "apple", FlowPurpose::Bind).await;
    world.rig.clock.advance(crate::limits::SECURE_SECS);
    let late = cp.bind_identity(&anna.session, &world.at_apple(&begun, "003")).await;
    assert!(matches!(late, Err(IdentityError::Secure(SecureError::Required))));
}

#[tokio::test]
async fn the_ways_of_an_account_are_counted() {
    let world = World::new().await;
    let anna = world.by_desk("anna", 1).await;
    for _ in 0..IDENTITY_FLOWS_PER_ACCOUNT[0].most {
        world.begin_for(&anna, "development", FlowPurpose::Confirm).await;
    }
    let confirm = FlowPurpose::Confirm;
    let more = world.rig.cp.begin_identity(&anna.session, "development", BACK, confirm).await;
    assert!(matches!(more, Err(IdentityError::Flow(FlowError::Limited(_)))));
}

#[tokio::test]
async fn the_last_way_in_is_not_unbound() {
    let world = World::new().await;
    let cp = &world.rig.cp;
    let anna = world.by_desk("anna", 1).await;
    let id = cp.my_identities(&anna.session).await.unwrap()[0].id.clone();
    let bare = cp.unbind_identity(&anna.session, &id).await;
    assert!(matches!(bare, Err(IdentityError::Secure(SecureError::Required))));
    world.confirm(&anna).await;
    let last = cp.unbind_identity(&anna.session, &id).await;
    assert!(matches!(last, Err(IdentityError::Last)));
    let strange = cp.unbind_identity(&anna.session, &"0".repeat(32)).await;
    assert!(matches!(strange, Err(IdentityError::Unknown)));
    let apple = world.bind_apple(&anna, "001.anna").await;
    assert_eq!(world.desk.grants(), 1);
    cp.unbind_identity(&anna.session, &id).await.unwrap();
    cp.deliver_outbox().await.unwrap();
    assert_eq!(world.desk.grants(), 0, "the stand-in was told");
    let last = cp.unbind_identity(&anna.session, &apple.id).await;
    assert!(matches!(last, Err(IdentityError::Last)));
    let other = world.by_desk("anna", 2).await;
    assert!(other.signed_in.new_account, "what was unbound is nobody's");
    let actions = world.rig.store.as_ref();
    let log = crate::storage::UpkeepStore::oplog(actions, &anna.signed_in.account, 20).await;
    let log: Vec<_> = log.unwrap().into_iter().map(|line| line.action).collect();
    assert!(log.iter().any(|action| action == "identity.bound"));
    assert!(log.iter().any(|action| action == "identity.unbound"));
    requirement!("A11");
}

#[tokio::test]
async fn a_provider_that_asked_again_confirms_who_came_with_it_at_once_and_others_later() {
    let world = World::new().await;
    let cp = &world.rig.cp;
    let anna = world.by_desk("anna", 1).await;
    let begun = world.begin_for(&anna, "development", FlowPurpose::Confirm).await;
    assert!(begun.authorize.contains("max_age=0") && begun.authorize.contains("prompt=login"));
    let mallory = world.visit(&begun, "mallory").await;
    let other = cp.secure_by_provider(&anna.session, &mallory).await;
    assert!(matches!(other, Err(IdentityError::Proof(ProofError::Refused))), "somebody else");
    assert!(cp.require_secure(&anna.session).await.is_err());
    let begun = world.begin_for(&anna, "development", FlowPurpose::Confirm).await;
    let back = world.visit(&begun, "anna").await;
    cp.secure_by_provider(&anna.session, &back).await.unwrap();
    assert!(cp.require_secure(&anna.session).await.is_ok());

    world.rig.clock.advance(1);
    world.bind_apple(&anna, "001.thief").await;
    for (wait, good) in [(IDENTIFIER_HOLD_SECS - 1, false), (1, true)] {
        world.rig.clock.advance(wait);
        let anna = world.by_desk("anna", 1).await;
        let begun = world.begin_for(&anna, "apple", FlowPurpose::Confirm).await;
        let back = world.at_apple(&begun, "001.thief");
        let done = cp.secure_by_provider(&anna.session, &back).await;
        assert_eq!(done.is_ok(), good, "{done:?}");
        assert!(good || matches!(done, Err(IdentityError::Held(wait)) if wait.0 == 1));
    }
}

#[tokio::test]
async fn wechat_is_known_by_its_union_and_by_the_app_until_then() {
    let world = World::new().await;
    let enter = async |seed, openid, unionid| {
        let begun = world.begin("wechat", seed).await;
        world.enter(world.at_wechat(&begun, openid, unionid), seed).await.unwrap()
    };
    let first = enter(1, "o1", None).await;
    assert!(first.new_account);
    // The operator joins the app to others: the same person has a new name.
    let joined = enter(2, "o1", Some("u1")).await;
    assert_eq!(joined.account, first.account);
    let elsewhere = enter(3, "o1-of-another-app", Some("u1")).await;
    assert_eq!(elsewhere.account, first.account);
    assert!(enter(4, "o2", Some("u2")).await.new_account);
    let begun = world.begin("wechat", 1).await;
    let back = world.at_wechat(&begun, "o1", None);
    let wrong = Return { code: Redacted::new("made-up".into()), ..back };
    assert!(refused(world.enter(wrong, 1).await), "an error within a 200");
}

#[tokio::test]
async fn a_provider_that_is_silent_is_said_to_be() {
    let world = World::new().await;
    let silent = Oidc::new(
        crate::federation::oidc::Registration {
            issuer: "http://127.0.0.1:9".into(),
            ..world.desk.registration()
        },
        http(),
        world.rig.clock.clone(),
    );
    let other = Rig::new().await;
    other.cp.set_identity_providers(vec![Arc::new(silent)]);
    let begun = other.cp.begin_provider_login("development", BACK, terminal(1), IP).await;
    assert!(matches!(begun, Err(FlowError::Silent)));
    assert!(world.rig.cp.identity_provider("none").is_none());
}
