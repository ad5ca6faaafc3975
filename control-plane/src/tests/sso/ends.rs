//! How logins of apps end, and how apps hear of it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use sightline_grant::Revocation;
use tokio::net::TcpListener;

use super::*;
use crate::consent::ACCOUNT;
use crate::limits::{
    ACCESS_TTL_SECS, LEDGER_KEEP_SECS, LOGOUT_ATTEMPTS, SEND_RETRY_SECS, SESSION_IDLE_SECS,
    SESSION_MAX_SECS,
};
use crate::outbound::Egress;
use crate::sso::Provider;
use crate::storage::{SsoStore, UpkeepStore};

/// An app's place for word of logouts: what came, and what is answered.
#[derive(Clone)]
struct Ear {
    heard: Arc<Mutex<Vec<String>>>,
    status: Arc<Mutex<StatusCode>>,
    address: String,
}

impl Ear {
    async fn open(rig: &Rig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/logout", listener.local_addr().unwrap());
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let ear = Self { heard: Arc::default(), status, address };
        let hear = async |State(ear): State<Self>, body: String| {
            ear.heard.lock().unwrap().push(body);
            *ear.status.lock().unwrap()
        };
        let router = Router::new().fallback(hear).with_state(ear.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let egress = Egress::new(true).unwrap();
        rig.cp.set_provider(Provider { issuer: "https://test.example".into(), egress });
        ear
    }

    async fn app(&self, rig: &Rig, first_party: bool) -> AppId {
        let backchannel_uri = Some(self.address.clone());
        let app = NewApp { first_party, backchannel_uri, ..new_app("App") };
        rig.cp.add_app(&app).await.unwrap().id
    }

    /// Tokens that came since the last look.
    async fn heard(&self, rig: &Rig) -> Vec<String> {
        rig.cp.deliver_outbox().await.unwrap();
        let bodies = std::mem::take(&mut *self.heard.lock().unwrap());
        let token = |body: String| body.strip_prefix("logout_token=").unwrap().to_owned();
        bodies.into_iter().map(token).collect()
    }
}

#[tokio::test]
async fn signing_out_ends_what_apps_have_and_each_is_told_once() {
    let rig = Rig::new().await;
    let ear = Ear::open(&rig).await;
    let anna = rig.sign_in(ANNA, 1).await;
    let (own, other) = (ear.app(&rig, true).await, ear.app(&rig, false).await);
    let session = rig.app_signed_in(&anna, &own, Some(terminal(5))).await;
    let bearer = rig.app_signed_in(&anna, &other, None).await;
    let (_, id) = verified(&rig, bearer.id_token.unwrap().expose()).await.unwrap();
    let media = rig.cp.session(&session.tokens.access).await.unwrap().unwrap();
    assert_eq!(media.app.as_ref(), Some(&own));
    let mut feed = rig.cp.revocations();
    rig.cp.sign_out(&anna.session).await.unwrap();
    let ended: Vec<_> = std::iter::from_fn(|| feed.try_recv().ok()).collect();
    for session in [&anna.session.id, &media.id] {
        assert!(ended.contains(&Revocation::Session { session: session.0.clone() }), "{ended:?}");
    }
    assert!(rig.cp.session(&session.tokens.access).await.unwrap().is_none());
    assert!(rig.cp.app_login(&bearer.tokens.access, None).await.unwrap().is_none());
    let told = ear.heard(&rig).await;
    assert_eq!(told.len(), 2);
    let mut claims = Vec::new();
    for token in &told {
        let (header, said) = verified(&rig, token).await.unwrap();
        assert_eq!(header["typ"], "logout+jwt");
        assert!(said["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object());
        assert!(said.get("nonce").is_none() && said["jti"].is_string());
        claims.push(said);
    }
    let of_other = claims.iter().find(|said| said["aud"] == other.as_str()).unwrap();
    assert_eq!((&of_other["sub"], &of_other["sid"]), (&id["sub"], &id["sid"]));
    assert!(ear.heard(&rig).await.is_empty(), "once");
}

#[tokio::test]
async fn every_end_of_a_login_ends_what_apps_have_of_it() {
    let rig = Rig::new().await;
    let ear = Ear::open(&rig).await;
    let other = ear.app(&rig, false).await;
    let own = ear.app(&rig, true).await;
    let opened = async |seed: u8| {
        let anna = rig.sign_in(ANNA, seed).await;
        let access = rig.app_signed_in(&anna, &other, None).await.tokens.access;
        let session = rig.app_signed_in(&anna, &own, Some(terminal(50))).await.tokens.access;
        (anna, access, session)
    };
    let dead = async |access: &Redacted<String>, session: &Redacted<String>| {
        assert!(rig.cp.app_login(access, None).await.unwrap().is_none());
        assert!(rig.cp.session(session).await.unwrap().is_none());
        assert_eq!(ear.heard(&rig).await.len(), 2);
    };
    let (anna, access, session) = opened(1).await;
    let there = rig.sign_in(ANNA, 9).await;
    rig.cp.sign_out_terminal(&there.session, &anna.session.terminal).await.unwrap();
    dead(&access, &session).await;

    let (anna, access, session) = opened(2).await;
    assert!(rig.cp.take_app_off(&anna.session, &other).await.unwrap());
    assert!(!rig.cp.take_app_off(&anna.session, &other).await.unwrap());
    assert!(rig.cp.take_app_off(&anna.session, &own).await.unwrap());
    assert!(rig.cp.my_apps(&anna.session).await.unwrap().is_empty());
    dead(&access, &session).await;

    let (anna, access, session) = opened(3).await;
    // The app's own terminal is one that the person sees and signs out.
    let terminals = rig.cp.my_terminals(&anna.session).await.unwrap();
    let apps = terminals.iter().find(|terminal| terminal.client_type == "app").unwrap();
    assert_eq!(apps.name, "App");
    assert!(rig.cp.sign_out_terminal(&anna.session, &apps.id).await.unwrap());
    assert!(rig.cp.session(&session).await.unwrap().is_none());
    assert!(rig.cp.app_login(&access, None).await.unwrap().is_some(), "another app's");
    assert_eq!(ear.heard(&rig).await.len(), 1);

    let (anna, access, session) = opened(4).await;
    ear.heard(&rig).await;
    rig.cp.delete_account(&anna.session.account).await.unwrap();
    assert!(rig.cp.app_login(&access, None).await.unwrap().is_none());
    assert!(rig.cp.session(&session).await.unwrap().is_none());
    // The one of before, too.
    assert_eq!(ear.heard(&rig).await.len(), 3);
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM sso_grant) + (SELECT count(*) FROM sso_code)
         + (SELECT count(*) FROM sso_consent) + (SELECT count(*) FROM sso_token)",
    )
    .fetch_one(rig.store.pool())
    .await
    .unwrap();
    assert_eq!(left, 0, "nothing of an erased person stays");
}

#[tokio::test]
async fn who_withdraws_the_policy_leaves_every_app() {
    let rig = Rig::new().await;
    let ear = Ear::open(&rig).await;
    let (anna, ben) = (rig.sign_in(ANNA, 1).await, rig.sign_in(BEN, 2).await);
    let (own, other) = (ear.app(&rig, true).await, ear.app(&rig, false).await);
    let session = rig.app_signed_in(&anna, &own, Some(terminal(5))).await.tokens;
    let bearer = rig.app_signed_in(&anna, &other, None).await.tokens;
    let of_ben = rig.app_signed_in(&ben, &other, None).await.tokens;
    let code = rig.app_code(&anna, &other, "").await;
    let media = rig.cp.session(&session.access).await.unwrap().unwrap();
    let nothing_left = async || {
        assert!(rig.cp.session(&session.access).await.unwrap().is_none());
        assert!(rig.cp.app_login(&session.access, Some(terminal(5))).await.unwrap().is_none());
        assert!(rig.cp.app_login(&bearer.access, None).await.unwrap().is_none());
        for (app, tokens, jkt) in [(&own, &session, Some(terminal(5))), (&other, &bearer, None)] {
            let refreshed = rig.cp.refresh_app(&rig.app(app).await, &tokens.refresh, jkt).await;
            assert!(matches!(refreshed, Err(TokenError::InvalidGrant)), "{refreshed:?}");
        }
        let traded = rig.trade(&other, &code, None).await;
        assert!(matches!(traded, Err(TokenError::InvalidGrant)), "{traded:?}");
        assert!(rig.cp.my_apps(&anna.session).await.unwrap().is_empty());
    };
    let mut feed = rig.cp.revocations();
    rig.cp.withdraw_consent(&anna.session, ACCOUNT.id).await.unwrap();
    let ended: Vec<_> = std::iter::from_fn(|| feed.try_recv().ok()).collect();
    assert!(ended.contains(&Revocation::Session { session: media.id.0.clone() }), "{ended:?}");
    assert!(rig.cp.session(&anna.signed_in.tokens.access).await.unwrap().is_some(), "her own");
    nothing_left().await;
    assert_eq!(ear.heard(&rig).await.len(), 2, "each app once, and not of Ben");
    assert!(rig.cp.app_login(&of_ben.access, None).await.unwrap().is_some());
    let agreed = Decision::Agreed { profile: true };
    let late = back(rig.cp.answer_app(&anna.session, &asks(&other, ""), agreed).await.unwrap());
    assert_eq!(member(&late, "error").as_deref(), Some("access_denied"), "in basic mode");

    rig.cp.grant_consent(&anna.session, ACCOUNT.id, ACCOUNT.version).await.unwrap();
    nothing_left().await;
    for app in [&own, &other] {
        let asked = rig.cp.answer_app(&anna.session, &asks(app, ""), Decision::Unasked).await;
        assert!(matches!(asked, Ok(Answer::Ask(_))), "asked anew: {asked:?}");
    }
    let anew = rig.app_signed_in(&anna, &other, None).await.tokens;
    assert!(rig.cp.app_login(&anew.access, None).await.unwrap().is_some());
    assert!(ear.heard(&rig).await.is_empty());
}

#[tokio::test]
async fn an_app_that_is_forgotten_or_gives_up_has_nothing_left() {
    let rig = Rig::new().await;
    let ear = Ear::open(&rig).await;
    let anna = rig.sign_in(ANNA, 1).await;
    let (other, own) = (ear.app(&rig, false).await, ear.app(&rig, true).await);
    let access = rig.app_signed_in(&anna, &other, None).await.tokens.access;
    let made = rig.app_signed_in(&anna, &own, Some(terminal(5))).await.tokens;
    rig.cp.give_up(&rig.app(&other).await, &made.refresh).await.unwrap();
    assert!(rig.cp.session(&made.access).await.unwrap().is_some(), "another app's token");
    rig.cp.give_up(&rig.app(&own).await, &made.refresh).await.unwrap();
    assert!(rig.cp.session(&made.access).await.unwrap().is_none());
    assert!(ear.heard(&rig).await.is_empty(), "it knows, since it wished so");
    rig.cp.remove_app(&other).await.unwrap();
    assert!(rig.cp.app_login(&access, None).await.unwrap().is_none());
    assert_eq!(ear.heard(&rig).await.len(), 1);
    assert!(matches!(rig.cp.remove_app(&other).await, Err(AppError::Unknown)));
}

#[tokio::test]
async fn an_app_that_does_not_answer_is_told_again_a_bounded_number_of_times() {
    let rig = Rig::new().await;
    let ear = Ear::open(&rig).await;
    let anna = rig.sign_in(ANNA, 1).await;
    let other = ear.app(&rig, false).await;
    rig.app_signed_in(&anna, &other, None).await;
    *ear.status.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    rig.cp.sign_out(&anna.session).await.unwrap();
    let mut tokens = ear.heard(&rig).await;
    let mut pause = SEND_RETRY_SECS;
    for _ in 1..LOGOUT_ATTEMPTS {
        rig.clock.advance(pause - 1);
        assert!(ear.heard(&rig).await.is_empty());
        rig.clock.advance(1);
        let again = ear.heard(&rig).await;
        assert_eq!(again.len(), 1);
        tokens.extend(again);
        pause *= 2;
    }
    rig.clock.advance(pause * 2);
    assert!(ear.heard(&rig).await.is_empty(), "given up");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM sso_logout")
        .fetch_one(rig.store.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
    let mut ids = Vec::new();
    for token in &tokens {
        ids.push(verified(&rig, token).await.unwrap().1["jti"].to_string());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), tokens.len(), "each word is one of its own");
}

#[tokio::test]
async fn using_an_app_is_using_the_login_and_neither_outlives_it() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let (other, own) = (rig.other_app().await.id, rig.own_app().await.id);
    let mut bearer = rig.app_signed_in(&anna, &other, None).await.tokens;
    let mut session = rig.app_signed_in(&anna, &own, Some(terminal(5))).await.tokens;
    let (other, own) = (rig.app(&other).await, rig.app(&own).await);
    let begun = anna.session.id.clone();
    let until = rig.clock_now() + SESSION_MAX_SECS;
    while rig.clock_now() + SESSION_IDLE_SECS < until {
        rig.clock.advance(SESSION_IDLE_SECS - 1);
        rig.store.purge(rig.clock_now()).await.unwrap();
        bearer = rig.cp.refresh_app(&other, &bearer.refresh, None).await.unwrap().tokens;
        let jkt = Some(terminal(5));
        session = rig.cp.refresh_app(&own, &session.refresh, jkt).await.unwrap().tokens;
        assert!(rig.store.login_times(&begun, rig.clock_now()).await.unwrap().is_some());
    }
    rig.clock.advance(SESSION_IDLE_SECS);
    let gone = rig.cp.refresh_app(&other, &bearer.refresh, None).await;
    assert!(matches!(gone, Err(TokenError::InvalidGrant)), "the login's longest time is over");
    assert!(rig.cp.refresh_app(&own, &session.refresh, Some(terminal(5))).await.is_err());
    rig.clock.advance(LEDGER_KEEP_SECS + ACCESS_TTL_SECS);
    rig.store.purge(rig.clock_now()).await.unwrap();
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM sso_grant) + (SELECT count(*) FROM sso_code)
         + (SELECT count(*) FROM sso_token)",
    )
    .fetch_one(rig.store.pool())
    .await
    .unwrap();
    assert_eq!(left, 0, "upkeep takes what is over");
}

#[tokio::test]
async fn the_terminal_of_an_app_is_no_known_terminal_of_the_person() {
    use crate::storage::CredentialStore;

    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let own = rig.own_app().await.id;
    rig.app_signed_in(&anna, &own, Some(terminal(5))).await;
    let lookup = crate::address::Address::parse(ANNA).unwrap().lookup(rig.cp.vault());
    let known = async |seed: u8| {
        rig.store.entry(&lookup, terminal(seed)).await.unwrap().unwrap().known_terminal
    };
    assert!(known(1).await && !known(5).await);
    rig.sign_in(ANNA, 5).await;
    assert!(known(5).await, "the person signed in on it");
    // And it stays so when an app signs in with the same key.
    rig.app_signed_in(&anna, &own, Some(terminal(5))).await;
    assert!(known(5).await);
}
