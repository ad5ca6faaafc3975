//! Apps, codes and the logins that come of them.

use super::account::act;
use super::*;
use crate::consent::ACCOUNT;
use crate::ids::{AppId, AppLoginId};
use crate::sso::scope::Scopes;

const BACK: &str = "https://app.example/cb";

fn app(id: &str, first_party: bool) -> App {
    App {
        id: AppId(id.into()),
        name: "App".into(),
        redirect_uris: vec![BACK.into()],
        first_party,
        confidential: true,
        secret_hash: Some(vec![1]),
        policy_url: "https://app.example/policy".into(),
        policy_version: 1,
        backchannel_uri: Some("https://app.example/out".into()),
        created_at: NOW,
        suspended_at: None,
    }
}

fn login() -> SessionId {
    SessionId("session of c".into())
}

fn code(hash: u8, agreed: bool) -> NewAppCode {
    let scopes = Scopes { profile: true };
    let consent = AppConsent { policy_version: 1, asked: scopes, scopes, at: NOW };
    NewAppCode {
        hash: vec![hash],
        app: AppId("app".into()),
        account: AccountId("a".into()),
        login: login(),
        pairwise: "p".into(),
        redirect_uri: BACK.into(),
        challenge: [7; 32],
        jkt: None,
        scopes,
        agreed: agreed.then_some(consent),
        nonce: None,
        auth_time: NOW,
        expires: NOW + 60,
    }
}

fn tokens(word: &str) -> TokenHashes {
    TokenHashes {
        access: format!("access {word}").into_bytes(),
        access_expires: NOW + 300,
        refresh: format!("refresh {word}").into_bytes(),
    }
}

fn redemption(hash: u8, word: &str, session: bool) -> Redemption {
    let session = session.then(|| AppSession {
        id: SessionId(format!("session {word}")),
        terminal: TerminalId(format!("terminal {word}")),
        jkt: Thumbprint([5; 32]),
        name_enc: vec![1],
    });
    Redemption {
        code: vec![hash],
        app: AppId("app".into()),
        redirect_uri: BACK.into(),
        challenge: [7; 32],
        jkt: Some(Thumbprint([5; 32])),
        login: AppLoginId(word.into()),
        tokens: tokens(word),
        idle_expires: NOW + 5000,
        session,
    }
}

async fn stage(store: &dyn Store, first_party: bool) {
    let holder = account(store, "a").await;
    store.consent_append(&act(&holder, ACCOUNT.id, true), NOW).await.unwrap();
    assert!(store.app_add(&app("app", first_party), 2).await.unwrap());
}

async fn redeem(store: &dyn Store, wish: &Redemption) -> Redeemed {
    store.app_code_redeem(wish, 2, NOW).await.unwrap()
}

pub(super) async fn apps_are_bounded_and_keys_are_replaced(store: &dyn Store) {
    assert!(store.app_add(&app("x", false), 2).await.unwrap());
    assert!(store.app_add(&app("y", true), 2).await.unwrap());
    assert!(!store.app_add(&app("z", true), 2).await.unwrap());
    let id = AppId("x".into());
    assert_eq!(store.app(&id).await.unwrap(), Some(app("x", false)));
    assert!(store.app_secret_put(&id, &[9]).await.unwrap());
    assert_eq!(store.app(&id).await.unwrap().unwrap().secret_hash, Some(vec![9]));
    assert_eq!(store.app_remove(&id, NOW).await.unwrap(), Some(Vec::new()));
    assert_eq!(store.app_remove(&id, NOW).await.unwrap(), None);
    let key = |kid: &str| SigningKey {
        kid: kid.into(),
        public: vec![1],
        sealed: vec![2],
        created_at: NOW,
        published_until: None,
    };
    assert!(store.signing_key_put(&key("k1"), NOW, true).await.unwrap());
    assert!(!store.signing_key_put(&key("k2"), NOW, true).await.unwrap());
    assert!(store.signing_key_put(&key("k3"), NOW + 10, false).await.unwrap());
    let kids = async |now| {
        let keys = store.signing_keys(now).await.unwrap();
        keys.into_iter().map(|key| key.kid).collect::<Vec<_>>()
    };
    assert_eq!(kids(NOW + 9).await, ["k3", "k1"]);
    assert_eq!(kids(NOW + 10).await, ["k3"]);
}

pub(super) async fn a_code_opens_one_login_and_its_replay_ends_it(store: &dyn Store) {
    stage(store, false).await;
    assert!(!store.app_code_issue(&code(1, false), NOW).await.unwrap(), "nothing is agreed to");
    assert!(store.app_code_issue(&code(1, true), NOW).await.unwrap());
    assert!(store.app_code_issue(&code(2, false), NOW).await.unwrap());
    let (account, id) = (AccountId("a".into()), AppId("app".into()));
    assert!(store.app_consent(&account, &id).await.unwrap().unwrap().scopes.profile);
    assert!(store.app_code(&[1], &id, NOW + 59).await.unwrap().is_some());
    assert!(store.app_code(&[1], &id, NOW + 60).await.unwrap().is_none());
    let wrong = Redemption { challenge: [8; 32], ..redemption(2, "w", false) };
    assert_eq!(redeem(store, &wrong).await, Redeemed::Refused);
    assert_eq!(redeem(store, &redemption(2, "w", false)).await, Redeemed::Refused, "used up");
    let other = Redemption { app: AppId("x".into()), ..redemption(1, "o", false) };
    assert_eq!(redeem(store, &other).await, Redeemed::Refused, "and nothing is used up");
    assert_eq!(redeem(store, &redemption(1, "l", false)).await, Redeemed::Opened(Vec::new()));
    let found = store.app_login_by_access(b"access l", NOW + 299).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.pairwise.as_str()), ("l", "p"));
    assert!(store.app_login_by_access(b"access l", NOW + 300).await.unwrap().is_none());
    assert_eq!(redeem(store, &redemption(1, "m", false)).await, Redeemed::Replayed(Vec::new()));
    assert!(store.app_login_by_access(b"access l", NOW).await.unwrap().is_none());
    let word = store.app_logout("l").await.unwrap().unwrap();
    assert_eq!((word.uri.as_str(), word.pairwise.as_str()), ("https://app.example/out", "p"));
    store.app_logout_done("l").await.unwrap();
    assert!(store.app_logout("l").await.unwrap().is_none());
}

pub(super) async fn the_session_of_an_app_ends_with_the_login_it_came_from(store: &dyn Store) {
    stage(store, true).await;
    for (hash, word) in [(1, "l"), (2, "m"), (3, "n")] {
        assert!(store.app_code_issue(&code(hash, true), NOW).await.unwrap());
        let opened = redeem(store, &redemption(hash, word, true)).await;
        let made_room = matches!(&opened, Redeemed::Opened(ended) if ended.len() == 1);
        assert_eq!(made_room, word == "n", "of an app two stay: {opened:?}");
    }
    let open = store.session_by_access(b"access n", NOW).await.unwrap().unwrap();
    assert_eq!(open.app, Some(AppId("app".into())));
    assert!(store.app_login_of(&open.id, NOW).await.unwrap().is_some());
    let rotation = Rotation {
        presented: b"refresh n".to_vec(),
        jkt: Thumbprint([5; 32]),
        app: None,
        tokens: tokens("n2"),
        idle_expires: NOW + 6000,
    };
    assert_eq!(store.refresh_rotate(&rotation, NOW).await.unwrap(), Rotated::Refused);
    let rotation = Rotation { app: Some(AppId("app".into())), ..rotation };
    assert_eq!(store.refresh_rotate(&rotation, NOW).await.unwrap(), Rotated::Fresh);
    assert!(store.login_times(&login(), NOW + 1999).await.unwrap().is_some(), "it lives on");
    let ended = store.session_revoke(&login(), NOW).await.unwrap();
    assert_eq!(ended.len(), 3, "its own and two of the app: {ended:?}");
    assert!(store.session_by_access(b"access n2", NOW).await.unwrap().is_none());
    assert!(store.app_code(&[9], &AppId("app".into()), NOW).await.unwrap().is_none());
    assert!(store.session_revoke(&login(), NOW).await.unwrap().is_empty());
}

pub(super) async fn a_suspended_app_is_unknown_until_it_is_resumed(store: &dyn Store) {
    let waiting = App { suspended_at: Some(NOW), ..app("x", false) };
    assert!(store.app_add(&waiting, 2).await.unwrap());
    assert!(store.app_add(&app("y", false), 2).await.unwrap());
    let id = AppId("x".into());
    assert_eq!(store.app(&id).await.unwrap(), None);
    assert_eq!(store.apps().await.unwrap(), [waiting, app("y", false)], "the operator sees it");
    assert!(!store.app_resume(&AppId("y".into())).await.unwrap(), "it is not suspended");
    assert!(!store.app_resume(&AppId("z".into())).await.unwrap());
    assert_eq!(store.app(&id).await.unwrap(), None);
    assert!(store.app_resume(&id).await.unwrap());
    assert_eq!(store.app(&id).await.unwrap(), Some(app("x", false)));
    assert!(!store.app_resume(&id).await.unwrap(), "once");
}

pub(super) async fn the_policy_is_withdrawn_with_what_apps_have(store: &dyn Store) {
    stage(store, true).await;
    for hash in [1, 2] {
        assert!(store.app_code_issue(&code(hash, true), NOW).await.unwrap());
    }
    assert_eq!(redeem(store, &redemption(1, "l", true)).await, Redeemed::Opened(Vec::new()));
    let (account, id) = (AccountId("a".into()), AppId("app".into()));
    let policy = ConsentAct {
        account: account.clone(),
        subject: Subject("s".into()),
        terminal: TerminalId("t".into()),
        purpose: "account".into(),
        version: 1,
        granted: false,
        policy: None,
    };
    let (_, ended) = store.policy_withdraw(&policy, NOW).await.unwrap();
    assert_eq!(ended, [SessionId("session l".into())], "the person's own login stays");
    assert!(store.session_by_access(b"access l", NOW).await.unwrap().is_none());
    assert!(store.app_logout("l").await.unwrap().is_some(), "the app is told");
    assert!(store.app_code(&[2], &id, NOW).await.unwrap().is_none());
    assert!(store.apps_of(&account, NOW).await.unwrap().is_empty());
    assert!(!store.app_code_issue(&code(3, true), NOW).await.unwrap(), "in basic mode");
    assert!(store.app_consent(&account, &id).await.unwrap().is_none());
    let again = ConsentAct { granted: true, ..policy };
    store.consent_append(&again, NOW).await.unwrap();
    assert!(!store.app_code_issue(&code(3, false), NOW).await.unwrap(), "each is agreed to anew");
    assert!(store.app_code_issue(&code(3, true), NOW).await.unwrap());
}
