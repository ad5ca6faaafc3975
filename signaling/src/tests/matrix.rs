//! Everybody asks for everything: each operation of signaling by each kind of caller, against what
//! its rule declares. The facts of the gate are the control plane's and are scripted here.

use axum::body::Body;
use http::Request;
use sightline_grant::Thumbprint;
use sightline_operation::{Operation, Rule};

use super::fakes::*;
use crate::plane::GateRefusal;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Who asks, by what is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Actor {
    /// Nothing but a key.
    KeyOnly,
    /// A login that passes the gate.
    Login,
    /// A login whose account has nothing to do with the device.
    Stranger,
    /// A login with another terminal's key.
    WrongTerminal,
    /// A login, no proof.
    LoginWithoutProof,
    /// An unknown access token, such as the hash that the operator finds in the database.
    UnknownToken,
    /// A good grant.
    Grant,
    /// A grant, no proof.
    GrantWithoutProof,
    /// Another terminal's grant.
    OthersGrant,
    /// A grant for another device.
    GrantElsewhere,
    /// A grant for another channel.
    GrantOtherChannel,
    /// An outdated grant.
    OldGrant,
    /// An access token where a grant belongs.
    TokenAsGrant,
    /// A grant where an access token belongs.
    GrantAsToken,
    /// A device, by its publish password.
    Publisher,
    /// A device whose identity nobody knows.
    UnknownDevice,
}

const ACTORS: [Actor; 16] = [
    Actor::KeyOnly,
    Actor::Login,
    Actor::Stranger,
    Actor::WrongTerminal,
    Actor::LoginWithoutProof,
    Actor::UnknownToken,
    Actor::Grant,
    Actor::GrantWithoutProof,
    Actor::OthersGrant,
    Actor::GrantElsewhere,
    Actor::GrantOtherChannel,
    Actor::OldGrant,
    Actor::TokenAsGrant,
    Actor::GrantAsToken,
    Actor::Publisher,
    Actor::UnknownDevice,
];

/// The problem that the rule declares for the caller; `None`: it is served.
fn refusal(operation: &Operation, actor: Actor) -> Option<&'static str> {
    match operation.rule {
        Rule::Public | Rule::Ticket => None,
        Rule::OwnerOrGuest(_) => match actor {
            Actor::Login => None,
            Actor::Stranger => Some("device-not-bound"),
            Actor::WrongTerminal => Some("wrong-terminal"),
            Actor::LoginWithoutProof => Some("proof-required"),
            _ => Some("login-required"),
        },
        Rule::Grant => match actor {
            Actor::Grant => None,
            Actor::GrantWithoutProof => Some("proof-required"),
            Actor::OthersGrant => Some("grant-other-terminal"),
            Actor::GrantElsewhere | Actor::GrantOtherChannel => Some("grant-other-device"),
            Actor::OldGrant => Some("grant-expired"),
            Actor::TokenAsGrant => Some("grant-invalid"),
            Actor::Publisher => Some("grant-invalid"),
            _ => Some("grant-required"),
        },
        Rule::Publisher => match actor {
            Actor::Publisher => None,
            _ => Some("publisher-unknown"),
        },
        // Client 1 is the device, too; what else it shows does not matter, but a proof made with a
        // token is not the proof of a key alone.
        Rule::Device => match actor {
            Actor::KeyOnly => None,
            Actor::UnknownDevice => Some("publisher-unknown"),
            Actor::LoginWithoutProof | Actor::GrantWithoutProof => Some("proof-required"),
            _ => Some("proof-invalid"),
        },
        rule => panic!("{rule:?} is no rule of signaling"),
    }
}

/// What a caller shows: scheme, credential, seed of the key, whether a proof comes along.
fn shown(actor: Actor) -> (Option<(&'static str, String)>, u8, bool) {
    let grant = |change: fn(&mut sightline_grant::Grant)| Some(("Bearer", grant_text(change)));
    let token = |token: &str| Some(("DPoP", token.to_owned()));
    match actor {
        Actor::KeyOnly => (None, 1, true),
        Actor::UnknownDevice => (None, 2, true),
        Actor::Login | Actor::Stranger | Actor::WrongTerminal => (token(TOKEN), 1, true),
        Actor::LoginWithoutProof => (token(TOKEN), 1, false),
        Actor::UnknownToken => (token("other"), 1, true),
        Actor::Grant => (grant(|_| ()), 1, true),
        Actor::GrantWithoutProof => (grant(|_| ()), 1, false),
        Actor::OthersGrant => (grant(|grant| grant.terminal = Thumbprint([9; 32])), 1, true),
        Actor::GrantElsewhere => (grant(|grant| grant.serial = "CAM-2".into()), 1, true),
        Actor::GrantOtherChannel => (grant(|grant| grant.channel = 1), 1, true),
        Actor::OldGrant => (grant(|grant| grant.expires_at = NOW - 1), 1, true),
        Actor::TokenAsGrant => (Some(("Bearer", TOKEN.to_owned())), 1, true),
        Actor::GrantAsToken => (Some(("DPoP", grant_text(|_| ()))), 1, true),
        Actor::Publisher => (Some(("Bearer", "publish".to_owned())), 1, true),
    }
}

/// Content-Type and body of a request that the operation serves.
fn body(operation: &Operation) -> (&'static str, &'static str) {
    match (operation.method, operation.path) {
        ("get" | "delete" | "head" | "options", _) => ("", ""),
        ("post", "/v1/media-grants") => {
            ("application/json", r#"{"serial":"CAM-1","channel":0,"action":"live"}"#)
        }
        ("post", "/v1/roq-publish/{channel}") => (
            "application/json",
            r#"{"sealed":true,"tracks":[{"flow":1,"payload_type":96,"codec":"h264","clock_rate":90000,
                "channels":0,"fmtp":"","tier":"main"}]}"#,
        ),
        ("post", "/v1/whep/{serial}/{channel}" | "/v1/whip/{serial}/{channel}") => (SDP, "v=0"),
        ("patch", "/v1/whep-sessions/{id}" | "/v1/whip-sessions/{id}") => (FRAGMENT, "a=x"),
        (
            "post",
            "/v1/rtsp-handles/{serial}/{channel}"
            | "/v1/roq-sessions/{serial}/{channel}"
            | "/v1/webtransport-sessions/{serial}/{channel}"
            | "/v1/websocket-sessions/{serial}/{channel}"
            | "/v1/lan-grants/{serial}/{channel}",
        ) => ("", ""),
        (method, path) => panic!("{method} {path} is new: say how it is asked for"),
    }
}

fn request(operation: &Operation, actor: Actor) -> Request<Body> {
    let path = operation
        .path
        .replace("{serial}", "CAM-1")
        .replace("{channel}", "0")
        .replace("{id}", SESSION)
        .replace("{ticket}", SESSION);
    assert!(!path.contains('{'), "{path} has a new parameter: say what stands there");
    let (credential, seed, proven) = shown(actor);
    let method = operation.method.to_uppercase();
    let token = credential.as_ref().map(|(_, token)| token.as_str());
    let mut request = match proven {
        true => Client::new(seed).request(&method, &path, token),
        false => plain(&method, &path),
    };
    if let Some((scheme, credential)) = &credential {
        request = request.header("authorization", format!("{scheme} {credential}"));
    }
    let (kind, body) = body(operation);
    if !kind.is_empty() {
        request = request.header("content-type", kind);
    }
    request.body(Body::from(body)).unwrap()
}

async fn judge(operation: &Operation, actor: Actor) -> Result<(), String> {
    // A doorway each: proofs and grants of one caller are no concern of the next.
    let door = Door::new();
    *door.script.refusal.lock().unwrap() = match actor {
        Actor::Stranger => Some(GateRefusal::NotBound),
        Actor::WrongTerminal => Some(GateRefusal::WrongTerminal),
        _ => None,
    };
    let reply = door.send(request(operation, actor)).await;
    let what = format!("{actor:?} asked {} {}", operation.method, operation.path);
    let expected = refusal(operation, actor);
    let got = if reply.status.as_u16() < 400 { None } else { Some(reply.problem().1) };
    // A plain request opens no WebSocket, whoever asks.
    let got = got.filter(|name| name != "upgrade-required");
    let changed = !door.seen().is_empty();
    if got.as_deref() != expected {
        return Err(format!("{what}: {} {:?}, expected {expected:?}", reply.status, got));
    }
    if expected.is_some() && changed {
        return Err(format!("{what}: refused, but the relay was asked {:?}", door.seen()));
    }
    Ok(())
}

#[tokio::test]
async fn everybody_gets_from_every_operation_what_its_rule_declares() {
    let table = crate::operations();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for operation in table.operations().filter(|operation| operation.listed) {
        for actor in ACTORS {
            asked += 1;
            wrong.extend(judge(operation, actor).await.err());
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{asked} pairs of operation and caller, as declared");
}

#[tokio::test]
async fn a_query_or_a_key_that_an_operation_does_not_take_is_refused() {
    let door = Door::new();
    let ask = async |path: &str| {
        let request = plain("GET", path).body(Body::empty()).unwrap();
        door.send(request).await
    };
    assert_eq!(ask("/v1/server?").await.status, 200);
    assert_eq!(ask("/v1/server?x=1").await.problem(), (400, "query-unknown".into()));
    assert_eq!(ask("/?from=elsewhere").await.status, 200, "the page takes any");
    let mut keyed = Client::new(1).gate();
    keyed.headers_mut().insert("idempotency-key", "k".parse().unwrap());
    let refused = door.send(keyed).await;
    assert_eq!(refused.problem(), (400, "idempotency-key-unsupported".into()));
    assert!(door.seen().is_empty());
}
