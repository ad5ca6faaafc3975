//! Everybody asks for everything: each operation of the table by each kind of caller, against what
//! its rule declares. What is asked for in no special words here is asked for with the least that its
//! schema takes, so a new operation is judged from its first day.

use sightline_operation::openapi::Contract;
use sightline_operation::{FORM, Operation, Rule};

use super::*;
use crate::consent::{ACCOUNT, DEVICE_SHARED};
use crate::http::operations;
use crate::ids::ShareId;
use crate::limits::ACCESS_TTL_SECS;
use crate::sealed::generation::MIN_GENERATION;
use crate::sealed::testing::{key_of, wrap_for};
use crate::share::accept::AcceptRequest;
use crate::share::attestation;
use crate::share::invite::InviteRequest;
use crate::share::scopes::{ShareScope, ShareScopes};
use crate::storage::model::ShareTerms;
use crate::tests::rig::{User, terminal};
use crate::vault::token_hash;

/// The device that everybody asks about, and one that does not exist.
const DEVICE: &str = "CAM-1";
const NO_DEVICE: &str = "CAM-9";
/// Seeds of the two cameras.
const CAMERA: u8 = 100;
const OTHER_CAMERA: u8 = 110;
/// Seed of an app's key.
const APP: u8 = 120;
/// A third person.
const CARL: &str = "+4915200000002";

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Actor {
    Owner,
    /// The device is shared with them for this alone.
    Guest(ShareScope),
    /// The device was shared with them for everything.
    ExGuest,
    /// Owned the device before.
    ExOwner,
    /// Has an account, and nothing to do with the device.
    Stranger,
    /// The owner's login, another terminal's key.
    WrongTerminal,
    /// The owner's login, outdated.
    ExpiredToken,
    /// The owner's login, signed out.
    SignedOut,
    /// The owner's refresh token instead of the access token.
    RefreshToken,
    /// A device's publish password instead of an access token.
    PublishPassword,
    /// A key, no login.
    NoToken,
    /// The owner's login, no proof of its key.
    NoProof,
    /// The camera itself.
    Camera,
    /// Another camera.
    OtherCamera,
    /// The owner's login, the policy withdrawn.
    BasicMode,
    /// Looks around without an account.
    Browser,
    /// Runs the server: a key of their own, and what the database holds of the owner's login.
    Operator,
    /// A first-party app that the owner signed in to.
    AppSession,
    /// Somebody else's app that the owner signed in to.
    ThirdPartyApp,
}

const ACTORS: [Actor; 24] = [
    Actor::Owner,
    Actor::Guest(ShareScope::View),
    Actor::Guest(ShareScope::Playback),
    Actor::Guest(ShareScope::Download),
    Actor::Guest(ShareScope::Talk),
    Actor::Guest(ShareScope::Ptz),
    Actor::Guest(ShareScope::Events),
    Actor::ExGuest,
    Actor::ExOwner,
    Actor::Stranger,
    Actor::WrongTerminal,
    Actor::ExpiredToken,
    Actor::SignedOut,
    Actor::RefreshToken,
    Actor::PublishPassword,
    Actor::NoToken,
    Actor::NoProof,
    Actor::Camera,
    Actor::OtherCamera,
    Actor::BasicMode,
    Actor::Browser,
    Actor::Operator,
    Actor::AppSession,
    Actor::ThirdPartyApp,
];

/// What is to come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// Whatever comes is not about who asks.
    Admitted,
    /// Refused with this problem.
    Refused(&'static str),
    /// Refused, and word for word as for a device that does not exist.
    AsUnknown,
}

/// Problems that are about who asks.
const IDENTITY: [&str; 9] = [
    "app-barred",
    "app-login-required",
    "invalid_client",
    "login-required",
    "wrong-terminal",
    "proof-invalid",
    "proof-replayed",
    "device-not-bound",
    "device-unknown",
];

fn expected(rule: Rule, actor: Actor) -> Expected {
    match rule {
        Rule::Public | Rule::Ticket => Expected::Admitted,
        Rule::Key if actor == Actor::NoProof => Expected::Refused("proof-invalid"),
        Rule::Key => Expected::Admitted,
        Rule::Device => match actor {
            Actor::NoProof => Expected::Refused("proof-invalid"),
            Actor::Camera | Actor::OtherCamera => Expected::Admitted,
            _ => Expected::Refused("device-unknown"),
        },
        // Nobody here shows what an app shows of itself.
        Rule::Client => Expected::Refused("invalid_client"),
        Rule::App => match actor {
            Actor::AppSession | Actor::ThirdPartyApp => Expected::Admitted,
            Actor::NoProof => Expected::Refused("proof-invalid"),
            _ => Expected::Refused("app-login-required"),
        },
        Rule::OwnLogin if actor == Actor::AppSession => Expected::Refused("app-barred"),
        Rule::BasicLogin if actor == Actor::BasicMode => Expected::Admitted,
        Rule::Login | Rule::OwnLogin | Rule::BasicLogin => {
            logged_in(actor).unwrap_or(Expected::Admitted)
        }
        Rule::Owner => logged_in(actor).unwrap_or(match actor {
            Actor::Owner | Actor::AppSession => Expected::Admitted,
            _ => Expected::AsUnknown,
        }),
        // A code for viewing is what they ask for; one to sign in with needs no login.
        Rule::KeyOrLogin => expected(Rule::OwnerOrGuest("any"), actor),
        Rule::OwnerOrGuest(scope) => logged_in(actor).unwrap_or(match actor {
            Actor::Owner | Actor::AppSession => Expected::Admitted,
            Actor::Guest(has) if scope == "any" || json!(has) == scope => Expected::Admitted,
            // Guests know that the device exists; what they lack is said.
            Actor::Guest(_) => Expected::Refused("scope-required"),
            _ => Expected::AsUnknown,
        }),
        Rule::Publisher | Rule::Grant | Rule::Operator => {
            panic!("{rule:?} is no rule of the control plane")
        }
    }
}

/// How a login that does not hold is refused; `None` when it holds.
fn logged_in(actor: Actor) -> Option<Expected> {
    match actor {
        Actor::Owner | Actor::ExOwner | Actor::Stranger | Actor::AppSession => None,
        Actor::Guest(_) | Actor::ExGuest => None,
        Actor::WrongTerminal => Some(Expected::Refused("wrong-terminal")),
        Actor::NoProof => Some(Expected::Refused("proof-invalid")),
        Actor::BasicMode | Actor::Browser => Some(Expected::Refused("consent-required")),
        _ => Some(Expected::Refused("login-required")),
    }
}

/// Bodies for adding, knowing, handing over and sharing devices.
fn other_body(method: &str, path: &str, epoch: u64) -> Option<Option<Value>> {
    let body = match (method, path) {
        (_, "/v1/devices/{serial}/codes" | "/v1/device/provisioning") => return Some(None),
        ("post", "/v1/bind-tokens") => json!({}),
        ("post", "/v1/device/bind") => json!({"token": "x"}),
        ("patch", "/v1/devices/{serial}") => json!({"name": "Gate"}),
        ("put", "/v1/device/hardware") => json!({"binding_epoch": epoch + 9, "hardware": {
            "type": "camera", "model": "M1", "firmware": "1.0", "mac": null,
            "system_version": "Linux 6", "access_mode": "wifi", "settings": {},
        }}),
        ("put", "/v1/devices/{serial}/location") => json!({"city": "Munich"}),
        ("post", "/v1/provisionings") => {
            json!({"serial": "CAM-2", "network": {"ssid": "Home", "access_mode": "wifi"}})
        }
        ("post", "/v1/transfers") => json!({"payload": "x"}),
        ("post", "/v1/device/reset") => json!({"binding_epoch": epoch + 9}),
        ("post", "/v1/devices/{serial}/shares") => {
            json!({"scopes": ["view"], "label": "Ben", "attestation": 1})
        }
        ("patch", "/v1/devices/{serial}/shares/{id}") => json!({"label": "Ben"}),
        ("post", "/v1/shares/invitation") => json!({"code": "x"}),
        ("post", "/v1/shares/accept") => json!({"code": "x", "consent": 1, "attestation": 1}),
        ("post", "/v1/shares/{id}/introduction") => json!({"commitment": B64.encode([1; 32])}),
        _ => return None,
    };
    Some(Some(body))
}

/// The owner invites, the guest accepts.
async fn share(rig: &Rig, owner: &User, guest: &User, scopes: &[ShareScope]) -> ShareId {
    let scopes = ShareScopes::of(scopes);
    let request = InviteRequest {
        serial: DEVICE.into(),
        terms: ShareTerms { scopes, channels: None, schedule: None, ends_at: None },
        label: "Carl".into(),
        attested: Some(attestation::OWNER.version),
    };
    let accepted = AcceptRequest {
        code: rig.cp.invite_guest(&owner.session, &request).await.unwrap().code,
        consent: Some(DEVICE_SHARED.version),
        attested: Some(attestation::GUEST.version),
    };
    rig.cp.accept_invitation(&guest.session, &accepted).await.unwrap().share.id
}

/// A camera that changed hands, another one, and whoever asks.
struct World {
    rig: Rig,
    epoch: u64,
    actor: Actor,
    key: u8,
    token: Option<String>,
    refresh: String,
    /// Of the description.
    schemas: Value,
}

impl Client<'_> {
    /// The members of a body as a form.
    async fn send_form(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        proof: Option<&str>,
    ) -> Answer {
        let members = body.as_object().unwrap();
        let text: Vec<_> = members.iter().map(|(name, _)| format!("{name}=x")).collect();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(proof) = proof {
            request = request.header("DPoP", proof);
        }
        let request = request.header(header::CONTENT_TYPE, FORM);
        let (answer, bytes) =
            self.exchange(request.body(Body::from(text.join("&"))).unwrap()).await;
        Answer { body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), ..answer }
    }
}

impl World {
    async fn new(actor: Actor) -> Self {
        let rig = Rig::new().await.named();
        let former = rig.sign_in(BEN, 2).await;
        let texts = rig.admitted(&former, BEN, DEVICE).await;
        let texts_of_open = rig.add_open("OPEN-1").await;
        rig.add_sealed("CAM-2", OTHER_CAMERA).await;
        assert!(rig.cp.unbind(&former.session, DEVICE).await.unwrap());
        let owner = rig.sign_in(ANNA, 1).await;
        let epoch = rig.bind_sealed(&owner, DEVICE, &texts).await;
        rig.key_and_facts(&owner, ANNA, DEVICE, epoch, 102).await;
        let stranger = rig.sign_in(CARL, 3).await;
        match actor {
            Actor::Guest(scope) => drop(share(&rig, &owner, &stranger, &[scope]).await),
            Actor::ExGuest => {
                let shared = share(&rig, &owner, &stranger, &ShareScope::ALL).await;
                assert!(rig.cp.revoke_share(&owner.session, DEVICE, &shared).await.unwrap());
            }
            _ => {}
        }
        rig.clock.advance(3600);

        let renewed = async |user: &User, seed: u8| {
            rig.cp.refresh(&user.signed_in.tokens.refresh, terminal(seed)).await.unwrap()
        };
        let (key, user) = match actor {
            Actor::ExOwner => (2, &former),
            Actor::Stranger | Actor::Guest(_) | Actor::ExGuest => (3, &stranger),
            Actor::Camera => (CAMERA, &owner),
            Actor::OtherCamera => (OTHER_CAMERA, &owner),
            Actor::WrongTerminal | Actor::Browser | Actor::Operator => (3, &owner),
            Actor::AppSession | Actor::ThirdPartyApp => (APP, &owner),
            _ => (1, &owner),
        };
        let of_user = match actor {
            Actor::ExOwner => 2,
            Actor::Stranger | Actor::Guest(_) | Actor::ExGuest => 3,
            _ => 1,
        };
        let tokens = renewed(user, of_user).await;
        if actor == Actor::BasicMode {
            rig.cp.withdraw_consent(&owner.session, ACCOUNT.id).await.unwrap();
        }
        let access = tokens.access.expose().clone();
        let mut refresh = tokens.refresh.expose().clone();
        let token = match actor {
            Actor::AppSession | Actor::ThirdPartyApp => {
                let app = match actor {
                    Actor::AppSession => rig.own_app().await.id,
                    _ => rig.other_app().await.id,
                };
                let made = rig.app_signed_in(&owner, &app, Some(terminal(APP))).await;
                refresh = made.tokens.refresh.expose().clone();
                Some(made.tokens.access.expose().clone())
            }
            Actor::Camera | Actor::OtherCamera | Actor::NoToken => None,
            Actor::RefreshToken => Some(refresh.clone()),
            Actor::Browser => Some(rig.cp.open_basic(terminal(3)).token.expose().clone()),
            Actor::Operator => Some(B64.encode(token_hash(&access))),
            Actor::PublishPassword => {
                Some(texts_of_open.publish_password.unwrap().expose().clone())
            }
            _ => Some(access),
        };
        match actor {
            Actor::ExpiredToken => rig.clock.advance(ACCESS_TTL_SECS + 1),
            Actor::SignedOut => rig.cp.sign_out(&owner.session).await.unwrap(),
            _ => {}
        }
        let document = Contract::default().with(&operations()).document("", "", "");
        let schemas = document["components"]["schemas"].clone();
        Self { rig, epoch, actor, key, token, refresh, schemas }
    }

    /// Path and body of a request that the operation would serve if the right one asked.
    fn request(&self, operation: &Operation, serial: &str) -> (String, Option<Value>) {
        let (epoch, b64) = (self.epoch, |bytes: &[u8]| B64.encode(bytes));
        let challenge = "0".repeat(32);
        let body = match (operation.method, operation.path) {
            ("get" | "delete", _) => None,
            ("post", "/v1/otp") => Some(json!({"purpose": "view", "serial": serial})),
            ("post", "/v1/sessions") => Some(json!({
                "challenge_id": challenge, "code": "1", "terminal_name": "x", "client_type": "browser",
            })),
            ("post", "/v1/sessions/refresh") => Some(json!({"refresh_token": self.refresh})),
            ("post", "/v1/consents") => {
                Some(json!({"purpose": "media.view", "version": 1, "decision": "granted"}))
            }
            ("post", "/v1/bindings") => Some(json!({"serial": "CAM-2", "code": "x"})),
            ("post", "/v1/devices/{serial}/key-challenge") => Some(json!({"channel": 0})),
            ("post", "/v1/devices/{serial}/key-proof") => {
                Some(json!({"challenge_id": challenge, "signature": b64(&[1; 64])}))
            }
            ("put", "/v1/devices/{serial}/viewer-list") => Some(json!({"list": b64(&[1; 90])})),
            ("post", "/v1/devices/{serial}/generations") => {
                Some(json!({"channel": 0, "recipient": b64(&key_of(1)), "limit": 1}))
            }
            ("post", "/v1/devices/{serial}/wraps") => {
                Some(json!({"generation": MIN_GENERATION, "wrap": b64(&wrap_for(9, 9))}))
            }
            ("put", "/v1/devices/{serial}/enc-mode") => {
                Some(json!({"mode": "sealed", "order": b64(&[1; 90])}))
            }
            ("post", "/v1/introductions") => Some(json!({"commitment": b64(&[1; 32])})),
            ("post", "/v1/introductions/{code}/reply") => Some(json!({"reply": b64(&[1; 9])})),
            ("post", "/v1/introductions/{code}/reveal") => Some(json!({"reveal": b64(&[1; 9])})),
            ("post", "/v1/introductions/{code}/outcome") => Some(json!({"added": false})),
            ("post", "/v1/step-ups") => Some(json!({"challenge_id": challenge, "code": "1"})),
            // One that knows too little is answered at once.
            ("post", "/v1/device/poll") => Some(json!({"binding_epoch": 99, "key_epoch": 99})),
            ("put", "/v1/device/key-verifier") => {
                Some(json!({"binding_epoch": epoch + 9, "verifier": b64(&[1; 32])}))
            }
            ("put", "/v1/device/generations") => Some(json!({"blob": b64(&[1; 90])})),
            (method, path) => match other_body(method, path, epoch) {
                Some(body) => body,
                None => operation.taken.as_ref().map(|taken| self.sample(&taken.schema)),
            },
        };
        let path = operation
            .path
            .replace("{serial}", serial)
            .replace("{code}", "AAAA-AAAA")
            .replace("{purpose}", "media.view")
            .replace("{id}", &"0".repeat(32))
            .replace("{kind}", "phone")
            .replace(['{', '}'], "");
        (path, body)
    }

    /// The least that a schema takes, for operations that are asked for in no special words.
    fn sample(&self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
            return self.sample(&self.schemas[name]);
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        if let Some(first) = schema["oneOf"].get(0) {
            return self.sample(first);
        }
        let all = schema["allOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
        match schema["type"].as_str() {
            Some("string") => json!("x"),
            Some("boolean") => json!(false),
            Some("array") => json!([]),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
            _ => {
                let required = all.iter().flat_map(|part| {
                    let names = part["required"].as_array().into_iter().flatten();
                    names
                        .filter_map(Value::as_str)
                        .map(move |name| (name, &part["properties"][name]))
                });
                let members = required.map(|(name, member)| (name.to_owned(), self.sample(member)));
                Value::Object(members.collect())
            }
        }
    }

    async fn ask(&self, operation: &Operation, serial: &str) -> Answer {
        let mut client = Client::new(&self.rig, self.key);
        // Where a key is asked for, nobody shows a token; the rule is about the key.
        if !matches!(operation.rule, Rule::Key | Rule::Device) {
            client.token.clone_from(&self.token);
        }
        let (path, body) = self.request(operation, serial);
        let method = operation.method.to_uppercase();
        let proof = client.proof(&method, &path);
        let proof = (self.actor != Actor::NoProof).then_some(&*proof);
        let form = operation.taken.as_ref().is_some_and(|taken| taken.kind == FORM);
        if let Some(body) = body.as_ref().filter(|_| form) {
            return client.send_form(&method, &path, body, proof).await;
        }
        client.send(&method, &path, body.map(|body| body.to_string()), proof).await
    }
}

fn name(answer: &Answer) -> &str {
    if let Some(error) = answer.body["error"].as_str() {
        return error;
    }
    if answer.status.is_success() { "" } else { answer.problem() }
}

/// Operations that end what others need come after those, in this order.
fn turn(operation: &Operation) -> usize {
    let last = ["/v1/bindings/{serial}", "/v1/sessions/refresh", "/v1/sessions/current"];
    last.iter().position(|path| *path == operation.path).map_or(0, |at| at + 1)
}

async fn judge(world: &World, operation: &Operation) -> Result<(), String> {
    let answer = world.ask(operation, DEVICE).await;
    let what = format!(
        "{:?} asked {} {}: {} {}",
        world.actor, operation.method, operation.path, answer.status, answer.body
    );
    let expected = match (operation.path, world.actor) {
        // What they may ask, each of their kind.
        ("/v1/sessions/basic", Actor::Browser) => Expected::Admitted,
        _ => expected(operation.rule, world.actor),
    };
    let holds = match expected {
        Expected::Admitted => {
            !IDENTITY.contains(&name(&answer)) || renewed_by_another(world, operation)
        }
        Expected::Refused(problem) => name(&answer) == problem,
        Expected::AsUnknown => {
            let unknown = world.ask(operation, NO_DEVICE).await;
            let same = (answer.status, &answer.body) == (unknown.status, &unknown.body);
            same && ["device-not-bound", "share-unknown"].contains(&name(&answer))
        }
    };
    if holds { Ok(()) } else { Err(format!("{what}, expected {expected:?}")) }
}

/// A refresh token is worth something with its own key only, which is said as if it were unknown.
fn renewed_by_another(world: &World, operation: &Operation) -> bool {
    let own = logged_in(world.actor).is_none() && world.actor != Actor::AppSession;
    operation.path == "/v1/sessions/refresh" && !own
}

#[tokio::test]
async fn everybody_gets_from_every_operation_what_its_rule_declares() {
    let table = operations();
    let mut operations: Vec<_> = table.operations().collect();
    operations.sort_by_key(|operation| turn(operation));
    let mut wrong = Vec::new();
    let mut asked = 0;
    for actor in ACTORS {
        let world = World::new(actor).await;
        for operation in &operations {
            asked += 1;
            wrong.extend(judge(&world, operation).await.err());
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{asked} pairs of operation and caller, as declared");
    requirement!("A23");
}

#[tokio::test]
async fn a_rule_that_is_not_kept_is_noticed() {
    let world = World::new(Actor::Stranger).await;
    let table = operations();
    let mut mode = table
        .operations()
        .find(|one| one.method == "get" && one.path == "/v1/devices/{serial}/enc-mode")
        .unwrap()
        .clone();
    assert!(judge(&world, &mode).await.is_ok());
    mode.rule = Rule::Login;
    assert!(judge(&world, &mode).await.unwrap_err().contains("expected Admitted"));
}
