//! Lists: every one comes in pages, with a cursor for the next.

use std::borrow::Cow;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use sightline_operation::{Draft, Part, Refused, refused};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use super::problem::Problem;
use crate::limits::{CURSOR_CHARS, PAGE};

const BAD_QUERY: Refused = refused(400, "query-invalid", "limit is a number from 1 to 100");
const BAD_CURSOR: Refused = refused(
    400,
    "cursor-invalid",
    "The cursor is not one that this list gave; begin without a cursor",
);

/// The query of a list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PageAsked {
    /// Most entries of the answer, 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// `next` of the page before.
    #[schema(max_length = 256)]
    cursor: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Clone, Debug)]
pub struct Paging {
    limit: usize,
    after: Option<String>,
}

impl Paging {
    /// Most entries of the answer.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The key of the last entry of the page before.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The same, of a list whose keys are numbers.
    pub(super) fn after_number(&self) -> Result<Option<u64>, Problem> {
        let number = |key: &str| key.parse().map_err(|_| Problem::from(BAD_CURSOR));
        self.after().map(number).transpose()
    }
}

impl Part for Paging {
    fn describe(draft: &mut Draft) {
        draft.queries::<PageAsked>();
        draft.refuses(&[BAD_QUERY, BAD_CURSOR]);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let asked = Query::<PageAsked>::from_request_parts(parts, state).await;
        let Query(asked) = asked.map_err(|_| Problem::from(BAD_QUERY))?;
        let limit = asked.limit.unwrap_or(PAGE);
        if !(1..=PAGE).contains(&limit) {
            return Err(BAD_QUERY.into());
        }
        let after = asked.cursor.map(|cursor| opened(&cursor)).transpose()?;
        let limit = usize::try_from(limit).map_err(|_| Problem::from(BAD_QUERY))?;
        Ok(Self { limit, after })
    }
}

fn opened(cursor: &str) -> Result<String, Problem> {
    let bytes = Some(cursor).filter(|cursor| cursor.len() <= CURSOR_CHARS);
    let bytes = bytes.and_then(|cursor| B64.decode(cursor).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| BAD_CURSOR.into())
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// Entries.
    pub items: Vec<T>,
    /// Cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Of a whole list whose entries have keys, in the order of which they come out. An entry that
    /// comes or goes between two pages moves no other.
    pub fn of(all: impl IntoIterator<Item = (String, T)>, paging: &Paging) -> Self {
        let mut all: Vec<(String, T)> = all.into_iter().collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.retain(|(key, _)| paging.after().is_none_or(|after| key.as_str() > after));
        Self::cut(all, paging)
    }

    /// Of a part of the list that begins after the cursor, in its order. It has one entry more than
    /// asked for when there are more.
    pub fn cut(mut part: Vec<(String, T)>, paging: &Paging) -> Self {
        let more = part.len() > paging.limit;
        part.truncate(paging.limit);
        let next = part.last().filter(|_| more).map(|(key, _)| B64.encode(key));
        Self { items: part.into_iter().map(|(_, item)| item).collect(), next }
    }
}

/// A list that its own bound keeps shorter than a page.
impl<T> FromIterator<T> for Page<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self { items: items.into_iter().collect(), next: None }
    }
}

// By hand: a derived schema has one name for the pages of all types.
impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
        let next = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Cursor of the next page; missing on the last one"));
        let page = ObjectBuilder::new().property("items", items).required("items");
        page.property("next", next).into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// A text in the languages of the page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}
