//! Policies of products from outside: what is in force for whom, and what a consent is given to.

use super::*;
use crate::consent::MEDIA_VIEW;
use crate::limits::PRODUCT_POLICIES;
use crate::tests::rig::{request, terminal};

/// What [`Client::sign_in`] and [`request`] call themselves.
const PRODUCT: &str = "browser";

fn file(version: u32) -> String {
    let policy = json!({
        "id": "wall", "product": PRODUCT, "purpose": "media.view", "version": version,
        "fields": ["serial", "channel"], "retention": "not kept",
        "text": {"en": "On the wall.", "zh": "壁挂屏。"},
    });
    policy.to_string()
}

async fn put(rig: &Rig, version: u32) {
    rig.cp.put_product_policy(file(version).as_bytes()).await.unwrap();
}

impl Client<'_> {
    async fn in_force(&self, query: &str) -> Value {
        let answer = self.call("GET", &format!("/v1/policies{query}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let items = answer.body["items"].as_array().unwrap();
        let ids: Vec<_> = items.iter().map(|item| &item["purpose"]).collect();
        assert_eq!(ids, PURPOSES.iter().map(|purpose| purpose.id).collect::<Vec<_>>());
        items.iter().find(|item| item["purpose"] == "media.view").unwrap().clone()
    }

    async fn agree_to_viewing(&self, version: u32) -> Answer {
        let consent = json!({"purpose": "media.view", "version": version, "decision": "granted"});
        self.call("POST", "/v1/consents", Some(consent)).await
    }

    async fn decided(&self) -> Vec<Value> {
        let list = self.call("GET", "/v1/consents", None).await;
        list.body["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_products_policy_is_served_with_what_it_takes_precedence_over() {
    let rig = Rig::new().await;
    let app = Client::new(&rig, 1);
    put(&rig, 4).await;
    let general = app.in_force("").await;
    assert_eq!((&general["policy_id"], &general["from"]), (&json!("general"), &json!("general")));
    assert_eq!((&general["version"], &general["overrides"]), (&json!(1), &Value::Null));
    assert_eq!(general["fields"], json!(MEDIA_VIEW.fields));
    assert_eq!(app.in_force("?product=another").await, general);
    let own = app.in_force("?product=browser").await;
    let expected = json!({
        "purpose": "media.view", "policy_id": "wall", "from": "product", "version": 4,
        "optional": true, "fields": ["serial", "channel"], "retention": "not kept",
        "text": {"en": "On the wall.", "zh": "壁挂屏。"},
        "overrides": {
            "policy_id": "general", "version": 1, "members": ["fields", "retention", "text"],
        },
    });
    assert_eq!(own, expected);
    let long = |length: usize| format!("/v1/policies?product={}", "x".repeat(length));
    assert_eq!(app.call("GET", &long(64), None).await.status, StatusCode::OK);
    for (path, problem) in
        [(long(65), "query-invalid"), ("/v1/policies?produkt=x".into(), "query-unknown")]
    {
        let refused = app.call("GET", &path, None).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::BAD_REQUEST, problem));
    }
    assert!(rig.cp.remove_product_policy("wall").await.unwrap());
    assert!(!rig.cp.remove_product_policy("wall").await.unwrap());
    assert_eq!(app.in_force("?product=browser").await, general);
    requirement!("A16");
}

#[tokio::test]
async fn a_consent_is_given_to_the_policy_in_force_and_a_newer_one_needs_it_anew() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let mut app = Client::new(&rig, 1);
    app.token = Some(anna.signed_in.tokens.access.expose().clone());
    assert!(rig.admit(&anna, "CAM-1").await.is_ok(), "under the general policy");
    let lease = rig.admit(&anna, "CAM-1").await.unwrap().epochs.consent;

    put(&rig, 4).await;
    let refusal = rig.admit(&anna, "CAM-1").await.unwrap_err();
    assert!(matches!(refusal, crate::gate::Refusal::ConsentRequired), "the product has its own");
    let outdated = app.agree_to_viewing(1).await;
    assert_eq!((outdated.status, outdated.problem()), (StatusCode::CONFLICT, "purpose-changed"));
    let first = app.agree_to_viewing(4).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!(app.agree_to_viewing(4).await.body, first.body, "agreed to before");
    let admitted = rig.admit(&anna, "CAM-1").await.unwrap();
    assert!(admitted.epochs.consent > lease, "what ran under the other text has ended");
    let own = &app.decided().await[2];
    assert_eq!((&own["policy_id"], &own["product"]), (&json!("wall"), &json!(PRODUCT)));
    assert_eq!((&own["version"], &own["decision"]), (&json!(4), &json!("granted")));
    assert!(rig.cp.verify_consents().await.unwrap().is_ok());

    put(&rig, 5).await;
    assert!(rig.admit(&anna, "CAM-1").await.is_err(), "a newer version");
    assert_eq!(app.agree_to_viewing(4).await.problem(), "purpose-changed");
    assert_eq!(app.agree_to_viewing(5).await.status, StatusCode::CREATED);
    assert!(rig.admit(&anna, "CAM-1").await.is_ok());
    assert!(rig.cp.remove_product_policy("wall").await.unwrap());
    assert!(rig.admit(&anna, "CAM-1").await.is_ok(), "the general one was agreed to before");
    put(&rig, 6).await;
    let withdrawn = app.call("DELETE", "/v1/consents/media.view", None).await;
    assert_eq!(withdrawn.status, StatusCode::NO_CONTENT, "{}", withdrawn.body);
    let decided = app.decided().await;
    let mut of_viewing = decided.iter().filter(|item| item["purpose"] == "media.view");
    assert!(of_viewing.all(|item| item["decision"] == "withdrawn"));
    assert!(rig.cp.remove_product_policy("wall").await.unwrap());
    assert!(rig.admit(&anna, "CAM-1").await.is_err(), "taken back whatever the product");
    assert!(rig.cp.verify_consents().await.unwrap().is_ok());
    requirement!("A16");
}

#[tokio::test]
async fn a_consent_while_signing_in_is_to_what_is_in_force_for_that_client() {
    let rig = Rig::new().await;
    put(&rig, 4).await;
    let sign_in = async |number: &str, client: &str, version| {
        let challenge = rig.login_challenge(number, terminal(1)).await;
        let code = rig.code(number).await;
        let mut wish = request(challenge, code);
        wish.client_type = client.into();
        wish.consents.push(("media.view".into(), version));
        let done = rig.cp.sign_in(&wish, terminal(1)).await;
        if let Ok(login) = &done {
            rig.cp.record_arrival(login).await.unwrap();
        }
        rig.clock.advance(60);
        done
    };
    assert!(sign_in(ANNA, PRODUCT, 1).await.is_err());
    assert!(sign_in(ANNA, " browser ", 4).await.is_ok());
    assert!(sign_in(BEN, "another", 4).await.is_err());
    let other = sign_in(BEN, "another", 1).await.unwrap();
    let session = rig.cp.session(&other.tokens.access).await.unwrap().unwrap();
    assert_eq!(session.client_type, "another");
    let states = rig.cp.consents(&session).await.unwrap();
    assert_eq!((states.len(), &states[1].policy, states[1].version), (2, &None, 1));
}

#[tokio::test]
async fn policies_are_bounded_and_say_what_is_wrong() {
    let rig = Rig::new().await;
    let numbered = |number: u64| {
        let policy = json!({
            "id": format!("p{number}"), "product": format!("product {number}"),
            "purpose": "profile", "version": 1,
        });
        policy.to_string()
    };
    for number in 0..PRODUCT_POLICIES {
        rig.cp.put_product_policy(numbered(number).as_bytes()).await.unwrap();
    }
    let put = async |text: String| {
        rig.cp.put_product_policy(text.as_bytes()).await.unwrap_err().to_string()
    };
    assert!(put(numbered(PRODUCT_POLICIES)).await.contains("key id"));
    assert!(put(numbered(0)).await.contains("key version is wrong: it must be above 1"));
    assert!(put(numbered(0).replace("product 0", "product x")).await.contains("key id"));
    assert!(put(numbered(0).replace("p0", "q")).await.contains("has the policy p0"));
    assert!(rig.cp.remove_product_policy("p0").await.unwrap());
    rig.cp.put_product_policy(numbered(PRODUCT_POLICIES).as_bytes()).await.unwrap();
    assert_eq!(rig.cp.product_policies().await.unwrap().len() as u64, PRODUCT_POLICIES);
}
