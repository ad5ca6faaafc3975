//! The gate and the proofs in front of it.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::dpop::PROOF_SKEW_SECS;
use sightline_grant::lan::LAN_GRANT_TTL_SECS;
use sightline_grant::{Action, Epochs, GrantVerifier, Role, requirement};
use std::sync::atomic::Ordering;

use super::fakes::*;
use crate::plane::GateRefusal;

#[tokio::test]
async fn each_missing_fact_has_its_own_problem_and_no_grant_is_made() {
    let door = Door::new();
    let client = Client::new(1);
    let cases = [
        (GateRefusal::LoginRequired, 401, "login-required"),
        (GateRefusal::WrongTerminal, 401, "wrong-terminal"),
        (GateRefusal::PolicyRequired, 403, "consent-required"),
        (GateRefusal::NotBound, 404, "device-not-bound"),
        (GateRefusal::ShareClosed, 403, "share-closed"),
        (GateRefusal::ScopeRequired, 403, "scope-required"),
        (GateRefusal::KeyProofRequired, 403, "device-key-required"),
        (GateRefusal::SmsRequired, 403, "sms-required"),
        (GateRefusal::ConsentRequired, 403, "consent-required"),
        (GateRefusal::Unavailable, 503, "unavailable"),
    ];
    for (refusal, status, name) in cases {
        *door.script.refusal.lock().unwrap() = Some(refusal);
        let reply = door.send(client.gate()).await;
        assert_eq!(reply.problem(), (status, name.to_owned()));
        assert!(!reply.text.contains("slg1."));
    }
    assert!(door.seen().is_empty(), "the relay hears nothing of refused viewers");
}

#[tokio::test]
async fn the_grant_says_who_what_and_for_thirty_seconds() {
    let door = Door::new();
    let client = Client::new(1);
    let reply = door.send(client.gate()).await;
    assert_eq!(reply.status, 201);
    let json = reply.json();
    assert_eq!(json["expires_at"], NOW + 30);
    let grant = verifier().verify(json["grant"].as_str().unwrap(), NOW + 30).unwrap();
    assert_eq!((grant.subject.as_str(), grant.session.as_str()), ("subject", "login"));
    assert_eq!(grant.terminal, client.thumbprint());
    assert_eq!((grant.serial.as_str(), grant.channel), ("CAM-1", 0));
    assert_eq!((grant.actions.as_slice(), grant.role), (&[Action::Live][..], Role::Guest));
    assert_eq!(
        grant.epochs,
        Epochs { binding: 1, key: 2, share: 3, consent: 4, session: 5, proof: 6 }
    );
    assert_eq!((grant.consent_seq, grant.issued_at, grant.expires_at), (6, NOW, NOW + 30));
    let other = door.send(client.gate()).await;
    let other = verifier().verify(other.json()["grant"].as_str().unwrap(), NOW).unwrap();
    assert_ne!(other.id, grant.id);
}

#[tokio::test]
async fn a_proof_is_taken_once() {
    let door = Door::new();
    let client = Client::new(1);
    let proof = client.proof("POST", "/v1/media-grants", Some(TOKEN));
    let request = || {
        plain("POST", "/v1/media-grants")
            .header("dpop", &proof)
            .header("authorization", format!("DPoP {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(r#"{"serial":"CAM-1","channel":0,"action":"live"}"#))
            .unwrap()
    };
    assert_eq!(door.send(request()).await.status, 201);
    assert_eq!(door.send(request()).await.problem(), (401, "proof-replayed".into()));
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_proof() {
    let door = Door::new();
    let client = Client::new(1);
    let proof = client.proof("POST", "/v1/media-grants", Some(TOKEN));
    let request = |body: &'static str| {
        plain("POST", "/v1/media-grants")
            .header("dpop", &proof)
            .header("authorization", format!("DPoP {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap()
    };
    assert_eq!(door.send(request("{")).await.problem(), (400, "malformed-request".into()));
    let good = r#"{"serial":"CAM-1","channel":0,"action":"live"}"#;
    assert_eq!(door.send(request(good)).await.status, 201);
}

#[tokio::test]
async fn proofs_that_are_missing_foreign_or_stale_are_refused_before_the_directory_is_asked() {
    let door = Door::new();
    let client = Client::new(1);
    *door.script.hangs.lock().unwrap() = true;
    let path = "/v1/media-grants";
    let token = format!("DPoP {TOKEN}");
    let ask = |proof: Option<String>| {
        let mut request = plain("POST", path).header("authorization", &token);
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        request.header("content-type", "application/json").body(Body::from("{}")).unwrap()
    };
    let cases = [
        (None, "proof-required"),
        (Some("x.y.z".into()), "proof-invalid"),
        (Some(client.proof("POST", "/v1/other", Some(TOKEN))), "proof-invalid"),
        (Some(client.proof("GET", path, Some(TOKEN))), "proof-invalid"),
        (Some(client.proof("POST", path, Some("other"))), "proof-invalid"),
        (Some(client.proof("POST", path, None)), "proof-invalid"),
    ];
    for (proof, name) in cases {
        assert_eq!(door.send(ask(proof)).await.problem(), (401, name.to_owned()));
    }
    door.now.store(NOW + PROOF_SKEW_SECS + 1, Ordering::Relaxed);
    assert_eq!(door.send(client.gate()).await.problem(), (401, "proof-invalid".into()));
    door.now.store(NOW, Ordering::Relaxed);
    let twice = client
        .request("POST", path, Some(TOKEN))
        .header("dpop", client.proof("POST", path, Some(TOKEN)))
        .header("authorization", &token)
        .body(Body::empty())
        .unwrap();
    assert_eq!(door.send(twice).await.problem(), (401, "proof-invalid".into()));
}

#[tokio::test]
async fn a_request_without_a_token_of_the_right_scheme_must_sign_in() {
    let door = Door::new();
    let client = Client::new(1);
    for value in ["", "Bearer access-token", "DPoP", "DPoP "] {
        let request = client
            .request("POST", "/v1/media-grants", Some(TOKEN))
            .header("authorization", value)
            .body(Body::empty())
            .unwrap();
        assert_eq!(door.send(request).await.problem(), (401, "login-required".into()), "{value}");
    }
}

#[tokio::test]
async fn a_terminal_has_its_own_rate_limit() {
    let door = Door::with(tight(1, 2));
    let (one, two) = (Client::new(1), Client::new(2));
    assert_eq!(door.send(one.gate()).await.status, 201);
    assert_eq!(door.send(one.gate()).await.status, 201);
    let refused = door.send(one.gate()).await;
    assert_eq!(refused.problem(), (429, "rate-limited".into()));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(door.send(two.gate()).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_hangs_ends_in_a_problem_not_in_a_wait() {
    let door = Door::new();
    *door.script.hangs.lock().unwrap() = true;
    let reply = door.send(Client::new(1).gate()).await;
    assert_eq!(reply.problem(), (503, "timeout".into()));
}

#[tokio::test]
async fn presence_is_told_to_those_who_may_see_the_device_and_to_nobody_else() {
    let door = Door::new();
    let client = Client::new(1);
    let ask = |serial: &str| {
        let path = format!("/v1/live/{serial}");
        client
            .request("GET", &path, Some(TOKEN))
            .header("authorization", format!("DPoP {TOKEN}"))
            .body(Body::empty())
            .unwrap()
    };
    for refusal in [None, Some(GateRefusal::KeyProofRequired), Some(GateRefusal::ConsentRequired)] {
        *door.script.refusal.lock().unwrap() = refusal;
        assert_eq!(door.send(ask("CAM-1")).await.json()["live"], true);
        assert_eq!(door.send(ask("CAM-2")).await.json()["live"], false);
    }
    *door.script.refusal.lock().unwrap() = Some(GateRefusal::PolicyRequired);
    let basic = door.send(ask("CAM-1")).await;
    assert_eq!(basic.json()["purpose"], "account", "basic mode sees no camera");
    assert_eq!(basic.problem(), (403, "consent-required".into()));
    *door.script.refusal.lock().unwrap() = Some(GateRefusal::NotBound);
    assert_eq!(door.send(ask("CAM-1")).await.problem(), (404, "device-not-bound".into()));
    assert_eq!(door.send(ask("CAM.1")).await.problem(), (404, "device-not-bound".into()));
    let stranger = plain("GET", "/v1/live/CAM-1").body(Body::empty()).unwrap();
    assert_eq!(door.send(stranger).await.problem(), (401, "login-required".into()));
}

#[tokio::test]
async fn each_channel_of_a_hub_has_a_presence_of_its_own() {
    let door = Door::new();
    let client = Client::new(1);
    let ask = |path: &str| {
        let request = client.request("GET", path, Some(TOKEN));
        let request = request.header("authorization", format!("DPoP {TOKEN}"));
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(door.send(ask("/v1/live/CAM-1/1")).await.json()["live"], true);
    assert_eq!(door.send(ask("/v1/live/CAM-1/2")).await.json()["live"], false);
    for path in ["/v1/live/CAM-1/x", "/v1/live/CAM-1/65536"] {
        assert_eq!(door.send(ask(path)).await.problem(), (404, "device-not-bound".into()));
    }
    requirement!("B18");
}

#[tokio::test]
async fn a_lan_grant_passes_the_whole_gate_and_verifies_with_the_key_that_the_server_tells() {
    let door = Door::new();
    let client = Client::new(1);
    let path = "/v1/lan-grants/CAM-1/3";
    let ask = |path: &str| {
        let request = client.request("POST", path, Some(TOKEN));
        let request = request.header("authorization", format!("DPoP {TOKEN}"));
        request.body(Body::empty()).unwrap()
    };
    for (refusal, problem) in [
        (GateRefusal::NotBound, (404, "device-not-bound")),
        (GateRefusal::KeyProofRequired, (403, "device-key-required")),
        (GateRefusal::SmsRequired, (403, "sms-required")),
        (GateRefusal::ConsentRequired, (403, "consent-required")),
    ] {
        *door.script.refusal.lock().unwrap() = Some(refusal);
        let told = door.send(ask(path)).await.problem();
        assert_eq!((told.0, told.1.as_str()), problem);
    }
    *door.script.refusal.lock().unwrap() = None;
    let granted = door.send(ask(path)).await;
    assert_eq!(granted.status, 201);
    let key = door.send(plain("GET", "/v1/server").body(Body::empty()).unwrap()).await;
    let key = B64.decode(key.json()["grant_key"].as_str().unwrap()).unwrap();
    let text = granted.json()["grant"].as_str().unwrap().to_owned();
    let grant = GrantVerifier::new(&key).verify_lan(&text, NOW).unwrap();
    assert_eq!((grant.serial.as_str(), grant.channel, grant.binding_epoch), ("CAM-1", 3, 1));
    assert_eq!((grant.terminal, grant.role), (client.thumbprint(), Role::Guest));
    assert_eq!(granted.json()["expires_at"], NOW + LAN_GRANT_TTL_SECS);
    requirement!("B16");
}
