//! `GET /v1/me/oplog`, `GET /v1/me/oplog/export`

use std::fmt::Write;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sightline_operation::{Rule, Table, refused};
use utoipa::ToSchema;

use super::problem::Problem;
use super::proof::LoggedIn;
use super::query::{Asked, cursor, number};
use crate::ControlPlane;
use crate::limits::{MAX_NAME_CHARS, PAGE};
use crate::oplog::{Entry, Wanted};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    let about = ("account", "What was done on the account in the last 180 days, newest first");
    table.get("/v1/me/oplog", Rule::OwnLogin, about, list);
    let about = ("account", "The same as a file: the newest 10 000 lines");
    table
        .get("/v1/me/oplog/export", Rule::OwnLogin, about, export)
        .answers(200, Some("application/jsonl"))
        .answers(200, Some("text/csv"))
        .refuses(&[refused(503, "unavailable", "The service cannot do this now; try again")]);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OplogAsked {
    /// From this time on, Unix seconds.
    since: Option<u64>,
    /// Before this time, Unix seconds.
    until: Option<u64>,
    /// An action such as device.bound, or the part before its dot.
    action: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExportFormat {
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values with a head line (RFC 4180).
    Csv,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportAsked {
    #[schema(inline)]
    format: ExportFormat,
    /// From this time on, Unix seconds.
    since: Option<u64>,
    /// Before this time, Unix seconds.
    until: Option<u64>,
    /// An action such as device.bound, or the part before its dot.
    action: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OperationJson {
    /// Unix seconds.
    at: u64,
    action: String,
    /// What it was done to.
    object: String,
    /// self, other, device, operator or server; missing where it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// Terminal that acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal: Option<String>,
    /// Network that it was in.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    /// done or refused.
    result: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OperationPage {
    items: Vec<OperationJson>,
    /// Cursor of the next page; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<Entry> for OperationJson {
    fn from(entry: Entry) -> Self {
        let line = entry.line;
        Self {
            at: line.at,
            action: line.action,
            object: line.object,
            actor: line.actor,
            terminal: line.terminal,
            network: entry.network,
            result: line.result,
        }
    }
}

/// A page of the log.
pub(super) async fn list(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Asked(asked): Asked<OplogAsked>,
) -> Result<Json<OperationPage>, Problem> {
    let before = asked.cursor.as_deref().map(number).transpose()?;
    let wanted =
        Wanted { since: asked.since, until: asked.until, action: action(asked.action)?, before };
    let entries = control_plane.operations(&session, &wanted).await?;
    let full = entries.len() as u64 == PAGE;
    let next = entries.last().filter(|_| full).map(|entry| cursor(entry.line.id));
    Ok(Json(OperationPage { items: entries.into_iter().map(Into::into).collect(), next }))
}

/// The log as a file.
pub(super) async fn export(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Asked(asked): Asked<ExportAsked>,
) -> Result<Response, Problem> {
    let action = action(asked.action)?;
    let wanted = Wanted { since: asked.since, until: asked.until, action, before: None };
    let entries = control_plane.export_operations(&session, &wanted).await?;
    let lines: Vec<OperationJson> = entries.into_iter().map(Into::into).collect();
    let (kind, name, text) = match asked.format {
        ExportFormat::Jsonl => ("application/jsonl", "operations.jsonl", jsonl(&lines)),
        ExportFormat::Csv => ("text/csv; charset=utf-8", "operations.csv", csv(&lines)),
    };
    let named = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, named.expect("the names are plain")),
    ];
    Ok((headers, text).into_response())
}

fn action(text: Option<String>) -> Result<Option<String>, Problem> {
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'.' || b == b'_';
    match text {
        Some(text) if text.len() > MAX_NAME_CHARS || !text.bytes().all(plain) => {
            let detail = "an action has lower-case letters, dots and underscores";
            Err(Problem::new(StatusCode::BAD_REQUEST, "query-invalid", detail))
        }
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

fn jsonl(lines: &[OperationJson]) -> String {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line).expect("plain data serialises");
        text.push('\n');
    }
    text
}

fn csv(lines: &[OperationJson]) -> String {
    let mut text = String::from("at,action,object,actor,terminal,network,result\r\n");
    for line in lines {
        let optional = |value: &Option<String>| cell(value.as_deref().unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{},{},{},{},{},{},{}\r\n",
            line.at,
            cell(&line.action),
            cell(&line.object),
            optional(&line.actor),
            optional(&line.terminal),
            optional(&line.network),
            cell(&line.result)
        );
    }
    text
}

/// A cell in quotes. A table program would take one that begins like a formula for one.
fn cell(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", value.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_program_runs_nothing_out_of_an_export() {
        let line = OperationJson {
            at: 7,
            action: "device.bound".into(),
            object: "-2+3\"x".into(),
            actor: Some("self".into()),
            terminal: None,
            network: Some("192.0.2.0/24".into()),
            result: "done".into(),
        };
        let text = csv(&[line]);
        let row = text.lines().nth(1).unwrap();
        let expected = r#"7,"device.bound","'-2+3""x","self","","192.0.2.0/24","done""#;
        assert_eq!(row, expected);
    }

    #[test]
    fn filters_are_bounded() {
        assert_eq!(action(Some("device.bound".into())).unwrap().as_deref(), Some("device.bound"));
        assert_eq!(action(Some(String::new())).unwrap(), None);
        for bad in ["x".repeat(MAX_NAME_CHARS + 1), "a%".into(), "A".into()] {
            assert!(action(Some(bad)).is_err());
        }
    }
}
