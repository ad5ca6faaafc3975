use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Client;
use crate::limits::Limits;
use crate::sms::budget::Policy;
use crate::tests::rig::Rig;

/// The limits of a server with a carrier, but for the work.
fn without_work() -> Limits {
    let mut sms = Policy::default();
    for shape in [&mut sms.prefix, &mut sms.dial, &mut sms.network, &mut sms.terminal] {
        shape.work_below = 0;
    }
    Limits { sms, ..Limits::default() }
}

#[tokio::test]
async fn a_held_message_answers_with_the_status_and_members_of_one_that_goes() {
    let rig = Rig::with(without_work()).await;
    let places = Policy::default().prefix.most;
    let mut shapes = Vec::new();
    for n in 0..places + 4 {
        let client = Client::new(&rig, 30 + u8::try_from(n).unwrap());
        let wish = json!({"purpose": "login", "target": format!("+4915112{n:04}")});
        let answer = client.call("POST", "/v1/otp", Some(wish)).await;
        let id = answer.body["challenge_id"].as_str().unwrap().to_owned();
        let guess = json!({
            "challenge_id": id, "code": "x", "terminal_name": "Browser", "client_type": "browser",
        });
        let refused = client.call("POST", "/v1/sessions", Some(guess)).await;
        let members: Vec<String> = answer.body.as_object().unwrap().keys().cloned().collect();
        let headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        assert_eq!((answer.status, &answer.body["work"]), (StatusCode::ACCEPTED, &Value::Null));
        let wait = answer.body["resend_after"].clone();
        shapes.push((members, headers, wait, id.len(), refused.status, refused.body));
    }
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:#?}");
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.sms.texts().len() as u64, places);
}

#[tokio::test]
async fn work_is_asked_for_in_the_same_answer_and_taken_from_its_header() {
    let sms = Policy { always_work: true, ..Policy::default() };
    let rig = Rig::with(Limits { sms, ..Limits::default() }).await;
    let client = Client::new(&rig, 1);
    let wish = json!({"purpose": "login", "target": "+4915112345678"});
    let answer = client.call("POST", "/v1/otp", Some(wish)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let work = &answer.body["work"];
    assert!(work["puzzle"].is_string() && work["bits"].is_u64() && work["expires_in"].is_u64());
    rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(rig.sms.texts(), [], "nothing goes before the work");
}
