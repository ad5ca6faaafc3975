//! One account, several apps: requests, codes, tokens, and how logins of apps end.

mod ends;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::Value;
use sightline_grant::{PublicKey, Redacted};

use super::apps_rig::{BACK, CHALLENGE, asks, back, member, new_app, shown};
use super::rig::{ANNA, BEN, Rig, terminal};
use crate::ids::AppId;
use crate::limits::{
    APP_CODE_SECS, APP_LOGINS, APP_NONCE_CHARS, APP_STATE_CHARS, APPS, AUTH_FRESH_SECS,
    REFRESH_RETRY_SECS, SIGNING_KEY_OVERLAP_SECS,
};
use crate::sso::app::{AppError, NewApp};
use crate::sso::authorize::{Answer, Decision, RequestError};
use crate::sso::token::{ClientShown, CodeShown, TokenError};

/// Header and claims of a token, if a published key signed it.
async fn verified(rig: &Rig, token: &str) -> Option<(Value, Value)> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let read = |part: &str| serde_json::from_slice::<Value>(&B64.decode(part).unwrap()).unwrap();
    let (header, claims) = (read(header), read(claims));
    let keys = rig.cp.published_keys().await.unwrap();
    let key = keys.iter().find(|key| header["kid"] == key.kid.as_str())?;
    let coordinate = |text: &str| B64.decode(text).unwrap().try_into().unwrap();
    let key = PublicKey::P256 { x: coordinate(&key.x), y: coordinate(&key.y) };
    let signature = B64.decode(signature).unwrap();
    (header["alg"] == "ES256" && key.verify(signed.as_bytes(), &signature))
        .then_some((header, claims))
}

async fn error_of(rig: &Rig, query: &str) -> String {
    let to = back(rig.cp.read_app_request(query).await.unwrap());
    assert!(to.starts_with(BACK), "{to}");
    assert_eq!(member(&to, "iss").as_deref(), Some("https://test.example"));
    assert_eq!(member(&to, "code"), None);
    member(&to, "error").unwrap()
}

#[tokio::test]
async fn a_request_is_for_a_known_address_exactly_and_errors_go_there_only() {
    let rig = Rig::new().await;
    let app = rig.other_app().await.id;
    let good = asks(&app, "");
    let with = |from: &str, to: &str| good.replace(from, to);
    let address = "https%3A%2F%2Fapp.example%2Fcb";
    let nobody = [
        with(app.as_str(), "0"),
        with(address, "https%3A%2F%2Fapp.example%2Fcb%2Fx"),
        with(address, "https%3A%2F%2Fapp.example%2Fcb%3Fx"),
        with(address, "https%3A%2F%2Fapp.example%2F"),
        with(address, "https%3A%2F%2Fapp.example%2FCB"),
        with(address, "https%3A%2F%2Fapp.example.evil.example%2Fcb"),
        with(address, ""),
        format!("{good}&redirect_uri={address}"),
        format!("{good}&client_id={app}"),
        String::new(),
    ];
    for query in nobody {
        let refused = rig.cp.read_app_request(&query).await;
        assert!(matches!(refused, Err(RequestError::Unknown)), "{query}");
    }
    for (query, error) in [
        (with("response_type=code", "response_type=token"), "unsupported_response_type"),
        (with("response_type=code&", ""), "invalid_request"),
        (with("openid", "mail"), "invalid_scope"),
        // Without a method, a challenge would be the verifier.
        (with("&code_challenge_method=S256", ""), "invalid_request"),
        (with("S256", "plain"), "invalid_request"),
        (with(CHALLENGE, "x"), "invalid_request"),
        (with(&format!("&code_challenge={CHALLENGE}"), ""), "invalid_request"),
        (format!("{good}&nonce=n2"), "invalid_request"),
        (format!("{good}&prompt=none+login"), "invalid_request"),
        (format!("{good}&prompt=create"), "invalid_request"),
        (format!("{good}&max_age=-1"), "invalid_request"),
        (format!("{good}&dpop_jkt=x"), "invalid_request"),
        (format!("{good}&response_mode=fragment"), "invalid_request"),
        (format!("{good}&request=x"), "request_not_supported"),
        (format!("{good}&request_uri=x"), "request_uri_not_supported"),
        (
            with("state=s1", &format!("state={}", "s".repeat(APP_STATE_CHARS + 1))),
            "invalid_request",
        ),
        (
            with("nonce=n1", &format!("nonce={}", "n".repeat(APP_NONCE_CHARS + 1))),
            "invalid_request",
        ),
    ] {
        assert_eq!(error_of(&rig, &query).await, error, "{query}");
    }
    let longest = with("state=s1", &format!("state={}", "s".repeat(APP_STATE_CHARS)))
        .replace("nonce=n1", &format!("nonce={}", "n".repeat(APP_NONCE_CHARS)));
    let asked = rig.cp.read_app_request(&format!("{longest}&other=1")).await.unwrap();
    assert!(matches!(asked, Answer::Ask(question) if question.app.name == "Weather"));
    let silent = rig.cp.read_app_request(&format!("{good}&prompt=none")).await.unwrap();
    let Answer::Ask(question) = silent else { panic!("not asked") };
    let to = question.unless_signed_in.unwrap();
    assert_eq!(member(&to, "error").as_deref(), Some("login_required"));
    assert_eq!(member(&to, "state").as_deref(), Some("s1"), "the app's word against forgery");
}

#[tokio::test]
async fn who_may_be_another_app_by_now_is_asked_about_each_time() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    for (address, public, asked_again) in [
        (BACK, true, false),
        ("com.example.go:/cb", true, true),
        ("http://127.0.0.1:4000/cb", true, true),
        ("com.example.go:/cb", false, false),
    ] {
        let new = NewApp { redirect_uris: vec![address.into()], public, ..new_app("Go") };
        let app = rig.cp.add_app(&new).await.unwrap().id;
        let whole: String = url::form_urlencoded::byte_serialize(address.as_bytes()).collect();
        let query = asks(&app, "").replace("https%3A%2F%2Fapp.example%2Fcb", &whole);
        let answer =
            async |decision| rig.cp.answer_app(&anna.session, &query, decision).await.unwrap();
        assert!(
            matches!(answer(Decision::Unasked).await, Answer::Ask(_)),
            "{address}: the first time"
        );
        back(answer(Decision::Agreed { profile: false }).await);
        let asked = matches!(answer(Decision::Unasked).await, Answer::Ask(_));
        assert_eq!(asked, asked_again, "{address}, public: {public}");
    }
}

#[tokio::test]
async fn a_code_is_for_its_app_its_address_its_verifier_and_its_key_within_its_minute() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let (app, other) = (rig.other_app().await.id, rig.other_app().await.id);
    let refused = async |code: &str, change: fn(&mut CodeShown)| {
        let mut shown = shown(code);
        change(&mut shown);
        let app = rig.app(&app).await;
        let traded = rig.cp.trade_code(&app, &shown, Some(terminal(9))).await;
        assert!(matches!(traded, Err(TokenError::InvalidGrant)), "{traded:?}");
    };
    let code = rig.app_code(&anna, &app, "").await;
    let traded = rig.trade(&other, &code, None).await;
    assert!(matches!(traded, Err(TokenError::InvalidGrant)), "another app's code");
    refused(&code, |shown| shown.redirect_uri = "https://app.example/cb/".into()).await;
    refused(&code, |_| ()).await;
    let code = rig.app_code(&anna, &app, "").await;
    refused(&code, |shown| shown.verifier = Redacted::new("x".repeat(43))).await;
    refused(&code, |_| ()).await;
    let bound = format!("&dpop_jkt={}", terminal(8));
    let code = rig.app_code(&anna, &app, &bound).await;
    refused(&code, |_| ()).await;
    let code = rig.app_code(&anna, &app, &bound).await;
    assert!(rig.trade(&app, &code, Some(terminal(8))).await.is_ok());

    let code = rig.app_code(&anna, &app, "").await;
    rig.clock.advance(APP_CODE_SECS);
    refused(&code, |_| ()).await;
    let code = rig.app_code(&anna, &app, "").await;
    rig.clock.advance(APP_CODE_SECS - 1);
    assert!(rig.trade(&app, &code, None).await.is_ok());

    let code = rig.app_code(&anna, &app, "").await;
    rig.cp.sign_out(&anna.session).await.unwrap();
    refused(&code, |_| ()).await;
}

#[tokio::test]
async fn a_code_that_comes_twice_kills_what_came_of_it() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    for (app, jkt) in
        [(rig.other_app().await.id, None), (rig.own_app().await.id, Some(terminal(5)))]
    {
        let code = rig.app_code(&anna, &app, "").await;
        let made = rig.trade(&app, &code, jkt).await.unwrap();
        let access = &made.tokens.access;
        assert!(rig.cp.app_login(access, jkt).await.unwrap().is_some());
        let again = rig.trade(&app, &code, jkt).await;
        assert!(matches!(again, Err(TokenError::InvalidGrant)));
        assert!(rig.cp.app_login(access, jkt).await.unwrap().is_none());
        assert!(rig.cp.session(access).await.unwrap().is_none());
        let app = rig.app(&app).await;
        let refreshed = rig.cp.refresh_app(&app, &made.tokens.refresh, jkt).await;
        assert!(matches!(refreshed, Err(TokenError::InvalidGrant)));
    }
    assert!(rig.cp.session(&anna.signed_in.tokens.access).await.unwrap().is_some());
}

#[tokio::test]
async fn an_app_shows_its_secret_or_its_key() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let (other, own) = (rig.other_app().await, rig.own_app().await);
    let known = async |id: &AppId, secret: Option<&str>| {
        let secret = secret.map(|secret| Redacted::new(secret.to_owned()));
        rig.cp.known_app(&ClientShown { id: id.clone(), secret, jkt: None }).await.is_ok()
    };
    let secret = other.secret.unwrap();
    assert!(known(&other.id, Some(secret.expose())).await);
    assert!(known(&own.id, None).await && own.secret.is_none());
    for (id, secret) in [
        (&other.id, None),
        (&other.id, Some("x")),
        (&own.id, Some("x")),
        (&AppId("0".into()), Some("x")),
        (&AppId("0".into()), None),
    ] {
        assert!(!known(id, secret).await, "{id} {secret:?}");
    }
    let newer = rig.cp.rotate_app_secret(&other.id).await.unwrap();
    assert!(!known(&other.id, Some(secret.expose())).await);
    assert!(known(&other.id, Some(newer.expose())).await);
    let none = rig.cp.rotate_app_secret(&own.id).await;
    assert!(matches!(none, Err(AppError::NoSecret)), "a public app stays one");
    // Without a key there are no tokens for an app that can keep no secret.
    let code = rig.app_code(&anna, &own.id, "").await;
    let traded = rig.trade(&own.id, &code, None).await;
    assert!(matches!(traded, Err(TokenError::InvalidProof)));
    assert!(rig.trade(&own.id, &code, Some(terminal(5))).await.is_ok(), "nothing was used up");
}

#[tokio::test]
async fn a_consent_is_remembered_until_the_policy_or_the_wish_grows() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let app = rig.other_app().await.id;
    let answer = async |more: &str, decision| {
        rig.cp.answer_app(&anna.session, &asks(&app, more), decision).await.unwrap()
    };
    let asked = async |query: &str| {
        let unasked = Decision::Unasked;
        matches!(rig.cp.answer_app(&anna.session, query, unasked).await.unwrap(), Answer::Ask(_))
    };
    let error = |to: String| member(&to, "error").unwrap_or_default();
    assert!(asked(&asks(&app, "")).await);
    assert_eq!(error(back(answer("&prompt=none", Decision::Unasked).await)), "consent_required");
    assert_eq!(error(back(answer("", Decision::Refused).await)), "access_denied");
    let narrow = asks(&app, "").replace("openid+profile", "openid");
    let agreed = Decision::Agreed { profile: false };
    back(rig.cp.answer_app(&anna.session, &narrow, agreed).await.unwrap());
    assert!(!asked(&narrow).await);
    assert!(asked(&asks(&app, "")).await, "more than was asked for");
    // The name is refused, which is remembered, too.
    back(answer("", Decision::Agreed { profile: false }).await);
    let to = back(answer("&prompt=none", Decision::Unasked).await);
    let made = rig.trade(&app, &member(&to, "code").unwrap(), None).await.unwrap();
    assert!(!made.scopes.unwrap().profile);
    assert!(asked(&asks(&app, "&prompt=consent")).await);
    rig.cp.set_app_policy(&app, "https://app.example/policy-2", 2).await.unwrap();
    assert!(asked(&asks(&app, "")).await, "another policy");
    back(answer("", Decision::Agreed { profile: true }).await);
    assert!(!asked(&asks(&app, "")).await);
    let newer = rig.other_app().await.id;
    assert!(asked(&asks(&newer, "")).await, "agreeing to one app is not agreeing to another");
    let unknown = rig.cp.set_app_policy(&AppId("0".into()), "https://app.example/", 1).await;
    assert!(matches!(unknown, Err(AppError::Unknown)));
}

#[tokio::test]
async fn an_app_may_want_a_fresh_sign_in() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let app = rig.other_app().await.id;
    let made = rig.app_signed_in(&anna, &app, None).await;
    let (_, first) = verified(&rig, made.id_token.unwrap().expose()).await.unwrap();
    let ask = async |more: &str| {
        rig.cp.answer_app(&anna.session, &asks(&app, more), Decision::Unasked).await
    };
    // Signing in took a minute of the test's clock.
    let signed_in = first["auth_time"].as_u64().unwrap();
    rig.clock.advance(signed_in + AUTH_FRESH_SECS - rig.clock_now());
    assert!(ask("&prompt=login").await.is_ok() && ask("&max_age=0").await.is_ok());
    rig.clock.advance(1);
    for more in ["&prompt=login", "&max_age=0", "&max_age=60"] {
        assert!(matches!(ask(more).await, Err(RequestError::ConfirmFirst)), "{more}");
    }
    assert!(ask("&max_age=61").await.is_ok());
    let silent = back(ask("&max_age=0&prompt=none").await.unwrap());
    assert_eq!(member(&silent, "error").as_deref(), Some("login_required"));
    let sent = rig.cp.request_secure_code(&anna.session, None, super::rig::IP).await.unwrap();
    let code = rig.code(ANNA).await;
    rig.cp.secure_by_code(&anna.session, &sent.challenge, &code).await.unwrap();
    let to = back(ask("&prompt=login").await.unwrap());
    let made = rig.trade(&app, &member(&to, "code").unwrap(), None).await.unwrap();
    let (_, claims) = verified(&rig, made.id_token.unwrap().expose()).await.unwrap();
    assert_eq!(claims["auth_time"], rig.clock_now(), "when it was confirmed");
}

#[tokio::test]
async fn apps_cannot_join_people_and_learn_a_name_only_if_they_may() {
    let rig = Rig::new().await;
    let (anna, ben) = (rig.sign_in(ANNA, 1).await, rig.sign_in(BEN, 2).await);
    let (one, two) = (rig.other_app().await.id, rig.other_app().await.id);
    let mut subs = Vec::new();
    for (user, app) in [(&anna, &one), (&anna, &two), (&ben, &one), (&anna, &one)] {
        let made = rig.app_signed_in(user, app, None).await;
        let (header, claims) = verified(&rig, made.id_token.unwrap().expose()).await.unwrap();
        assert_eq!((&header["typ"], &claims["nonce"]), (&"JWT".into(), &"n1".into()));
        assert_eq!(
            (&claims["iss"], &claims["aud"]),
            (&"https://test.example".into(), &app.0.as_str().into())
        );
        let login = rig.cp.app_login(&made.tokens.access, None).await.unwrap().unwrap();
        let info = rig.cp.user_info(&login).await.unwrap();
        assert_eq!((claims["sub"].as_str(), info.name), (Some(info.sub.as_str()), None));
        let text = claims.to_string();
        for secret in [user.session.account.as_str(), user.session.subject.as_str(), ANNA] {
            assert!(!text.contains(secret), "{text}");
        }
        subs.push(info.sub);
    }
    assert_eq!(subs[0], subs[3]);
    assert!(subs[0] != subs[1] && subs[0] != subs[2] && subs[1] != subs[2]);
}

#[tokio::test]
async fn a_replaced_key_is_published_for_its_time_and_nothing_else_verifies() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let app = rig.other_app().await.id;
    let token = rig.app_signed_in(&anna, &app, None).await.id_token.unwrap();
    let first = rig.cp.published_keys().await.unwrap()[0].kid.clone();
    let second = rig.cp.rotate_signing_key().await.unwrap();
    let kids = async || {
        let keys = rig.cp.published_keys().await.unwrap();
        keys.into_iter().map(|key| key.kid).collect::<Vec<_>>()
    };
    assert_eq!(kids().await, [second.clone(), first]);
    assert!(verified(&rig, token.expose()).await.is_some());
    let newer = rig.app_signed_in(&anna, &app, None).await.id_token.unwrap();
    assert_eq!(verified(&rig, newer.expose()).await.unwrap().0["kid"], second.as_str());
    rig.clock.advance(SIGNING_KEY_OVERLAP_SECS - 1);
    assert_eq!(kids().await.len(), 2);
    rig.clock.advance(1);
    assert_eq!(kids().await, [second]);
    assert!(verified(&rig, token.expose()).await.is_none(), "its key is gone");
    let (_, rest) = newer.expose().split_once('.').unwrap();
    let none = B64.encode(r#"{"alg":"none","typ":"JWT"}"#);
    assert!(verified(&rig, &format!("{none}.{rest}")).await.is_none());
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_login() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    for (app, jkt) in
        [(rig.other_app().await.id, None), (rig.own_app().await.id, Some(terminal(5)))]
    {
        let first = rig.app_signed_in(&anna, &app, jkt).await.tokens;
        let app = rig.app(&app).await;
        let refresh = async |token: &Redacted<String>| rig.cp.refresh_app(&app, token, jkt).await;
        if jkt.is_some() {
            let thief = rig.cp.refresh_app(&app, &first.refresh, Some(terminal(6))).await;
            assert!(matches!(thief, Err(TokenError::InvalidGrant)), "another key");
            let aside = rig.cp.refresh(&first.refresh, terminal(5)).await;
            assert!(aside.is_err(), "an app's token is traded where the app shows itself");
        }
        let second = refresh(&first.refresh).await.unwrap().tokens;
        rig.clock.advance(REFRESH_RETRY_SECS);
        let retried = refresh(&first.refresh).await.unwrap().tokens;
        assert_eq!(retried.refresh.expose(), second.refresh.expose(), "a lost answer");
        let third = refresh(&second.refresh).await.unwrap().tokens;
        assert!(rig.cp.app_login(&third.access, jkt).await.unwrap().is_some());
        assert!(matches!(refresh(&first.refresh).await, Err(TokenError::InvalidGrant)));
        assert!(rig.cp.app_login(&third.access, jkt).await.unwrap().is_none());
        assert!(matches!(refresh(&third.refresh).await, Err(TokenError::InvalidGrant)));
    }
}

#[tokio::test]
async fn apps_and_logins_of_apps_are_bounded() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let app = rig.other_app().await.id;
    let mut made = Vec::new();
    for _ in 0..=APP_LOGINS {
        made.push(rig.app_signed_in(&anna, &app, None).await.tokens.access);
        rig.clock.advance(1);
    }
    assert!(rig.cp.app_login(&made[0], None).await.unwrap().is_none(), "it made room");
    for access in &made[1..] {
        assert!(rig.cp.app_login(access, None).await.unwrap().is_some());
    }
    for _ in 1..APPS {
        rig.other_app().await;
    }
    assert!(matches!(rig.cp.add_app(&new_app("More")).await, Err(AppError::Full)));
}
