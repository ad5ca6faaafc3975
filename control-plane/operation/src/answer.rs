//! What handlers answer, with the status in the type.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::schemas::Schemas;

/// 201 with a body.
#[derive(Clone, Copy, Debug)]
pub struct Created<T>(pub T);

/// 202 with a body.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<T>(pub T);

/// 204.
#[derive(Clone, Copy, Debug)]
pub struct NoContent;

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// An answer of success.
#[derive(Clone, PartialEq, Debug)]
pub struct Success {
    /// HTTP status.
    pub status: u16,
    /// Media type and schema of the body.
    pub content: Option<(&'static str, Value)>,
}

/// What a handler returns. A type that cannot say what it answers (such as `Response`) says
/// nothing; its operation then says it with [`crate::Operation::answers`].
pub trait Answer {
    /// The successes.
    fn successes(schemas: &mut Schemas) -> Vec<Success>;
}

fn json<T: ToSchema>(status: u16, schemas: &mut Schemas) -> Vec<Success> {
    vec![Success { status, content: Some(("application/json", schemas.add::<T>())) }]
}

impl<T: Answer, E> Answer for Result<T, E> {
    fn successes(schemas: &mut Schemas) -> Vec<Success> {
        T::successes(schemas)
    }
}

impl<T: ToSchema> Answer for Json<T> {
    fn successes(schemas: &mut Schemas) -> Vec<Success> {
        json::<T>(200, schemas)
    }
}

impl<T: ToSchema> Answer for Created<T> {
    fn successes(schemas: &mut Schemas) -> Vec<Success> {
        json::<T>(201, schemas)
    }
}

impl<T: ToSchema> Answer for Accepted<T> {
    fn successes(schemas: &mut Schemas) -> Vec<Success> {
        json::<T>(202, schemas)
    }
}

impl Answer for NoContent {
    fn successes(_: &mut Schemas) -> Vec<Success> {
        vec![Success { status: 204, content: None }]
    }
}

impl Answer for &'static str {
    fn successes(_: &mut Schemas) -> Vec<Success> {
        let text = serde_json::json!({ "type": "string" });
        vec![Success { status: 200, content: Some(("text/plain", text)) }]
    }
}

impl Answer for Response {
    fn successes(_: &mut Schemas) -> Vec<Success> {
        Vec::new()
    }
}
