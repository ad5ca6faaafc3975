//! Introductions from outside: who may say what, when, and what is left of it.

use super::*;
use crate::introduction::{COMMITMENT_LEN, MAX_REPLY_LEN, REVEAL_LEN};
use crate::limits::{INTRODUCTION_SECS, INTRODUCTIONS_OPEN};

const PATH: &str = "/v1/introductions";

impl Client<'_> {
    async fn open(&self, commitment: &[u8]) -> Answer {
        self.call("POST", PATH, Some(json!({ "commitment": B64.encode(commitment) }))).await
    }

    /// The code of a new introduction.
    async fn code(&self) -> String {
        let opened = self.open(&[1; COMMITMENT_LEN]).await;
        assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
        opened.body["code"].as_str().unwrap().to_owned()
    }

    async fn look(&self, code: &str) -> Answer {
        self.call("GET", &format!("{PATH}/{code}"), None).await
    }

    async fn say(&self, code: &str, what: &str, bytes: &[u8]) -> Answer {
        let body = json!({ what: B64.encode(bytes) });
        self.call("POST", &format!("{PATH}/{code}/{what}"), Some(body)).await
    }

    async fn decide(&self, code: &str, added: bool) -> Answer {
        let path = format!("{PATH}/{code}/outcome");
        self.call("POST", &path, Some(json!({ "added": added }))).await
    }
}

/// A guest, an owner and a stranger, each on an account of their own.
async fn three(rig: &Rig) -> [Client<'_>; 3] {
    let mut clients = [Client::new(rig, 1), Client::new(rig, 2), Client::new(rig, 3)];
    for (client, number) in clients.iter_mut().zip([BEN, ANNA, "+4915200000003"]) {
        client.sign_in(number).await;
    }
    clients
}

#[tokio::test]
async fn a_guest_and_an_owner_hear_each_other_and_nobody_else_does() {
    let rig = Rig::new().await;
    let [guest, owner, stranger] = three(&rig).await;
    let code = guest.code().await;
    assert_eq!((code.len(), &code[4..5]), (9, "-"));
    let typed = code.to_lowercase().replace('-', "");
    let seen = owner.look(&typed).await;
    let me = guest.call("GET", "/v1/me", None).await;
    assert_eq!(seen.body["guest_account"], me.body["id"]);
    assert_eq!(seen.body["commitment"], B64.encode([1; COMMITMENT_LEN]));
    assert_eq!((&seen.body["reply"], &seen.body["reveal"]), (&Value::Null, &Value::Null));

    let early = guest.say(&code, "reveal", &[3; REVEAL_LEN]).await;
    assert_eq!((early.status, early.problem()), (StatusCode::CONFLICT, "introduction-out-of-turn"));
    assert_eq!(guest.say(&code, "reply", &[2; 9]).await.problem(), "introduction-unknown");
    for _ in 0..2 {
        assert_eq!(owner.say(&code, "reply", &[2; 9]).await.status, StatusCode::NO_CONTENT);
    }
    let second = owner.say(&code, "reply", &[9; 9]).await;
    assert_eq!(second.problem(), "introduction-out-of-turn", "one reply to an offer");
    assert_eq!(guest.look(&code).await.body["reply"], B64.encode([2; 9]));
    assert_eq!(owner.decide(&code, true).await.problem(), "introduction-out-of-turn");
    for _ in 0..2 {
        let said = guest.say(&code, "reveal", &[3; REVEAL_LEN]).await;
        assert_eq!(said.status, StatusCode::NO_CONTENT);
    }
    let again = guest.say(&code, "reveal", &[4; REVEAL_LEN]).await;
    assert_eq!(again.problem(), "introduction-out-of-turn");
    assert_eq!(owner.look(&code).await.body["reveal"], B64.encode([3; REVEAL_LEN]));

    for answer in [
        stranger.look(&code).await,
        stranger.say(&code, "reply", &[2; 9]).await,
        stranger.say(&code, "reveal", &[3; REVEAL_LEN]).await,
        stranger.decide(&code, true).await,
    ] {
        assert_eq!(answer.problem(), "introduction-unknown");
    }
    assert_eq!(owner.decide(&code, true).await.status, StatusCode::NO_CONTENT);
    let over = guest.look(&code).await;
    assert_eq!(over.body["added"], true);
    for message in ["commitment", "reply", "reveal"] {
        assert_eq!(over.body[message], Value::Null, "{message} is forgotten");
    }
    let path = format!("{PATH}/{code}");
    assert_eq!(guest.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.look(&code).await.problem(), "introduction-unknown");
}

#[tokio::test]
async fn two_terminals_of_one_account_are_introduced_too() {
    let rig = Rig::new().await;
    let (mut guest, mut owner) = (Client::new(&rig, 1), Client::new(&rig, 2));
    guest.sign_in(ANNA).await;
    owner.sign_in(ANNA).await;
    let code = guest.code().await;
    assert_eq!(owner.say(&code, "reply", &[2; 9]).await.status, StatusCode::NO_CONTENT);
    let said = guest.say(&code, "reveal", &[3; REVEAL_LEN]).await;
    assert_eq!(said.status, StatusCode::NO_CONTENT);
    assert_eq!(guest.decide(&code, true).await.status, StatusCode::NO_CONTENT);
    let seen = owner.look(&code).await;
    assert_eq!(
        seen.problem(),
        "introduction-unknown",
        "the guest says nothing in the owner's name"
    );
}

#[tokio::test]
async fn messages_have_their_length_and_codes_their_time() {
    let rig = Rig::new().await;
    let [guest, owner, _] = three(&rig).await;
    for wrong in [COMMITMENT_LEN - 1, COMMITMENT_LEN + 1] {
        assert_eq!(guest.open(&vec![1; wrong]).await.problem(), "introduction-invalid");
    }
    let code = guest.code().await;
    for wrong in [0, MAX_REPLY_LEN + 1] {
        let answer = owner.say(&code, "reply", &vec![2; wrong]).await;
        assert_eq!(answer.problem(), "introduction-invalid");
    }
    let longest = owner.say(&code, "reply", &[2; MAX_REPLY_LEN]).await;
    assert_eq!(longest.status, StatusCode::NO_CONTENT);
    for wrong in [REVEAL_LEN - 1, REVEAL_LEN + 1] {
        let answer = guest.say(&code, "reveal", &vec![3; wrong]).await;
        assert_eq!(answer.problem(), "introduction-invalid");
    }
    // The logins outlive neither more nor less than their five minutes, so the store is asked.
    let key = rig.cp.vault().lookup("introduction", &code.replace('-', ""));
    let opened = rig.clock.now();
    let at = async |now: u64| rig.cp.store().introduction(&key, now).await.unwrap();
    assert!(at(opened + INTRODUCTION_SECS - 1).await.is_some());
    assert!(at(opened + INTRODUCTION_SECS).await.is_none());
    rig.cp.store().purge(opened + INTRODUCTION_SECS).await.unwrap();
    assert!(at(opened).await.is_none(), "nothing is left in the database");
}

#[tokio::test]
async fn an_account_has_few_introductions_and_few_guesses() {
    let rig = Rig::new().await;
    let [guest, _, stranger] = three(&rig).await;
    let mut codes = Vec::new();
    for _ in 0..INTRODUCTIONS_OPEN {
        codes.push(guest.code().await);
    }
    let full = guest.open(&[1; COMMITMENT_LEN]).await;
    assert_eq!((full.status, full.problem()), (StatusCode::CONFLICT, "introductions-full"));
    let path = format!("{PATH}/{}", codes[0]);
    assert_eq!(guest.call("DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    codes[0] = guest.code().await;

    let most = crate::limits::INTRODUCTION_LOOKUPS_PER_ACCOUNT[0].most;
    for _ in 0..most {
        assert_eq!(stranger.look("AAAA-AAAA").await.problem(), "introduction-unknown");
    }
    for code in ["AAAA-AAAA", codes[1].as_str()] {
        assert_eq!(stranger.look(code).await.problem(), "rate-limited", "right or wrong");
        assert_eq!(stranger.say(code, "reply", &[2; 9]).await.problem(), "rate-limited");
    }
    for _ in 0..=most {
        assert_eq!(
            guest.look(&codes[1]).await.status,
            StatusCode::OK,
            "asking for one's own is free"
        );
    }
}
