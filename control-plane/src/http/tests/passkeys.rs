//! Passkeys from outside: made, used, refused and removed, and what no request can carry.

use std::collections::BTreeSet;

use sightline_operation::openapi::Contract;

use super::*;
use crate::http::operations;
use crate::limits::{
    PASSKEY_CHALLENGE_SECS, PASSKEY_CHALLENGES_PER_ACCOUNT, PASSKEY_TRIES_PER_NETWORK,
    PASSKEYS_PER_ACCOUNT, RECYCLED_AFTER_SECS,
};
use crate::passkey::testing::{Authenticator, NAME, Pair, Shown};
use crate::session::SignInError;
use crate::tests::rig::{request, terminal};

const ID: &[u8] = b"a credential's id";

impl Client<'_> {
    /// A challenge for a new passkey, with all that comes with it.
    async fn wish(&self) -> Answer {
        self.call("POST", "/v1/me/passkeys/challenges", None).await
    }

    async fn add(&self, shown: &Shown, name: &str) -> Answer {
        let made = json!({
            "name": name, "client_data_json": B64.encode(&shown.client_data),
            "authenticator_data": B64.encode(&shown.authenticator_data),
        });
        self.call("POST", "/v1/me/passkeys", Some(made)).await
    }

    /// Makes and adds one; the account as it is known to the authenticator.
    async fn with_passkey(&self, authenticator: &Authenticator) -> String {
        let wish = self.wish().await;
        assert_eq!(wish.status, StatusCode::CREATED, "{}", wish.body);
        let added = self.add(&authenticator.create(&challenge(&wish)), " Laptop ").await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
        wish.body["user"]["id"].as_str().unwrap().to_owned()
    }

    async fn asked(&self) -> Answer {
        let asked = self.call("POST", "/v1/passkeys/challenges", None).await;
        assert_eq!(asked.status, StatusCode::CREATED, "{}", asked.body);
        asked
    }

    async fn show(&mut self, shown: &Shown, id: &[u8], user: &str) -> Answer {
        let login = json!({
            "credential_id": B64.encode(id), "user_handle": user,
            "client_data_json": B64.encode(&shown.client_data),
            "authenticator_data": B64.encode(&shown.authenticator_data),
            "signature": B64.encode(&shown.signature),
            "terminal_name": "Browser", "client_type": "browser",
        });
        self.token = None;
        let answer = self.call("POST", "/v1/sessions/passkey", Some(login)).await;
        self.token = answer.body["access_token"].as_str().map(str::to_owned);
        answer
    }

    /// Asks and signs in.
    async fn enter_by(&mut self, authenticator: &Authenticator, user: &str) -> Answer {
        let shown = authenticator.get(&challenge(&self.asked().await));
        self.show(&shown, &authenticator.id, user).await
    }

    async fn passkeys(&self) -> Vec<Value> {
        let list = self.call("GET", "/v1/me/passkeys", None).await;
        list.body["items"].as_array().unwrap().clone()
    }
}

fn challenge(answer: &Answer) -> Vec<u8> {
    B64.decode(answer.body["challenge"].as_str().unwrap()).unwrap()
}

fn refused(answer: &Answer) {
    assert_eq!((answer.status, answer.problem()), (StatusCode::FORBIDDEN, "passkey-refused"));
}

/// Anna's terminal, confirmed, and her authenticator.
async fn anna(rig: &Rig) -> (Client<'_>, Authenticator) {
    let mut app = Client::new(rig, 1);
    app.sign_in(ANNA).await;
    app.confirm(ANNA).await;
    (app, Authenticator::new(Pair::seeded(1), ID))
}

#[tokio::test]
async fn a_passkey_is_made_signs_in_is_renamed_and_removed_and_the_account_stays_as_it_was() {
    let rig = Rig::new().await.named();
    let mut app = Client::new(&rig, 1);
    let party = app.call("GET", "/v1/passkeys", None).await;
    assert_eq!(party.body, json!({"rp_id": NAME}));
    app.sign_in(ANNA).await;
    assert_eq!(app.wish().await.problem(), "step-up-required");
    app.confirm(ANNA).await;
    let before = app.call("GET", "/v1/me", None).await.body;
    let wish = app.wish().await.body;
    assert_eq!((&wish["rp"]["id"], &wish["attestation"]), (&json!(NAME), &json!("none")));
    let chosen = &wish["authenticatorSelection"];
    let required = json!("required");
    assert_eq!((&chosen["residentKey"], &chosen["userVerification"]), (&required, &required));
    let name = wish["user"]["name"].as_str().unwrap();
    assert!(name.contains('*') && !wish.to_string().contains(ANNA), "{wish}");

    let mut authenticator = Authenticator::new(Pair::p256(), ID);
    let user = app.with_passkey(&authenticator).await;
    let kept = app.passkeys().await;
    assert_eq!((kept.len(), &kept[0]["name"]), (1, &json!("Laptop")));
    assert_eq!(kept[0]["used_at"], Value::Null);
    let again = app.wish().await;
    assert_eq!(again.body["excludeCredentials"][0]["id"], B64.encode(ID));

    let mut other = Client::new(&rig, 2);
    authenticator.counter = 1;
    let entered = other.enter_by(&authenticator, &user).await;
    assert_eq!(entered.status, StatusCode::CREATED, "{}", entered.body);
    assert_eq!(entered.body["new_account"], false);
    assert_eq!(entered.body["account"]["id"], before["id"]);
    assert_eq!(other.passkeys().await[0]["used_at"], rig.clock.now());
    let path = format!("/v1/me/passkeys/{}", kept[0]["id"].as_str().unwrap());
    let renamed = other.call("PATCH", &path, Some(json!({"name": "Old laptop"}))).await;
    assert_eq!(renamed.status, StatusCode::NO_CONTENT, "{}", renamed.body);
    assert_eq!(app.passkeys().await[0]["name"], "Old laptop");
    let early = other.call("DELETE", &path, None).await;
    assert_eq!(early.problem(), "step-up-required");
    let removed = app.call("DELETE", &path, None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.body);
    for (method, body) in [("DELETE", None), ("PATCH", Some(json!({"name": "x"})))] {
        assert_eq!(app.call(method, &path, body).await.problem(), "not-found");
    }

    assert_eq!(other.call("GET", "/v1/me", None).await.body["id"], before["id"], "it goes on");
    authenticator.counter = 2;
    refused(&Client::new(&rig, 3).enter_by(&authenticator, &user).await);
    assert_eq!(app.call("GET", "/v1/me", None).await.body, before);
    let by_code = Client::new(&rig, 3).sign_in(ANNA).await;
    assert_eq!(by_code.body["account"]["id"], before["id"]);
    requirement!("A9", "A10");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_login_the_answer_is_the_same() {
    let rig = Rig::new().await.named();
    let (app, authenticator) = anna(&rig).await;
    let user = app.with_passkey(&authenticator).await;
    let mut other = Client::new(&rig, 2);
    let mut answers = Vec::new();
    for change in [
        (|it| it.id = b"nobody's credential".to_vec()) as fn(&mut Authenticator),
        |it| it.id = vec![1; 3],
        |it| it.pair = Pair::seeded(2),
        |it| it.name = "evil.example",
        |it| it.origin = "https://evil.example",
        |it| it.flags = 0b0000_0001,
    ] {
        let mut wrong = Authenticator::new(Pair::seeded(1), ID);
        change(&mut wrong);
        answers.push(other.enter_by(&wrong, &user).await);
    }
    // Of another account, as the authenticator says.
    answers.push(other.enter_by(&authenticator, &B64.encode([1; 32])).await);
    // A challenge that was used, is another terminal's, another ceremony's, nobody's, or over.
    let shown = authenticator.get(&challenge(&other.asked().await));
    let first = other.show(&shown, ID, &user).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    answers.push(other.show(&shown, ID, &user).await);
    let elsewhere = authenticator.get(&challenge(&Client::new(&rig, 3).asked().await));
    answers.push(other.show(&elsewhere, ID, &user).await);
    let for_a_new_one = authenticator.get(&challenge(&app.wish().await));
    answers.push(Client::new(&rig, 1).show(&for_a_new_one, ID, &user).await);
    answers.push(other.show(&authenticator.get(&[1; 32]), ID, &user).await);
    let late = authenticator.get(&challenge(&other.asked().await));
    rig.clock.advance(PASSKEY_CHALLENGE_SECS);
    answers.push(other.show(&late, ID, &user).await);
    for answer in &answers {
        refused(answer);
        assert_eq!(answer.body, answers[0].body);
    }
    let last = authenticator.get(&challenge(&other.asked().await));
    rig.clock.advance(PASSKEY_CHALLENGE_SECS - 1);
    assert_eq!(other.show(&last, ID, &user).await.status, StatusCode::CREATED, "in time");
}

#[tokio::test]
async fn a_copy_is_refused_and_its_owner_told_and_the_log_knows_results_only() {
    let rig = Rig::new().await.named();
    let (app, mut authenticator) = anna(&rig).await;
    authenticator.counter = 4;
    let user = app.with_passkey(&authenticator).await;
    let mut other = Client::new(&rig, 2);
    refused(&other.enter_by(&authenticator, &user).await);
    authenticator.counter = 5;
    let entered = other.enter_by(&authenticator, &user).await;
    assert_eq!(entered.status, StatusCode::CREATED, "{}", entered.body);
    rig.cp.deliver_outbox().await.unwrap();
    let messages = app.call("GET", "/v1/messages", None).await.body;
    let kinds: Vec<_> =
        messages["items"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    for kind in ["passkey_added", "passkey_copied"] {
        assert!(kinds.contains(&&json!(kind)), "{messages}");
    }
    let log = other.call("GET", "/v1/me/oplog?action=passkey", None).await.body;
    let lines = log["items"].as_array().unwrap();
    let told: Vec<_> = lines.iter().map(|line| (&line["action"], &line["result"])).collect();
    let (used, added) = (json!("passkey.used"), json!("passkey.added"));
    let (done, not) = (json!("done"), json!("refused"));
    assert_eq!(told, [(&used, &done), (&used, &not), (&added, &done)]);
    assert!(lines[..2].iter().all(|line| line["object"] == "" && line["actor"] == "self"), "{log}");
    for bytes in [ID, &authenticator.pair.cose()] {
        assert!(!log.to_string().contains(&B64.encode(bytes)), "nothing that was shown is in it");
    }
    requirement!("A9");
}

#[tokio::test]
async fn what_was_not_made_for_this_is_not_taken() {
    let rig = Rig::new().await.named();
    let (app, authenticator) = anna(&rig).await;
    let invalid = |answer: &Answer| {
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
        assert_eq!(answer.problem(), "passkey-invalid");
    };
    for change in [
        (|it| it.name = "evil.example") as fn(&mut Authenticator),
        |it| it.origin = "https://evil.example",
        |it| it.flags = 0b0000_0001,
        |it| it.extensions = vec![0],
    ] {
        let mut wrong = Authenticator::new(Pair::seeded(1), ID);
        change(&mut wrong);
        invalid(&app.add(&wrong.create(&challenge(&app.wish().await)), "Laptop").await);
    }
    invalid(&app.add(&authenticator.create(&[1; 32]), "Laptop").await);
    let for_a_login = challenge(&Client::new(&rig, 1).asked().await);
    invalid(&app.add(&authenticator.create(&for_a_login), "Laptop").await);
    let made = authenticator.create(&challenge(&app.wish().await));
    for name in ["", "a\nb", &"n".repeat(65)] {
        assert_eq!(app.add(&made, name).await.problem(), "value-invalid", "{name:?}");
    }
    let longest = app.add(&made, &"n".repeat(64)).await;
    assert_eq!(longest.status, StatusCode::CREATED, "a name that is refused uses nothing up");
    invalid(&app.add(&made, "Laptop").await);
    let twice = authenticator.create(&challenge(&app.wish().await));
    assert_eq!(app.add(&twice, "Laptop").await.problem(), "passkey-known");
    let mut ben = Client::new(&rig, 9);
    ben.sign_in(BEN).await;
    ben.confirm(BEN).await;
    let stolen = authenticator.create(&challenge(&ben.wish().await));
    assert_eq!(ben.add(&stolen, "Laptop").await.problem(), "passkey-known");
    let body = json!({"name": "x", "client_data_json": "!", "authenticator_data": ""});
    let garbled = app.call("POST", "/v1/me/passkeys", Some(body)).await;
    assert_eq!(garbled.problem(), "bad-request");
}

#[tokio::test]
async fn a_code_to_a_number_that_changed_hands_does_not_open_an_account_with_a_passkey() {
    let rig = Rig::new().await.named();
    let (app, _) = anna(&rig).await;
    app.with_passkey(&Authenticator::new(Pair::seeded(1), ID)).await;
    rig.clock.advance(RECYCLED_AFTER_SECS);
    let id = rig.login_challenge(ANNA, terminal(9)).await;
    let by_code = request(id, rig.code(ANNA).await);
    let refused = rig.cp.sign_in(&by_code, terminal(9)).await;
    assert!(matches!(refused, Err(SignInError::Idle)), "{refused:?}");
}

#[tokio::test]
async fn passkeys_and_tries_are_bounded() {
    let rig = Rig::new().await.named();
    let (app, _) = anna(&rig).await;
    for number in 0..u8::try_from(PASSKEYS_PER_ACCOUNT).unwrap() {
        let authenticator = Authenticator::new(Pair::seeded(number), &[number; 16]);
        app.with_passkey(&authenticator).await;
    }
    assert_eq!(app.wish().await.problem(), "passkeys-full");
    let path = format!("/v1/me/passkeys/{}", app.passkeys().await[0]["id"].as_str().unwrap());
    assert_eq!(app.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    let [hourly] = PASSKEY_CHALLENGES_PER_ACCOUNT;
    for _ in PASSKEYS_PER_ACCOUNT + 1..hourly.most {
        assert_eq!(app.wish().await.status, StatusCode::CREATED);
    }
    let limited = app.wish().await;
    assert_eq!((limited.status.as_u16(), limited.problem()), (429, "rate-limited"));

    let [hourly] = PASSKEY_TRIES_PER_NETWORK;
    let mut stranger = Client::new(&rig, 2);
    for _ in 0..hourly.most / 2 {
        refused(&stranger.enter_by(&Authenticator::new(Pair::seeded(99), ID), "").await);
    }
    let over = stranger.call("POST", "/v1/passkeys/challenges", None).await;
    assert_eq!((over.status.as_u16(), over.problem()), (429, "rate-limited"));
    rig.clock.advance(hourly.seconds);
    stranger.asked().await;
}

#[tokio::test]
async fn a_server_without_a_name_has_no_passkeys() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    assert_eq!(app.call("GET", "/v1/passkeys", None).await.body, json!({"rp_id": null}));
    let none = app.call("POST", "/v1/passkeys/challenges", None).await;
    assert_eq!((none.status, none.problem()), (StatusCode::NOT_FOUND, "no-passkeys"));
    app.sign_in(ANNA).await;
    app.confirm(ANNA).await;
    assert_eq!(app.wish().await.problem(), "no-passkeys");
}

#[tokio::test]
async fn a_passkey_does_not_stand_in_for_a_number() {
    let rig = Rig::new().await.named();
    let (app, authenticator) = anna(&rig).await;
    app.with_passkey(&authenticator).await;
    let last = app.call("DELETE", "/v1/me/identifiers/phone", None).await;
    assert_eq!((last.status, last.problem()), (StatusCode::CONFLICT, "identifier-last"));
    let me = app.call("GET", "/v1/me", None).await.body;
    assert_eq!(me["full"], true);
    requirement!("A5");
}

/// Members of a schema and of all that it refers to, by path; panics on one that takes others.
fn members(schemas: &Value, schema: &Value, at: &str, into: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return members(schemas, &schemas[name], at, into);
    }
    if schema["type"] == "array" {
        return members(schemas, &schema["items"], &format!("{at}[]"), into);
    }
    let Some(properties) = schema["properties"].as_object() else {
        assert!(["string", "integer"].iter().any(|kind| schema["type"] == *kind), "{at}: {schema}");
        into.insert(at.to_owned());
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{at} takes other members");
    for (name, member) in properties {
        members(schemas, member, &format!("{at}.{name}"), into);
    }
}

#[test]
fn no_request_about_passkeys_has_a_member_for_what_a_person_is_known_by() {
    let table = operations();
    let document = Contract::default().with(&table).document("", "", "");
    let mut taken = BTreeSet::new();
    for operation in table.operations().filter(|operation| operation.path.contains("passkey")) {
        let Some(body) = &operation.taken else { continue };
        members(&document["components"]["schemas"], &body.schema, operation.path, &mut taken);
    }
    let expected = [
        "/v1/me/passkeys.authenticator_data",
        "/v1/me/passkeys.client_data_json",
        "/v1/me/passkeys.name",
        "/v1/me/passkeys/{id}.name",
        "/v1/sessions/passkey.authenticator_data",
        "/v1/sessions/passkey.client_data_json",
        "/v1/sessions/passkey.client_type",
        "/v1/sessions/passkey.consents[].purpose",
        "/v1/sessions/passkey.consents[].version",
        "/v1/sessions/passkey.credential_id",
        "/v1/sessions/passkey.signature",
        "/v1/sessions/passkey.terminal_name",
        "/v1/sessions/passkey.user_handle",
    ];
    assert!(taken.iter().eq(expected.iter()), "{taken:#?}");
    requirement!("A9");
}
