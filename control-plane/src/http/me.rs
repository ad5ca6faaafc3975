//! `GET /v1/me`, `GET /v1/me/terminals`, `DELETE /v1/me/terminals/{id}`

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use sightline_operation::{NoContent, Rule, Table, refused};
use utoipa::ToSchema;

use super::identifiers::IdentifierJson;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::proof::LoggedIn;
use crate::ControlPlane;
use crate::ids::{AccountId, TerminalId};
use crate::terminal::{Permissions, TerminalFacts};

pub(super) fn operations(table: &mut Table<ControlPlane>) {
    table.get("/v1/me", Rule::Login, ("account", "The account"), show);
    let about = ("account", "Terminals on which the account is signed in");
    table.get("/v1/me/terminals", Rule::OwnLogin, about, terminals);
    let about = ("account", "Sign another terminal out; its streams end");
    table
        .delete("/v1/me/terminals/{id}", Rule::OwnLogin, about, sign_out_terminal)
        .refuses(&[refused(404, "not-found", "No such thing on this account")]);
}

#[derive(Serialize, ToSchema)]
pub(super) struct MeJson {
    id: AccountId,
    /// First and last digits of the number, if there is one.
    phone_masked: Option<String>,
    /// Numbers and addresses that were proved.
    identifiers: Vec<IdentifierJson>,
    /// Whether a number or address was proved, which everything but looking around needs.
    full: bool,
    /// Whether a password signs in.
    has_password: bool,
    /// Unix seconds.
    created_at: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TerminalJson {
    id: TerminalId,
    name: String,
    client_type: String,
    /// Unix seconds.
    first_seen: u64,
    /// Unix seconds.
    last_seen: u64,
    /// Whether it is the one that asks.
    current: bool,
    /// Network that it was in last.
    network: Option<String>,
    /// What it said about itself.
    facts: Option<TerminalFacts>,
    /// What its system lets the client do.
    permissions: Option<Permissions>,
    /// When it said so, Unix seconds.
    permissions_at: Option<u64>,
}

/// The account.
pub(super) async fn show(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
) -> Result<Json<MeJson>, Problem> {
    let me = control_plane.me(&session).await?.ok_or_else(Problem::login_required)?;
    Ok(Json(MeJson {
        identifiers: me.addresses.iter().map(IdentifierJson::from).collect(),
        full: me.is_full(),
        has_password: me.has_password,
        id: me.id,
        phone_masked: me.phone_masked,
        created_at: me.created_at,
    }))
}

/// Terminals on which the account is signed in.
pub(super) async fn terminals(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    paging: Paging,
) -> Result<Json<Page<TerminalJson>>, Problem> {
    let terminals = control_plane.my_terminals(&session).await?;
    let shown = terminals.into_iter().map(|terminal| {
        // Newest first; ids make the order whole.
        let key = format!("{:020} {}", u64::MAX - terminal.last_seen, terminal.id);
        let shown = TerminalJson {
            id: terminal.id,
            name: terminal.name,
            client_type: terminal.client_type,
            first_seen: terminal.first_seen,
            last_seen: terminal.last_seen,
            current: terminal.current,
            network: terminal.network,
            facts: terminal.facts,
            permissions_at: terminal.permissions.as_ref().map(|(_, at)| *at),
            permissions: terminal.permissions.map(|(permissions, _)| permissions),
        };
        (key, shown)
    });
    Ok(Json(Page::of(shown, &paging)))
}

/// Signs another terminal out.
pub(super) async fn sign_out_terminal(
    State(control_plane): State<ControlPlane>,
    LoggedIn(session): LoggedIn,
    Path(id): Path<TerminalId>,
) -> Result<NoContent, Problem> {
    if control_plane.sign_out_terminal(&session, &id).await? {
        return Ok(NoContent);
    }
    Err(Problem::not_found("no such terminal on this account"))
}
