//! Rows about a person: profile, picture, terminals, log, attestations, versions of clients.

use crate::ids::{AccountId, Subject, TerminalId};

/// What a person added to the account; ciphertext under the subject's key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileRow {
    /// Name to be called by.
    pub nickname_enc: Option<Vec<u8>>,
    /// Region.
    pub region_enc: Option<Vec<u8>>,
    /// What the cameras are used for.
    pub scenario_enc: Option<Vec<u8>>,
}

/// A change of a profile: what is `None` stays as it is, what is `Some(None)` goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileEdit {
    /// Name to be called by.
    pub nickname_enc: Option<Option<Vec<u8>>>,
    /// Region.
    pub region_enc: Option<Option<Vec<u8>>>,
    /// What the cameras are used for.
    pub scenario_enc: Option<Option<Vec<u8>>>,
}

/// How storing facts of a terminal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactsPut {
    /// Stored.
    Stored,
    /// Nobody consents to it.
    NoConsent,
    /// No such terminal is signed in.
    NoTerminal,
}

/// What is known of a terminal besides key and name; ciphertext under the subject's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalDetail {
    /// Terminal.
    pub terminal: TerminalId,
    /// Network that it was in last.
    pub network_enc: Option<Vec<u8>>,
    /// What it said about itself.
    pub facts_enc: Option<Vec<u8>>,
    /// When that goes, Unix seconds.
    pub facts_expire: Option<u64>,
    /// What its system lets the client do.
    pub permissions_enc: Option<Vec<u8>>,
    /// When it said so, Unix seconds.
    pub permissions_at: Option<u64>,
}

/// Which lines of an account's log are asked for.
#[derive(Clone, Debug)]
pub struct OplogFilter {
    /// Account.
    pub account: AccountId,
    /// From this time on, Unix seconds.
    pub since: u64,
    /// Before this time, Unix seconds.
    pub until: u64,
    /// An action, or the part before its dot; `None`: all.
    pub action: Option<String>,
    /// Lines older than this one; `None`: from the newest.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u64,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OplogLine {
    /// Position.
    pub id: u64,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// Unix seconds.
    pub at: u64,
    /// `self`, `other`, `device`, `operator` or `server`; `None` where it was not recorded.
    pub actor: Option<String>,
    /// Terminal that acted.
    pub terminal: Option<String>,
    /// Network that it was in, under the subject's key.
    pub network_enc: Option<Vec<u8>>,
    /// `done` or `refused`.
    pub result: String,
}

/// An attestation to keep.
#[derive(Clone, Debug)]
pub struct NewAttestation {
    /// Account.
    pub account: AccountId,
    /// Pseudonym.
    pub subject: Subject,
    /// `others` or `guardian`.
    pub kind: &'static str,
    /// What it is about.
    pub object: String,
    /// Version of the text.
    pub version: u32,
    /// Hash of the text.
    pub text_sha256: [u8; 32],
    /// Terminal.
    pub terminal: TerminalId,
}

/// A kept attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Position.
    pub seq: u64,
    /// `others` or `guardian`.
    pub kind: String,
    /// What it is about.
    pub object: String,
    /// Version of the text.
    pub version: u32,
    /// Hash of the text.
    pub text_sha256: Vec<u8>,
    /// Terminal.
    pub terminal: String,
    /// Unix seconds.
    pub at: u64,
}

/// Versions of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppVersionRow {
    /// Client.
    pub client: String,
    /// Newest version.
    pub newest: String,
    /// Oldest version that may still be used.
    pub minimum: String,
    /// What is new, English.
    pub notes_en: String,
    /// What is new, Chinese.
    pub notes_zh: String,
    /// Unix seconds.
    pub changed_at: u64,
}
