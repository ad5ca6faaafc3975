//! Everything that an owner asked and was answered, and how it is played again.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::server::{Device, Server};
use crate::support::terminal::{Reply, Terminal, Token};

/// Pause after the server asks for patience.
const PATIENCE: Duration = Duration::from_millis(300);
/// Shortest text that may be a capability: 80 bits in base32.
const MIN_LEN: usize = 16;

/// What a request showed.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    Login,
    Grant(String),
}

/// A request that succeeded.
struct Kept {
    method: String,
    path: String,
    template: String,
    shown: Shown,
    body: Option<Value>,
}

/// An operation of the description.
struct Operation {
    method: String,
    path: String,
    rule: String,
}

/// A terminal that keeps all.
pub(crate) struct Keeper {
    pub(crate) terminal: Terminal,
    operations: Vec<Operation>,
    kept: Vec<Kept>,
    texts: BTreeSet<String>,
}

impl Keeper {
    pub(crate) async fn new(terminal: Terminal) -> Self {
        let document = terminal.send("GET", "/v1/openapi.json", Token::None, None).await.ok();
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("operations") {
                let Some(rule) = operation["x-rule"].as_str() else { continue };
                let (method, path, rule) = (method.clone(), path.clone(), rule.to_owned());
                operations.push(Operation { method, path, rule });
            }
        }
        Self { terminal, operations, kept: Vec::new(), texts: BTreeSet::new() }
    }

    /// Asks, which must succeed, and keeps question and answer.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        shown: Shown,
        body: Option<Value>,
    ) -> Value {
        let reply = self.patiently(method, path, &shown, body.clone()).await;
        assert!(reply.status.is_success(), "{method} {path}: {} {}", reply.status, reply.body);
        self.keep(method, path, shown, body, &reply);
        reply.body
    }

    /// An SDP offer with a grant.
    pub(crate) async fn offer(&mut self, path: &str, grant: &str, sdp: &str) {
        let reply = self.terminal.offer(path, grant, sdp).await;
        assert!(reply.status.is_success(), "{path}: {} {}", reply.status, reply.body);
        collect(&json!(reply.location), &mut self.texts);
        self.keep("POST", path, Shown::Grant(grant.to_owned()), None, &reply);
    }

    pub(crate) async fn grant(&mut self, serial: &str) -> String {
        let wanted = json!({ "serial": serial, "channel": 0, "action": "live" });
        let answer = self.ask("POST", "/v1/media-grants", Shown::Login, Some(wanted)).await;
        answer["grant"].as_str().expect("a grant").to_owned()
    }

    /// Proves the device key, and keeps the proof.
    pub(crate) async fn prove(&mut self, device: &Device) {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
        let path = format!("/v1/devices/{}/key-challenge", device.serial);
        let wish = json!({ "channel": 0 });
        let challenge = self.ask("POST", &path, Shown::Login, Some(wish)).await;
        let message = B64.decode(challenge["message"].as_str().expect("a message")).expect("bytes");
        let signature = crate::support::terminal::auth_key(&device.password).sign(&message);
        let proof = json!({
            "challenge_id": challenge["challenge_id"], "signature": B64.encode(signature.as_ref()),
        });
        let path = format!("/v1/devices/{}/key-proof", device.serial);
        self.ask("POST", &path, Shown::Login, Some(proof)).await;
    }

    /// Opens the viewing window, and keeps what opened it.
    pub(crate) async fn step_up(&mut self, server: &Server, serial: &str) {
        let (id, code) =
            self.terminal.request_code(server, "view", json!({ "serial": serial })).await;
        let body = json!({ "challenge_id": id, "code": code });
        self.ask("POST", "/v1/step-ups", Shown::Login, Some(body)).await;
        let wish = json!({ "purpose": "view", "serial": serial });
        let template = "/v1/otp".to_owned();
        let (method, path) = ("POST".to_owned(), template.clone());
        let shown = Shown::Login;
        self.kept.push(Kept { method, path, template, shown, body: Some(wish) });
    }

    /// Fails on an operation about devices that nobody played, so that a new one joins.
    pub(crate) fn check_that_all_were_played(&self, not: &[(&str, &str, &str)]) {
        for operation in &self.operations {
            let of_owner = operation.rule.starts_with("owner") || operation.rule == "grant";
            let excused = |(method, path, _): &(&str, &str, &str)| {
                *method == operation.method && *path == operation.path
            };
            let played = |kept: &Kept| {
                kept.method.to_lowercase() == operation.method && kept.template == operation.path
            };
            assert!(
                !of_owner || not.iter().any(excused) || self.kept.iter().any(played),
                "play {} {} as the owner, so that it is seen to be refused to a former one",
                operation.method,
                operation.path
            );
        }
    }

    /// Asks everything again that is about the devices; how much was refused.
    pub(crate) async fn replay(&self, serials: &[&str], open: &[(&str, &str)]) -> usize {
        let mut refused = 0;
        for kept in &self.kept {
            let body = kept.body.as_ref().map(Value::to_string).unwrap_or_default();
            let about =
                serials.iter().any(|serial| kept.path.contains(serial) || body.contains(serial));
            let is_open = open.iter().any(|(path, _)| *path == kept.template);
            // Makes a token for an account, and a report of one: neither says anything of a device.
            let own = ["/v1/bind-tokens", "/v1/provisionings"].contains(&kept.template.as_str())
                && !body.contains("sealed");
            if !about || is_open || own {
                continue;
            }
            let reply =
                self.patiently(&kept.method, &kept.path, &kept.shown, kept.body.clone()).await;
            let told = (&kept.method, &kept.path, reply.status, &reply.body);
            assert!(reply.status.is_client_error(), "{told:?}");
            refused += 1;
        }
        refused
    }

    /// Shows every text of every answer wherever a capability goes; how often it was refused.
    pub(crate) async fn try_everything_everywhere(&self, serials: &[&str]) -> usize {
        let mut refused = 0;
        for text in &self.texts {
            for operation in &self.operations {
                let method = operation.method.to_uppercase();
                let calls: Vec<(String, Shown, Option<Value>)> = match operation.rule.as_str() {
                    "grant" => serials
                        .iter()
                        .map(|serial| {
                            let path = operation.path.replace("{serial}", serial);
                            (path.replace("{channel}", "0"), Shown::Grant(text.clone()), None)
                        })
                        .collect(),
                    "ticket" if is_plain(text) => {
                        let at = operation.path.find('{').expect("a place for the ticket");
                        vec![(format!("{}{text}", &operation.path[..at]), Shown::Login, None)]
                    }
                    _ => continue,
                };
                for (path, shown, body) in calls {
                    let reply = self.patiently(&method, &path, &shown, body).await;
                    assert!(reply.status.is_client_error(), "{method} {path}: {}", reply.status);
                    refused += 1;
                }
            }
            for serial in serials {
                let body = json!({ "serial": serial, "code": text });
                let taken =
                    self.patiently("POST", "/v1/transfers", &Shown::Login, Some(body)).await;
                assert!(taken.status.is_client_error(), "{text}: {}", taken.status);
                refused += 1;
            }
        }
        refused
    }

    fn keep(&mut self, method: &str, path: &str, shown: Shown, body: Option<Value>, reply: &Reply) {
        collect(&reply.body, &mut self.texts);
        let template = self.template(method, path);
        let (method, path) = (method.to_owned(), path.to_owned());
        self.kept.push(Kept { method, path, template, shown, body });
    }

    /// The path as the description has it.
    fn template(&self, method: &str, path: &str) -> String {
        let fits = |operation: &&Operation| {
            let (of, at) = (operation.path.split('/'), path.split('/'));
            operation.method == method.to_lowercase()
                && operation.path.split('/').count() == path.split('/').count()
                && std::iter::zip(of, at).all(|(of, at)| of.starts_with('{') || of == at)
        };
        let found = self.operations.iter().find(fits);
        found.unwrap_or_else(|| panic!("{method} {path} is not described")).path.clone()
    }

    /// Asks again for as long as the answer is that this is too much at once: that is no refusal.
    async fn patiently(
        &self,
        method: &str,
        path: &str,
        shown: &Shown,
        body: Option<Value>,
    ) -> Reply {
        loop {
            let token = match shown {
                Shown::Login => Token::Login,
                Shown::Grant(grant) => Token::Grant(grant),
            };
            let reply = self.terminal.send(method, path, token, body.clone()).await;
            if reply.status.as_u16() != 429 {
                return reply;
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }
}

/// Texts that may be capabilities, with what stands behind the last `/` and `=` of a path.
fn collect(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() >= MIN_LEN && is_header(text) => {
            texts.insert(text.clone());
            let tail = text.rsplit(['/', '=']).next().unwrap_or_default();
            if tail.len() >= MIN_LEN {
                texts.insert(tail.to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => {
            members.iter().filter(|(name, _)| *name != "rows").for_each(|(_, v)| collect(v, texts));
        }
        _ => {}
    }
}

/// Whether a text can be sent in a header.
fn is_header(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a text can stand in a path as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
}
