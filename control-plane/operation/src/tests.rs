use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tower::ServiceExt;
use utoipa::ToSchema;

use crate::openapi::Contract;
use crate::{
    Created, Credential, Draft, NO_PURPOSE, Part, Refusals, Refused, RefusedAs, Rule, Table,
    refused,
};

#[derive(Clone)]
struct Place;

struct Login;

impl<S: Sync> axum::extract::FromRequestParts<S> for Login {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(
        _: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

impl Part for Login {
    fn describe(draft: &mut Draft) {
        draft.shows(Credential::Login);
        draft.refuses(&[refused(401, "login-required", "sign in")]);
    }
}

struct Error;

impl Refusals for Error {
    fn refusals() -> Vec<Refused> {
        vec![refused(409, "taken", "somebody has it")]
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = StatusCode::CONFLICT.into_response();
        response.extensions_mut().insert(RefusedAs("taken"));
        response
    }
}

#[derive(Serialize, ToSchema)]
struct Thing {
    name: String,
}

async fn make(
    _: State<Place>,
    _: Login,
    Path(name): Path<String>,
) -> Result<Created<Thing>, Error> {
    if name == "taken" { Err(Error) } else { Ok(Created(Thing { name })) }
}

async fn show() -> Json<Thing> {
    Json(Thing { name: "it".into() })
}

fn table() -> Table<Place> {
    let mut table = Table::default();
    table.post("/v1/things/{name}", Rule::Login, ("account", "Make a thing"), make).may::<Error>();
    table.get("/v1/things", Rule::Public, (NO_PURPOSE, "Show a thing"), show);
    table
}

async fn ask(table: Table<Place>, method: &str, path: &str) -> StatusCode {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    table.router().with_state(Place).oneshot(request).await.unwrap().status()
}

#[test]
fn the_description_is_what_the_handlers_types_say() {
    let document = Contract::default().with(&table()).document("Things", "1", "Of things");
    let make = &document["paths"]["/v1/things/{name}"]["post"];
    assert_eq!(make["x-rule"], "login");
    assert_eq!(make["x-purpose"], "account");
    assert_eq!(make["tags"][0], "things");
    assert_eq!(make["parameters"][0]["name"], "name");
    assert_eq!(make["security"][0], serde_json::json!({ "login": [], "proof": [] }));
    let made = &make["responses"]["201"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(made, "#/components/schemas/Thing");
    for (status, name) in [("401", "login-required"), ("409", "taken")] {
        let reference = make["responses"][status]["$ref"].as_str().unwrap();
        assert_eq!(reference, format!("#/components/responses/{name}"));
        let response = &document["components"]["responses"][name];
        let schema = &response["content"]["application/problem+json"]["schema"];
        let kind = &schema["allOf"][1]["properties"]["type"]["enum"][0];
        assert_eq!(*kind, format!("/problems/{name}"));
    }
    assert_eq!(document["components"]["schemas"]["Thing"]["required"][0], "name");
    assert_eq!(document["x-problems"]["taken"]["status"], 409);
    let show = &document["paths"]["/v1/things"]["get"];
    assert!(show["responses"]["200"].is_object() && show["security"] == serde_json::json!([]));
}

#[tokio::test]
async fn answers_that_are_declared_pass_the_check() {
    assert_eq!(ask(table().checked(), "POST", "/v1/things/a").await, StatusCode::CREATED);
    assert_eq!(ask(table().checked(), "POST", "/v1/things/taken").await, StatusCode::CONFLICT);
    assert_eq!(ask(table().checked(), "GET", "/v1/things").await, StatusCode::OK);
    assert_eq!(ask(table().checked(), "PUT", "/v1/things").await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
#[should_panic(expected = "post /v1/things/{name} answered 409 taken")]
async fn an_answer_that_is_not_declared_fails_the_check() {
    let mut table = Table::default();
    table.post("/v1/things/{name}", Rule::Login, ("account", "Make a thing"), make);
    ask(table.checked(), "POST", "/v1/things/taken").await;
}

#[test]
fn a_rule_that_the_handler_does_not_ask_for_is_noticed() {
    let mut table = Table::default();
    table.post("/a/{name}", Rule::Public, (NO_PURPOSE, "Make"), make);
    table.get("/a", Rule::Login, (NO_PURPOSE, "Show"), show);
    table.post("/b/{name}", Rule::Owner, (NO_PURPOSE, "Make"), make);
    let fits: Vec<bool> = table.operations().map(super::Operation::rule_fits_handler).collect();
    assert_eq!(fits, [false, false, true]);
}

#[test]
#[should_panic(expected = "two types are called Thing")]
fn two_types_under_one_name_are_noticed() {
    mod other {
        #[derive(serde::Serialize, utoipa::ToSchema)]
        pub(super) struct Thing {
            size: u64,
        }
        pub(super) async fn show() -> axum::Json<Thing> {
            axum::Json(Thing { size: 1 })
        }
    }
    let mut table = table();
    table.get("/v1/others", Rule::Public, (NO_PURPOSE, "Show"), other::show);
    let _ = table.schemas();
}
