//! Apps from outside: the forms of OAuth, and what the login of an app may not do.

use axum::http::Method;
use sightline_operation::Rule;

use super::*;
use crate::http::operations;
use crate::limits::APP_CALLS_PER_CLIENT;
use crate::tests::apps_rig::{BACK, VERIFIER, asks, member};
use crate::tests::rig::IP;

impl Client<'_> {
    /// A form, with a proof where `proven`.
    async fn form(&self, path: &str, members: &[(&str, &str)], more: &[(&str, String)]) -> Answer {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
        let kind = "application/x-www-form-urlencoded";
        let mut request =
            Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, kind);
        for (name, value) in more {
            request = request.header(*name, value);
        }
        let (answer, bytes) = self.exchange(request.body(Body::from(body)).unwrap()).await;
        Answer { body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), ..answer }
    }

    async fn shown(&self, path: &str, headers: &[(&str, String)]) -> Answer {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let (answer, bytes) = self.exchange(request.body(Body::empty()).unwrap()).await;
        Answer { body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), ..answer }
    }

    /// The person agrees to an app; the code.
    async fn agree_to_app(&self, app: &crate::ids::AppId) -> String {
        let wish = json!({"query": asks(app, ""), "decision": "agree", "profile": true});
        let answer = self.call("POST", "/v1/sso/authorizations", Some(wish)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        member(answer.body["redirect_to"].as_str().unwrap(), "code").unwrap()
    }
}

fn basic(id: &str, secret: &str) -> (&'static str, String) {
    use base64::engine::general_purpose::STANDARD;
    ("authorization", format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}

fn code_form<'a>(code: &'a str, id: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    form.extend(id.map(|id| ("client_id", id)));
    form
}

fn error(answer: &Answer) -> (u16, &str) {
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json", "{}", answer.body);
    assert!(answer.body["error_description"].is_string());
    (answer.status.as_u16(), answer.body["error"].as_str().unwrap())
}

#[tokio::test]
async fn an_app_with_a_secret_signs_a_person_in_and_learns_what_it_may() {
    let rig = Rig::new().await;
    let mut anna = Client::new(&rig, 1);
    anna.sign_in(ANNA).await;
    let agreed = json!({"purpose": "profile", "version": 1, "decision": "granted"});
    anna.call("POST", "/v1/consents", Some(agreed)).await;
    let named = anna.call("PATCH", "/v1/me", Some(json!({"nickname": "Anna"}))).await;
    assert!(named.status.is_success(), "{}", named.body);
    let added = rig.other_app().await;
    let (id, secret) = (added.id.as_str(), added.secret.unwrap());
    let asked = json!({"query": asks(&added.id, "")});
    let shown = anna.call("POST", "/v1/sso/requests", Some(asked.clone())).await;
    assert_eq!(
        (&shown.body["app"]["name"], &shown.body["scopes"]),
        (&json!("Weather"), &json!(["openid", "profile"]))
    );
    let question = anna.call("POST", "/v1/sso/authorizations", Some(asked.clone())).await;
    assert_eq!(
        (&question.body["redirect_to"], &question.body["app"]["id"]),
        (&Value::Null, &json!(id))
    );
    let code = anna.agree_to_app(&added.id).await;
    let again = anna.call("POST", "/v1/sso/authorizations", Some(asked)).await;
    assert!(again.body["redirect_to"].is_string(), "remembered: {}", again.body);

    let server = Client::new(&rig, 7);
    let login = basic(id, secret.expose());
    let made =
        server.form("/oauth/token", &code_form(&code, None), std::slice::from_ref(&login)).await;
    assert_eq!(
        (made.status, &made.body["token_type"]),
        (StatusCode::OK, &json!("Bearer")),
        "{}",
        made.body
    );
    assert_eq!(made.body["scope"], "openid profile");
    let access = made.body["access_token"].as_str().unwrap().to_owned();
    let bearer = ("authorization", format!("Bearer {access}"));
    let info = server.shown("/oauth/userinfo", std::slice::from_ref(&bearer)).await;
    assert_eq!(info.body["name"], "Anna", "{}", info.body);
    // It opens nothing else, however it is shown.
    assert_eq!(
        server.shown("/v1/me", std::slice::from_ref(&bearer)).await.problem(),
        "login-required"
    );
    let mut thief = Client::new(&rig, 7);
    thief.token = Some(access);
    assert_eq!(thief.call("GET", "/v1/me", None).await.problem(), "login-required");
    assert_eq!(thief.call("GET", "/oauth/userinfo", None).await.problem(), "app-login-required");

    let apps = anna.call("GET", "/v1/me/apps", None).await;
    assert_eq!(
        (&apps.body["items"][0]["id"], &apps.body["items"][0]["logins"]),
        (&json!(id), &json!(1))
    );
    let token = made.body["refresh_token"].as_str().unwrap();
    let given_up =
        server.form("/oauth/revoke", &[("token", token)], std::slice::from_ref(&login)).await;
    assert_eq!(given_up.status, StatusCode::OK);
    let unknown = server.form("/oauth/revoke", &[("token", "x")], &[login]).await;
    assert_eq!(unknown.status, StatusCode::OK, "nothing to give up");
    let over = server.shown("/oauth/userinfo", &[bearer]).await;
    assert_eq!(over.problem(), "app-login-required");
    let challenge = over.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let removed = anna.call("DELETE", &format!("/v1/me/apps/{id}"), None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let removed = anna.call("DELETE", &format!("/v1/me/apps/{id}"), None).await;
    assert_eq!(removed.problem(), "not-found");
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_the_words_of_oauth() {
    let rig = Rig::new().await;
    let mut anna = Client::new(&rig, 1);
    anna.sign_in(ANNA).await;
    let (other, own) = (rig.other_app().await, rig.own_app().await);
    let (id, secret) = (other.id.as_str(), other.secret.unwrap());
    let login = || vec![basic(id, secret.expose())];
    let server = Client::new(&rig, 7);
    let code = anna.agree_to_app(&other.id).await;
    let ask = async |form: &[(&str, &str)], headers: Vec<(&'static str, String)>| {
        server.form("/oauth/token", form, &headers).await
    };
    let good = code_form(&code, None);
    for (answer, wanted) in [
        (ask(&good, Vec::new()).await, (401, "invalid_client")),
        (ask(&good, vec![basic(id, "x")]).await, (401, "invalid_client")),
        (ask(&code_form(&code, Some(id)), Vec::new()).await, (401, "invalid_client")),
        (ask(&code_form(&code, Some("other")), login()).await, (400, "invalid_request")),
        (ask(&[("grant_type", "password")], login()).await, (400, "unsupported_grant_type")),
        (ask(&[("grant_type", "authorization_code")], login()).await, (400, "invalid_request")),
        (ask(&[&good[..], &[("code", "y")]].concat(), login()).await, (400, "invalid_request")),
        (ask(&good[..3], login()).await, (400, "invalid_request")),
        (
            ask(&[("grant_type", "refresh_token"), ("refresh_token", "x")], login()).await,
            (400, "invalid_grant"),
        ),
        (
            ask(&good, [login(), vec![("dpop", "x".into())]].concat()).await,
            (400, "invalid_dpop_proof"),
        ),
    ] {
        assert_eq!(error(&answer), wanted);
    }
    let json = server.call("POST", "/oauth/token", Some(json!({"grant_type": "x"}))).await;
    assert_eq!(error(&json), (400, "invalid_request"));
    assert_eq!(ask(&good, login()).await.status, StatusCode::OK, "nothing was used up");
    assert_eq!(error(&ask(&good, login()).await), (400, "invalid_grant"));

    // A proof is for this address and used once.
    let code = anna.agree_to_app(&own.id).await;
    let phone = Client::new(&rig, 5);
    let form = code_form(&code, Some(own.id.as_str()));
    let elsewhere = ("dpop", phone.proof("POST", "/oauth/revoke"));
    assert_eq!(
        error(&phone.form("/oauth/token", &form, &[elsewhere]).await),
        (400, "invalid_dpop_proof")
    );
    let proof = ("dpop", phone.proof("POST", "/oauth/token"));
    let made = phone.form("/oauth/token", &form, std::slice::from_ref(&proof)).await;
    assert_eq!((made.status, &made.body["token_type"]), (StatusCode::OK, &json!("DPoP")));
    assert_eq!(
        error(&phone.form("/oauth/token", &form, &[proof]).await),
        (400, "invalid_dpop_proof")
    );
}

#[tokio::test]
async fn an_app_from_one_network_asks_so_often_and_no_more() {
    let rig = Rig::new().await;
    let server = Client::new(&rig, 7);
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "nobody")];
    for _ in 0..APP_CALLS_PER_CLIENT.most {
        assert_eq!(error(&server.form("/oauth/token", &form, &[]).await), (401, "invalid_client"));
    }
    let limited = server.form("/oauth/token", &form, &[]).await;
    assert_eq!(error(&limited), (429, "slow_down"));
    assert!(limited.headers.contains_key(header::RETRY_AFTER));
    let other = [("grant_type", "refresh_token"), ("client_id", "another")];
    assert_eq!(error(&server.form("/oauth/token", &other, &[]).await), (401, "invalid_client"));
    rig.clock.advance(APP_CALLS_PER_CLIENT.seconds);
    assert_eq!(error(&server.form("/oauth/token", &form, &[]).await), (401, "invalid_client"));
    let written: i64 = sqlx::query_scalar("SELECT count(*) FROM otp_ledger")
        .fetch_one(rig.store.pool())
        .await
        .unwrap();
    assert_eq!(written, 0, "whoever asks writes nothing");
}

#[tokio::test]
async fn an_app_gets_and_renews_its_tokens_while_strangers_flood() {
    let rig = Rig::new().await;
    let mut anna = Client::new(&rig, 1);
    anna.sign_in(ANNA).await;
    let own = rig.own_app().await.id;
    let code = anna.agree_to_app(&own).await;
    floods::flood(&rig, IP);
    let phone = Client::new(&rig, 5);
    let ask = async |form: &[(&str, &str)]| {
        let proof = ("dpop", phone.proof("POST", "/oauth/token"));
        phone.form("/oauth/token", form, &[proof]).await
    };
    let nobody = ask(&code_form("x", Some(own.as_str()))).await;
    assert_eq!(error(&nobody), (429, "slow_down"), "anybody may say the name of an app");
    assert!(nobody.headers.contains_key(header::RETRY_AFTER));
    let made = ask(&code_form(&code, Some(own.as_str()))).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let token = made.body["refresh_token"].as_str().unwrap();
    let renewal =
        [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", own.as_str())];
    let renewed = ask(&renewal).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.body);
}

#[tokio::test]
async fn a_first_party_app_does_what_the_person_does_but_for_ways_to_sign_in() {
    let rig = Rig::new().await;
    let mut anna = Client::new(&rig, 1);
    anna.sign_in(ANNA).await;
    let own = rig.own_app().await.id;
    let code = anna.agree_to_app(&own).await;
    let mut phone = Client::new(&rig, 5);
    let proof = ("dpop", phone.proof("POST", "/oauth/token"));
    let made = phone.form("/oauth/token", &code_form(&code, Some(own.as_str())), &[proof]).await;
    phone.token = made.body["access_token"].as_str().map(str::to_owned);
    assert_eq!(phone.call("GET", "/v1/devices", None).await.status, StatusCode::OK);
    assert_eq!(phone.call("GET", "/v1/me", None).await.status, StatusCode::OK);
    let sub = phone.call("GET", "/oauth/userinfo", None).await.body["sub"].clone();
    assert!(sub.is_string());
    for (method, path) in [
        ("POST", "/v1/secure-windows"),
        ("PUT", "/v1/me/password"),
        ("PUT", "/v1/me/identifiers/email"),
        ("DELETE", "/v1/me/identifiers/phone"),
        ("GET", "/v1/me/apps"),
        ("GET", "/v1/me/terminals"),
        ("GET", "/v1/me/oplog"),
        ("POST", "/v1/sso/authorizations"),
    ] {
        let barred = phone.call(method, path, Some(json!({}))).await;
        assert_eq!(
            (barred.status, barred.problem()),
            (StatusCode::FORBIDDEN, "app-barred"),
            "{path}"
        );
    }
    for wish in [json!({"purpose": "secure"}), json!({"purpose": "identifier", "target": BEN})] {
        assert_eq!(phone.call("POST", "/v1/otp", Some(wish)).await.problem(), "app-barred");
    }
    // Its token is worth nothing with another key.
    let mut thief = Client::new(&rig, 6);
    thief.token.clone_from(&phone.token);
    assert_eq!(thief.call("GET", "/v1/me", None).await.problem(), "wrong-terminal");
    assert_eq!(thief.call("GET", "/oauth/userinfo", None).await.problem(), "app-login-required");
    assert_eq!(
        phone.call("DELETE", "/v1/sessions/current", None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(anna.call("GET", "/v1/me", None).await.status, StatusCode::OK, "the person's stays");
    anna.agree_to_app(&own).await;
}

/// Whoever adds a way to sign in, or anything else about the account as a whole, says here that an
/// app may do it, or bars apps.
#[test]
fn what_changes_an_account_is_barred_to_apps_unless_it_is_named_here() {
    const APPS_TOO: [&str; 4] =
        ["/v1/me/avatar", "/v1/me/profile", "/v1/sessions/basic", "/v1/sessions/current"];
    for operation in operations().operations() {
        let about_account = ["/v1/me/", "/v1/sessions", "/v1/secure", "/v1/password", "/v1/sso"]
            .iter()
            .any(|prefix| operation.path.starts_with(prefix));
        let admits = matches!(operation.rule, Rule::Login | Rule::BasicLogin);
        let named = APPS_TOO.contains(&operation.path);
        let what = format!("{} {}", operation.method, operation.path);
        assert!(!about_account || !admits || named, "{what}: Rule::OwnLogin, or a name here");
    }
}

#[tokio::test]
async fn the_provider_describes_itself() {
    let rig = Rig::new().await;
    let anybody = Client::new(&rig, 7);
    let about = anybody.shown("/.well-known/openid-configuration", &[]).await.body;
    assert_eq!(about["issuer"], "https://test.example");
    assert_eq!(about["token_endpoint"], "https://test.example/oauth/token");
    assert_eq!(about["code_challenge_methods_supported"], json!(["S256"]));
    let keys = anybody.shown("/oauth/keys", &[]).await.body;
    assert_eq!((&keys["keys"][0]["alg"], &keys["keys"][0]["d"]), (&json!("ES256"), &Value::Null));
    let request = Request::builder().method(Method::OPTIONS).uri("/oauth/token");
    let (answer, _) = anybody.exchange(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization, content-type, dpop");
}
