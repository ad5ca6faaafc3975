//! Mail addresses, passwords and step-up from outside.

use super::*;
use crate::limits::{Limits, SECURE_SECS};
use crate::sms::budget::Policy;

const LONG: &str = "gnu lamp oboe fig";
const MAIL: &str = "anna@mail.example";

impl Client<'_> {
    fn terminal(more: Value) -> Value {
        let mut body = json!({"terminal_name": "Browser", "client_type": "browser"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    async fn enter(&mut self, target: &str, password: &str) -> Answer {
        let body = Self::terminal(json!({"target": target, "password": password}));
        let token = self.token.take();
        let answer = self.call("POST", "/v1/sessions", Some(body)).await;
        self.token = answer.body["access_token"].as_str().map(str::to_owned).or(token);
        answer
    }

    async fn ask(&self, wish: Value) -> Answer {
        let sent = self.call("POST", "/v1/otp", Some(wish)).await;
        self.rig.clock.advance(60);
        sent
    }

    /// Opens the secure window by a code to this number.
    pub(super) async fn confirm(&self, number: &str) {
        let sent = self.ask(json!({"purpose": "secure"})).await;
        let code = self.rig.code(number).await;
        let answer = json!({"challenge_id": sent.body["challenge_id"], "code": code.expose()});
        let opened = self.call("POST", "/v1/secure-windows", Some(answer)).await;
        assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
        let until = self.rig.clock.now() + SECURE_SECS;
        assert_eq!(opened.body["expires_at"], until);
    }
}

#[tokio::test]
async fn an_app_adds_a_mail_address_sets_a_password_and_signs_in_with_both() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    let early = app.call("PUT", "/v1/me/password", Some(json!({"password": LONG}))).await;
    assert_eq!((early.status, early.problem()), (StatusCode::FORBIDDEN, "step-up-required"));
    let early = app.ask(json!({"purpose": "identifier", "target": MAIL})).await;
    assert_eq!(early.problem(), "step-up-required");
    app.confirm(ANNA).await;

    let sent = app.ask(json!({"purpose": "identifier", "target": MAIL})).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED, "{}", sent.body);
    let code = rig.mailed(MAIL).await;
    let proof = json!({"challenge_id": sent.body["challenge_id"], "code": code.expose()});
    let put = app.call("PUT", "/v1/me/identifiers/email", Some(proof)).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT, "{}", put.body);
    let weak = app.call("PUT", "/v1/me/password", Some(json!({"password": "Passw0rd"}))).await;
    assert_eq!(
        (weak.status, weak.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "password-common")
    );
    let set = app.call("PUT", "/v1/me/password", Some(json!({"password": LONG}))).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.body);

    let mut other = Client::new(&rig, 2);
    let entered = other.enter(MAIL, LONG).await;
    assert_eq!(entered.status, StatusCode::CREATED, "{}", entered.body);
    assert_eq!(entered.body["new_account"], false);
    let me = other.call("GET", "/v1/me", None).await.body;
    assert_eq!((&me["full"], &me["has_password"]), (&json!(true), &json!(true)));
    let kinds: Vec<_> = me["identifiers"].as_array().unwrap().iter().map(|i| &i["kind"]).collect();
    assert_eq!(kinds, ["phone", "email"]);
    assert_eq!(me["identifiers"][1]["masked"], "a***@mail.example");
    assert_eq!(me["identifiers"][1]["method"], "email");
    let removed = app.call("DELETE", "/v1/me/identifiers/email", None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let last = app.call("DELETE", "/v1/me/identifiers/phone", None).await;
    assert_eq!((last.status, last.problem()), (StatusCode::CONFLICT, "identifier-last"));
    let none = app.call("DELETE", "/v1/me/identifiers/fax", None).await;
    assert_eq!((none.status, none.problem()), (StatusCode::NOT_FOUND, "not-found"));
    requirement!("A3", "A5", "A7");
}

#[tokio::test]
async fn a_reset_ends_every_login_and_the_old_password_holds_until_it_is_done() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    app.confirm(ANNA).await;
    app.call("PUT", "/v1/me/password", Some(json!({"password": LONG}))).await;
    let mut new = Client::new(&rig, 2);
    let sent = new.ask(json!({"purpose": "reset", "target": ANNA})).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED);
    let code = rig.code(ANNA).await;
    assert_eq!(new.enter(ANNA, LONG).await.status, StatusCode::CREATED);
    new.token = None;
    let challenge = &sent.body["challenge_id"];
    let mut wish = json!({"challenge_id": challenge, "code": "x", "password": "nine quiet herons"});
    let wrong = new.call("POST", "/v1/password-resets", Some(wish.clone())).await;
    assert_eq!(wrong.problem(), "code-invalid");
    wish["code"] = json!(code.expose());
    let done = new.call("POST", "/v1/password-resets", Some(wish)).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
    assert_eq!(app.call("GET", "/v1/me", None).await.problem(), "login-required");
    assert_eq!(new.enter(ANNA, LONG).await.problem(), "password-invalid");
    assert_eq!(new.enter(ANNA, "nine quiet herons").await.status, StatusCode::CREATED);
    requirement!("A6");
}

#[tokio::test]
async fn who_has_no_account_gets_the_same_answers_but_for_random_names() {
    // Which bucket runs low shows in the answer, and two numbers are in two of them.
    let sms = Policy::for_development();
    let rig = Rig::with(Limits { sms, ..Limits::default() }).await;
    let mut app = Client::new(&rig, 1);
    app.sign_in(ANNA).await;
    app.confirm(ANNA).await;
    app.call("PUT", "/v1/me/password", Some(json!({"password": LONG}))).await;
    let mut stranger = Client::new(&rig, 9);
    for purpose in ["login", "reset"] {
        let answers = [
            stranger.ask(json!({"purpose": purpose, "target": ANNA})).await,
            stranger.ask(json!({"purpose": purpose, "target": BEN})).await,
        ];
        let shape = |answer: &Answer| {
            let mut body = answer.body.clone();
            let id = body["challenge_id"].take().as_str().unwrap().len();
            let names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            (answer.status, id, body, names)
        };
        assert_eq!(shape(&answers[0]), shape(&answers[1]), "{purpose}");
    }
    let mut refused = Vec::new();
    for target in [ANNA, BEN, "nobody@mail.example"] {
        let answer = stranger.enter(target, "a password of nobody").await;
        refused.push((answer.status, answer.body));
    }
    assert!(refused.iter().all(|answer| *answer == refused[0]), "{refused:?}");
    requirement!("A1", "A3");
}

#[tokio::test]
async fn members_that_do_not_go_together_are_refused() {
    let rig = Rig::new().await;
    let mut app = Client::new(&rig, 1);
    for more in [
        json!({}),
        json!({"target": ANNA}),
        json!({"password": LONG}),
        json!({"challenge_id": "c", "password": LONG}),
        json!({"challenge_id": "c", "code": "1", "target": ANNA}),
    ] {
        let body = Client::terminal(more.clone());
        let answer = app.call("POST", "/v1/sessions", Some(body)).await;
        assert_eq!(answer.problem(), "bad-request", "{more}");
    }
    app.sign_in(ANNA).await;
    for body in [json!({}), json!({"code": "1"}), json!({"code": "1", "password": LONG})] {
        let answer = app.call("POST", "/v1/secure-windows", Some(body.clone())).await;
        assert_eq!(answer.problem(), "bad-request", "{body}");
    }
    for wish in [json!({"purpose": "secure"}), json!({"purpose": "identifier", "target": MAIL})] {
        let out = Client::new(&rig, 3);
        assert_eq!(out.ask(wish).await.problem(), "login-required");
    }
}
