//! The description of the API (OpenAPI 3.1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::answer::Success;
use crate::refused::Refused;
use crate::schemas::Schemas;
use crate::table::{Operation, Parameter, Table};

/// Media type of problems (RFC 9457).
const PROBLEM_JSON: &str = "application/problem+json";
/// Statuses on which a client is told how long to wait.
const WAITING: [u16; 2] = [429, 503];

/// Shared responses by name: the problems that they stand for.
type Responses = BTreeMap<String, Value>;

/// Operations with their schemas, out of any number of tables.
#[derive(Clone, Debug, Default)]
pub struct Contract {
    operations: Vec<Operation>,
    schemas: Schemas,
    everywhere: Vec<Refused>,
}

impl Contract {
    /// With the operations of one more table.
    ///
    /// # Panics
    /// When two types have one name, or two operations one method and path.
    #[must_use]
    pub fn with<S: Clone + Send + Sync + 'static>(mut self, table: &Table<S>) -> Self {
        for operation in table.operations().filter(|operation| operation.listed) {
            let twin = |other: &Operation| {
                (other.method, other.path) == (operation.method, operation.path)
            };
            let name = (operation.method, operation.path);
            assert!(!self.operations.iter().any(twin), "{name:?} is declared twice");
            self.operations.push(operation.clone());
        }
        self.schemas.join(&table.schemas());
        self
    }

    /// With what any operation may be refused with.
    #[must_use]
    pub fn everywhere(mut self, refusals: &[Refused]) -> Self {
        self.everywhere.extend_from_slice(refusals);
        self
    }

    /// The operations.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The OpenAPI document.
    ///
    /// # Panics
    /// When a problem has two statuses.
    #[must_use]
    pub fn document(&self, title: &str, version: &str, about: &str) -> Value {
        let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        // Refusals that operations share are written down once.
        let mut refusals = BTreeMap::new();
        for operation in &self.operations {
            let path = paths.entry(operation.path).or_default();
            path.insert(operation.method.to_owned(), self.described(operation, &mut refusals));
        }
        let mut schemas = self.schemas.0.clone();
        schemas.insert("Problem".to_owned(), problem_schema());
        json!({
            "openapi": "3.1.0",
            "info": { "title": title, "version": version, "description": about },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": refusals,
                "securitySchemes": security_schemes(),
            },
            "x-problems": self.problems(),
        })
    }

    /// Every problem type: its status, and when it happens.
    fn problems(&self) -> BTreeMap<&'static str, Value> {
        let own = self.operations.iter().flat_map(|operation| &operation.refusals);
        let mut known: BTreeMap<&str, &Refused> = BTreeMap::new();
        for refused in own.chain(&self.everywhere) {
            let first = known.entry(refused.name).or_insert(refused);
            assert!(first.status == refused.status, "{} has two statuses", refused.name);
        }
        let entry = |(name, refused): (&'static str, &Refused)| {
            (name, json!({ "status": refused.status, "means": refused.means }))
        };
        known.into_iter().map(entry).collect()
    }

    fn described(&self, operation: &Operation, refusals: &mut Responses) -> Value {
        let mut described = json!({
            "operationId": id(operation),
            "tags": [group(operation.path)],
            "summary": operation.summary,
            "security": security(operation),
            "responses": self.responses(operation, refusals),
            "x-rule": operation.rule.name(),
            "x-purpose": operation.purpose,
        });
        if !operation.parameters.is_empty() {
            described["parameters"] = operation.parameters.iter().map(parameter).collect();
        }
        if let Some(taken) = &operation.taken {
            described["requestBody"] = json!({
                "required": true,
                "content": { taken.kind: { "schema": taken.schema } },
            });
        }
        described
    }

    fn responses(&self, operation: &Operation, refusals: &mut Responses) -> Map<String, Value> {
        let mut responses = Map::new();
        for success in &operation.successes {
            let response = responses.entry(success.status.to_string());
            answered(success, response.or_insert_with(|| json!({})));
        }
        let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
        for refused in operation.refusals.iter().chain(&self.everywhere) {
            by_status.entry(refused.status).or_default().insert(refused.name);
        }
        for (status, names) in by_status {
            if let Some((kind, schema)) = &operation.errors {
                let mut response = refusal(status, &names);
                response["content"][*kind] = json!({ "schema": schema });
                responses.insert(status.to_string(), response);
                continue;
            }
            let name = names.iter().copied().collect::<Vec<_>>().join(".");
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            refusals.entry(name).or_insert_with(|| refusal(status, &names));
            responses.insert(status.to_string(), reference);
        }
        responses
    }
}

fn id(operation: &Operation) -> String {
    let path = operation.path.trim_start_matches("/v1").replace(['{', '}'], "");
    format!("{}{}", operation.method, path.replace(['/', '-', '.', ':'], "_"))
}

/// The first part of a path below the version.
fn group(path: &str) -> &str {
    let below = path.strip_prefix("/v1/").unwrap_or(path).trim_start_matches('/');
    below.split('/').next().unwrap_or(below)
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "schema": parameter.schema,
    })
}

fn security(operation: &Operation) -> Value {
    let set = |schemes: &&[&str]| -> Map<String, Value> {
        schemes.iter().map(|scheme| ((*scheme).to_owned(), json!([]))).collect()
    };
    operation.rule.security().iter().map(set).collect::<Vec<_>>().into()
}

/// Adds a success to the response of its status, which may have several media types.
fn answered(success: &Success, response: &mut Value) {
    response["description"] = describe(success.status).into();
    if let Some((kind, schema)) = &success.content {
        response["content"][*kind] = json!({ "schema": schema });
    }
}

fn describe(status: u16) -> &'static str {
    match status {
        101 => "The connection is a WebSocket from here on",
        201 => "Made",
        202 => "Taken; the outcome comes by another way",
        204 => "Done",
        _ => "The answer",
    }
}

fn refusal(status: u16, names: &BTreeSet<&str>) -> Value {
    let types: Vec<String> = names.iter().map(|name| format!("/problems/{name}")).collect();
    let mut response = json!({
        "description": names.iter().copied().collect::<Vec<_>>().join(", "),
        "content": { PROBLEM_JSON: { "schema": { "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "type": "object", "properties": { "type": { "enum": types } } },
        ] } } },
    });
    if WAITING.contains(&status) {
        response["headers"] = json!({ "Retry-After": {
            "description": "Seconds to wait",
            "schema": { "type": "integer", "minimum": 0 },
        } });
    }
    response
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "A problem (RFC 9457)",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "description": "Stable; tells clients what happened" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What to do about it" },
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "proof": {
            "type": "apiKey", "in": "header", "name": "DPoP",
            "description": "Proof of possession of a key for this one request (RFC 9449)",
        },
        "login": {
            "type": "http", "scheme": "DPoP",
            "description": "Access token of a login, bound to the key of the proof",
        },
        "grant": {
            "type": "http", "scheme": "Bearer",
            "description": "Media grant of POST /v1/media-grants, once",
        },
        "client": {
            "type": "http", "scheme": "basic",
            "description": "Client id and secret of an app; they may stand in the form, too",
        },
        "app": {
            "type": "http", "scheme": "Bearer",
            "description": "Access token of a login that an app has",
        },
        "publisher": {
            "type": "http", "scheme": "Bearer",
            "description": "Publish password of a device",
        },
    })
}
