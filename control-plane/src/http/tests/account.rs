//! The account from outside: profile, picture, terminals, log, basic mode, attestations.

use super::*;
use crate::avatar::tests::jpeg;
use crate::consent::{ACCOUNT, MEDIA_VIEW, PROFILE, TERMINAL_SECURITY};
use crate::limits::AVATAR_BYTES;

impl Client<'_> {
    async fn consent(&self, purpose: &Purpose) -> Answer {
        let wish =
            json!({"purpose": purpose.id, "version": purpose.version, "decision": "granted"});
        self.call("POST", "/v1/consents", Some(wish)).await
    }

    /// A request with a body of any kind; its answer and that one's body.
    async fn bytes(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> (Answer, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("DPoP", self.proof(method, path.split('?').next().unwrap()))
            .header(header::AUTHORIZATION, format!("DPoP {}", self.token.as_ref().unwrap()))
            .header(header::CONTENT_TYPE, kind);
        let (mut answer, bytes) = self.exchange(request.body(Body::from(body)).unwrap()).await;
        answer.body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (answer, bytes)
    }

    async fn get(&self, path: &str) -> (Answer, Vec<u8>) {
        self.bytes("GET", path, "application/json", Vec::new()).await
    }
}

#[tokio::test]
async fn a_profile_is_changed_member_by_member_and_shown_to_its_owner() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let patch = async |body: Value| app.call("PATCH", "/v1/me", Some(body)).await;
    let refused = patch(json!({"nickname": "Anna"})).await;
    assert_eq!(refused.problem(), "consent-required");
    assert_eq!(refused.body["purpose"], "profile", "it says what to agree to");
    assert_eq!(app.consent(&PROFILE).await.status, StatusCode::CREATED);
    let shown = patch(json!({"nickname": "Anna", "region": "DE-BE", "scenario": "home"})).await;
    assert_eq!((shown.status, &shown.body["nickname"]), (StatusCode::OK, &json!("Anna")));
    let shown = patch(json!({"region": null})).await;
    let expected = json!({"nickname": "Anna", "region": null, "scenario": "home", "avatar": false});
    assert_eq!(shown.body, expected);
    assert_eq!(app.call("GET", "/v1/me/profile", None).await.body, expected);
    assert_eq!(patch(json!({"scenario": "bank"})).await.problem(), "profile-invalid");
    assert_eq!(patch(json!({"age": 13})).await.problem(), "bad-request");
    let gone = app.call("DELETE", "/v1/consents/profile", None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(app.call("GET", "/v1/me/profile", None).await.body["nickname"], Value::Null);
    requirement!("A13");
}

#[tokio::test]
async fn a_picture_goes_in_with_a_place_and_comes_out_without() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    app.consent(&PROFILE).await;
    let put =
        async |kind: &str, file: Vec<u8>| app.bytes("PUT", "/v1/me/avatar", kind, file).await.0;
    assert_eq!(app.get("/v1/me/avatar").await.0.problem(), "not-found");
    assert_eq!(put("image/jpeg", jpeg(64, 64)).await.status, StatusCode::NO_CONTENT);
    let (answer, file) = app.get("/v1/me/avatar").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "image/jpeg");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert!(file.len() > 100 && !file.windows(3).any(|window| window == b"GPS"));
    assert_eq!(put("text/html", jpeg(64, 64)).await.problem(), "unsupported-media-type");
    assert_eq!(put("image/png", b"<html>".to_vec()).await.problem(), "picture-invalid");
    let large = put("image/jpeg", vec![0; AVATAR_BYTES + 1]).await;
    assert_eq!(large.problem(), "body-too-large");
    let largest = put("image/jpeg", vec![0; AVATAR_BYTES]).await;
    assert_eq!(largest.problem(), "picture-invalid", "it was taken and looked at");
    let mut other = Client::new(&rig, 2);
    other.sign_in(BEN).await;
    assert_eq!(other.get("/v1/me/avatar").await.0.problem(), "not-found", "somebody else's");
    let deleted = app.call("DELETE", "/v1/me/avatar", None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/v1/me/avatar").await.0.problem(), "not-found");
    requirement!("A14");
}

#[tokio::test]
async fn a_terminal_describes_itself_and_others_are_signed_out_from_it() {
    let rig = Rig::new().await;
    let (mut tablet, mut phone) = (Client::new(&rig, 1), Client::new(&rig, 2));
    let login = tablet.sign_in(ANNA).await;
    phone.sign_in(ANNA).await;
    let id = login.body["terminal"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/terminals/{id}");
    let facts = json!({"model": "Tablet 8", "os": "OS 4", "client_version": "2.1"});
    let refused = tablet.call("PUT", &path, Some(facts.clone())).await;
    assert_eq!(refused.problem(), "consent-required");
    assert_eq!(refused.body["purpose"], "terminal.security");
    tablet.consent(&TERMINAL_SECURITY).await;
    let stored = tablet.call("PUT", &path, Some(facts)).await;
    assert_eq!(stored.status, StatusCode::NO_CONTENT);
    for member in ["packages", "processes", "sim_state", "android_id", "imei", "location"] {
        let taken = tablet.call("PUT", &path, Some(json!({member: "x"}))).await;
        assert_eq!(taken.problem(), "bad-request", "{member} is not taken");
    }
    let states = json!({"camera": "denied", "microphone": "granted", "contacts": "not_asked"});
    let path = format!("{path}/permissions");
    let stored = tablet.call("PUT", &path, Some(states)).await;
    assert_eq!(stored.status, StatusCode::NO_CONTENT);
    let listed = phone.call("GET", "/v1/me/terminals", None).await;
    let items = listed.body["items"].as_array().unwrap();
    let tablet_shown = items.iter().find(|item| item["id"] == json!(id)).unwrap();
    assert_eq!(tablet_shown["current"], false);
    assert_eq!(tablet_shown["network"], "192.0.2.0/24");
    assert_eq!(tablet_shown["facts"]["model"], "Tablet 8");
    assert_eq!(tablet_shown["permissions"]["camera"], "denied");
    let gone = phone.call("DELETE", &format!("/v1/me/terminals/{id}"), None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(tablet.call("GET", "/v1/me", None).await.problem(), "login-required");
    requirement!("A17", "L1");
}

#[tokio::test]
async fn the_log_is_filtered_paged_and_exported() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    for _ in 0..60 {
        app.consent(&PROFILE).await;
        app.call("DELETE", "/v1/consents/profile", None).await;
    }
    let wish = json!({"serial": "CAM-9", "code": "AAAA-AAAA"});
    let refused = app.call("POST", "/v1/bindings", Some(wish)).await;
    assert_eq!(refused.problem(), "binding-refused");
    let (page, _) = app.get("/v1/me/oplog").await;
    let items = page.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 100);
    assert_eq!(items[0]["action"], "request.refused");
    assert_eq!(items[0]["object"], "POST /v1/bindings");
    assert_eq!((&items[0]["result"], &items[0]["actor"]), (&json!("refused"), &json!("self")));
    assert_eq!(items[0]["network"], "192.0.2.0/24");
    let next = page.body["next"].as_str().unwrap();
    let (rest, _) = app.get(&format!("/v1/me/oplog?cursor={next}")).await;
    let older = rest.body["items"].as_array().unwrap();
    assert_eq!(older.len(), 1 + 120 + 3 - 100);
    assert_eq!(older.last().unwrap()["action"], "account.registered");
    assert!(rest.body.get("next").is_none());
    let (logins, _) = app.get("/v1/me/oplog?action=session").await;
    assert_eq!(logins.body["items"].as_array().unwrap().len(), 1);
    let now = rig.clock.now();
    let (none, _) = app.get(&format!("/v1/me/oplog?since={}", now + 1)).await;
    assert_eq!(none.body["items"], json!([]));
    let (answer, _) = app.get("/v1/me/oplog?other=1").await;
    assert_eq!(answer.problem(), "query-unknown");
    for bad in ["action=a%25", "cursor=x", "since=x"] {
        let (answer, _) = app.get(&format!("/v1/me/oplog?{bad}")).await;
        assert_eq!(answer.problem(), "query-invalid", "{bad}");
    }
    let (answer, file) = app.get("/v1/me/oplog/export?format=jsonl&action=consent").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/jsonl");
    let text = String::from_utf8(file).unwrap();
    assert_eq!(text.lines().count(), 121);
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let (answer, file) = app.get("/v1/me/oplog/export?format=csv").await;
    let named = answer.headers[header::CONTENT_DISPOSITION].to_str().unwrap().to_owned();
    assert!(named.contains("operations.csv"), "{named}");
    assert_eq!(String::from_utf8(file).unwrap().lines().count(), 1 + 124);
    requirement!("A18");
}

#[tokio::test]
async fn basic_mode_shows_what_is_public_and_names_the_consent_that_opens_the_rest() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    let opened = app.call("POST", "/v1/sessions/basic", None).await;
    assert_eq!((opened.status, &opened.body["mode"]), (StatusCode::CREATED, &json!("basic")));
    app.token = opened.body["access_token"].as_str().map(str::to_owned);
    let (mode, _) = app.get("/v1/sessions/basic").await;
    assert_eq!((&mode.body["mode"], &mode.body["needs"]), (&json!("basic"), &json!("account")));
    assert_eq!(app.get("/v1/purposes").await.0.status, StatusCode::OK);
    let mut thief = Client::new(&rig, 3);
    thief.token = app.token.clone();
    assert_eq!(thief.get("/v1/sessions/basic").await.0.problem(), "login-required");
    let needs_login = |rule: &sightline_operation::Rule| rule.needs_login();
    let asked = refused_everywhere(&app, needs_login).await;
    assert!(asked > 20, "{asked}");
    requirement!("A21");

    app.token = None;
    app.sign_in(ANNA).await;
    assert_eq!(app.get("/v1/sessions/basic").await.0.body["mode"], "full");
    let withdrawn = app.call("DELETE", "/v1/consents/account", None).await;
    assert_eq!(withdrawn.status, StatusCode::NO_CONTENT);
    assert!(refused_everywhere(&app, personal).await > 20);
    assert_eq!(app.get("/v1/consents").await.0.status, StatusCode::OK);
    let early = app.consent(&PROFILE).await;
    assert_eq!((early.problem(), &early.body["purpose"]), ("consent-required", &json!("account")));
    assert_eq!(app.consent(&ACCOUNT).await.status, StatusCode::CREATED);
    assert_eq!(app.get("/v1/me").await.0.status, StatusCode::OK, "the same account again");
    requirement!("A22");
}

#[tokio::test]
async fn an_account_whose_holder_has_not_agreed_yet_is_in_basic_mode() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in_agreeing(ANNA, json!([])).await;
    assert_eq!(app.get("/v1/sessions/basic").await.0.body["mode"], "basic");
    assert!(refused_everywhere(&app, personal).await > 20);
    assert_eq!(app.consent(&ACCOUNT).await.status, StatusCode::CREATED);
    assert_eq!(app.get("/v1/sessions/basic").await.0.body["mode"], "full");
    assert_eq!(app.get("/v1/me").await.0.status, StatusCode::OK);
    // The order of what is agreed to at once does not matter.
    let mut other = Client::new(&rig, 2);
    let both = [&MEDIA_VIEW, &ACCOUNT];
    let both = both.map(|purpose| json!({"purpose": purpose.id, "version": purpose.version}));
    other.sign_in_agreeing(BEN, json!(both)).await;
    assert_eq!(other.get("/v1/sessions/basic").await.0.body["mode"], "full");
    // Without the account, the rest is not agreed to; the login is there to agree with.
    let mut third = Client::new(&rig, 3);
    let viewing = json!([{"purpose": MEDIA_VIEW.id, "version": MEDIA_VIEW.version}]);
    third.sign_in_agreeing("+4915112345699", viewing).await;
    assert_eq!(third.get("/v1/sessions/basic").await.0.body["mode"], "basic");
    assert_eq!(third.get("/v1/consents").await.0.body["items"], json!([]));
    requirement!("A21");
}

/// Operations about a person's data.
fn personal(rule: &sightline_operation::Rule) -> bool {
    rule.needs_login() && *rule != sightline_operation::Rule::BasicLogin
}

/// Asks every operation with such a rule; each must name the consent to the policy. How many.
async fn refused_everywhere(
    app: &Client<'_>,
    which: impl Fn(&sightline_operation::Rule) -> bool,
) -> usize {
    let table = crate::http::operations();
    let mut asked = 0;
    for operation in table.operations().filter(|operation| which(&operation.rule)) {
        if operation.path == "/v1/sessions/basic" {
            continue;
        }
        let path = operation.path.replace("{serial}", "CAM-1").replace(['{', '}'], "");
        let method = operation.method.to_uppercase();
        let body = (method != "GET").then(|| json!({}));
        let answer = app.call(&method, &path, body).await;
        let what = format!("{method} {path}");
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}: {}", answer.body);
        assert_eq!(answer.problem(), "consent-required", "{what}");
        assert_eq!(answer.body["purpose"], "account", "{what}");
        asked += 1;
    }
    asked
}

#[tokio::test]
async fn attestations_are_given_about_a_text_and_listed() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    let texts = Client::new(&rig, 9).call("GET", "/v1/attestation-texts", None).await;
    assert_eq!(texts.body["items"].as_array().unwrap().len(), 2);
    app.sign_in(ANNA).await;
    for (kind, object) in [("others", "CAM-1"), ("guardian", "share:7")] {
        let text = texts.body["items"].as_array().unwrap();
        let text = text.iter().find(|text| text["kind"] == kind).unwrap();
        let wish = json!({"kind": kind, "object": object, "version": text["version"]});
        let given = app.call("POST", "/v1/attestations", Some(wish)).await;
        assert_eq!(given.status, StatusCode::CREATED);
        let (list, _) = app.get("/v1/attestations").await;
        let newest = &list.body["items"][0];
        assert_eq!((&newest["seq"], &newest["object"]), (&given.body["seq"], &json!(object)));
        assert_eq!(newest["sha256"], text["sha256"], "the text that was affirmed");
    }
    let old = json!({"kind": "others", "object": "CAM-1", "version": 0});
    let refused = app.call("POST", "/v1/attestations", Some(old)).await;
    assert_eq!(refused.problem(), "attestation-changed");
    let sentence = json!({"kind": "others", "object": "my neighbour", "version": 1});
    let refused = app.call("POST", "/v1/attestations", Some(sentence)).await;
    assert_eq!(refused.problem(), "attestation-invalid");
    requirement!("C10", "K3");
}

#[tokio::test]
async fn everybody_may_ask_for_the_version_of_a_client() {
    let rig = Rig::new().await;
    let app = Client::new(&rig, 1);
    let path = "/v1/apps/android/version";
    let none = app.send("GET", path, None, None).await;
    assert_eq!(none.problem(), "not-found");
    rig.cp.set_app_version("android", "2.1", "2.0", ("News", "新")).await.unwrap();
    let found = app.send("GET", path, None, None).await;
    assert_eq!((&found.body["newest"], &found.body["minimum"]), (&json!("2.1"), &json!("2.0")));
    assert_eq!(found.body["notes"]["zh"], "新");
    requirement!("L2");
}

#[test]
fn nothing_of_the_description_could_carry_what_a_phone_says_of_its_owner() {
    let contract = sightline_operation::openapi::Contract::default();
    let text = contract.with(&crate::http::operations()).document("API", "1", "").to_string();
    for member in ["packages", "package_name", "process", "sim_", "android_id", "imei", "imsi"] {
        assert!(!text.to_lowercase().contains(&format!("\"{member}")), "{member}");
    }
    assert!(text.contains("os_language"), "the search finds what is there");
    requirement!("L1");
}
