//! The operations of the HTTP API, each with who may ask for it.
//!
//! A [`Table`] is the only way to a router: what it takes names the [`Rule`], the purpose and the
//! handler at once, and the handler's own types say what the operation takes and answers
//! ([`Part`], [`Answer`]). So the description cannot differ from the code, and [`openapi::document`]
//! writes it down as OpenAPI 3.1.

mod answer;
mod part;
mod refused;
mod rule;
mod schemas;
mod table;

pub mod openapi;
pub mod strict_json;

pub use answer::{Accepted, Answer, Created, NoContent, Success};
pub use part::{Credential, Described, Draft, FORM, Part};
pub use refused::{Refusals, Refused, RefusedAs, refused};
pub use rule::Rule;
pub use schemas::Schemas;
pub use table::{
    Declared, IDEMPOTENCY_KEY, NO_PURPOSE, Operation, Parameter, QUERY_UNKNOWN, Saying, Table,
    Taken,
};

#[cfg(test)]
mod tests;
