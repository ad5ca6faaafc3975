//! What a terminal says about itself, and what its system lets the client do.
//!
//! Installed packages, running programs, the SIM card and hardware ids have no field here: a service
//! needs none of them (GB/T 35273, minimal necessity), so a request that brings one is refused.
//! Permissions are shown to their owner; no decision of the server reads them.

use serde::{Deserialize, Serialize};
use sightline_grant::Redacted;
use utoipa::ToSchema;

use crate::ControlPlane;
use crate::acting::{self, NETWORK};
use crate::error::Inner;
use crate::ids::TerminalId;
use crate::limits::{MAX_NAME_CHARS, TERMINAL_FACTS_SECS, TERMINAL_PUTS};
use crate::storage::model::{Account, Charge, FactsPut, RetryAfter, Session, TerminalDetail};
use crate::vault::{DoesNotOpen, SubjectKey};

/// Column of the facts.
const FACTS: &str = "terminal_detail.facts";
/// Column of the permissions.
const PERMISSIONS: &str = "terminal_detail.permissions";

/// Facts about a terminal, kept under `terminal.security` and for their time only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TerminalFacts {
    /// Version of the client.
    pub client_version: Option<String>,
    /// Model of the terminal.
    pub model: Option<String>,
    /// System and its version.
    pub os: Option<String>,
    /// Language of the system.
    pub os_language: Option<String>,
    /// Kind of network.
    pub access_mode: Option<String>,
    /// Network operator.
    pub operator: Option<String>,
}

/// State of one permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Allowed.
    Granted,
    /// Refused.
    Denied,
    /// Not asked for yet.
    NotAsked,
}

/// What the system lets the client do. What is not said is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Camera.
    pub camera: Option<Permission>,
    /// Location.
    pub location: Option<Permission>,
    /// Microphone.
    pub microphone: Option<Permission>,
    /// Local network.
    pub network: Option<Permission>,
    /// Photo library.
    pub photos: Option<Permission>,
    /// Bluetooth.
    pub bluetooth: Option<Permission>,
    /// Storage.
    pub storage: Option<Permission>,
    /// Notifications.
    pub notifications: Option<Permission>,
    /// Address book.
    pub contacts: Option<Permission>,
}

/// Why nothing is stored about a terminal.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// A fact is empty or longer than [`MAX_NAME_CHARS`].
    #[error("a fact about a terminal has 1 to 64 characters")]
    BadFact,
    /// Not consented to.
    #[error("agree first to facts about your terminals being kept")]
    ConsentRequired,
    /// No such terminal is signed in to the account.
    #[error("no such terminal on this account")]
    Unknown,
    /// Too many.
    #[error("too many changes; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Stores what a terminal of the account says about itself, for [`TERMINAL_FACTS_SECS`].
    ///
    /// # Errors
    /// See [`TerminalError`].
    pub async fn describe_terminal(
        &self,
        session: &Session,
        terminal: &TerminalId,
        facts: &TerminalFacts,
    ) -> Result<(), TerminalError> {
        if !facts.fit() {
            return Err(TerminalError::BadFact);
        }
        let facts_enc = self.sealed_detail(session, FACTS, facts).await?;
        let (account, now) = (&session.account, self.now());
        let expires = now + TERMINAL_FACTS_SECS;
        let put = self.store().terminal_facts_put(account, terminal, &facts_enc, expires, now);
        match put.await.map_err(Inner::from)? {
            FactsPut::Stored => Ok(()),
            FactsPut::NoConsent => Err(TerminalError::ConsentRequired),
            FactsPut::NoTerminal => Err(TerminalError::Unknown),
        }
    }

    /// Stores what the system of a terminal of the account lets its client do.
    ///
    /// # Errors
    /// See [`TerminalError`].
    pub async fn report_permissions(
        &self,
        session: &Session,
        terminal: &TerminalId,
        permissions: &Permissions,
    ) -> Result<(), TerminalError> {
        let sealed = self.sealed_detail(session, PERMISSIONS, permissions).await?;
        let (account, now) = (&session.account, self.now());
        let put = self.store().terminal_permissions_put(account, terminal, &sealed, now).await;
        if put.map_err(Inner::from)? { Ok(()) } else { Err(TerminalError::Unknown) }
    }

    /// Keeps the network that the terminal of a login is in.
    pub(crate) async fn terminal_seen(&self, access: &Redacted<String>) -> Result<(), Inner> {
        let Some(session) = self.session(access).await? else { return Ok(()) };
        let Some(account) = self.store().account(&session.account).await? else { return Ok(()) };
        let key = self.vault().subject_key(account.id.as_str(), &account.wrapped_key)?;
        match acting::sealed_network(&key, &account.id, self.random()) {
            Some(network) => Ok(self.store().terminal_seen(&session.terminal, &network).await?),
            None => Ok(()),
        }
    }

    async fn sealed_detail(
        &self,
        session: &Session,
        column: &str,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, TerminalError> {
        let charge = Charge {
            dimension: "terminal-put",
            key: self.vault().lookup("account", session.account.as_str()),
            windows: TERMINAL_PUTS.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(TerminalError::Limited)?;
        let account = self.store().account(&session.account).await.map_err(Inner::from)?;
        let account = account.ok_or(TerminalError::Unknown)?;
        let id = account.id.as_str();
        let key = self.vault().subject_key(id, &account.wrapped_key).map_err(Inner::from)?;
        let plain = serde_json::to_string(value).expect("plain data serialises");
        Ok(key.seal(column, id, &plain, self.random()))
    }
}

/// Details in clear.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) network: Option<String>,
    pub(crate) facts: Option<TerminalFacts>,
    pub(crate) permissions: Option<(Permissions, u64)>,
}

/// Opens the details of a terminal.
pub(crate) fn shown(
    detail: Option<&TerminalDetail>,
    account: &Account,
    key: &SubjectKey,
) -> Result<Shown, DoesNotOpen> {
    let Some(detail) = detail else { return Ok(Shown::default()) };
    let open = |column, sealed: &Option<Vec<u8>>| {
        let sealed = sealed.as_ref();
        sealed.map(|sealed| key.open(column, account.id.as_str(), sealed)).transpose()
    };
    let facts = open(FACTS, &detail.facts_enc)?;
    let permissions = open(PERMISSIONS, &detail.permissions_enc)?;
    Ok(Shown {
        network: open(NETWORK, &detail.network_enc)?,
        facts: facts.and_then(|text| serde_json::from_str(&text).ok()),
        permissions: permissions
            .and_then(|text| serde_json::from_str(&text).ok())
            .zip(detail.permissions_at),
    })
}

impl TerminalFacts {
    fn fit(&self) -> bool {
        let all = [
            &self.client_version,
            &self.model,
            &self.os,
            &self.os_language,
            &self.access_mode,
            &self.operator,
        ];
        let fits = |text: &String| (1..=MAX_NAME_CHARS).contains(&text.chars().count());
        all.into_iter().flatten().all(fits)
    }
}
