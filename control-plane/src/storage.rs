//! What the control plane asks of its database. Each method is one transaction: it happens wholly
//! or not at all, together with the messages that it causes. The traits know no keys: whatever is
//! personal reaches them as ciphertext or as a keyed hash.

pub mod abnormal;
pub mod account;
pub mod carrier;
#[cfg(test)]
mod contract;
mod credential;
mod device_facts;
mod handover;
mod idempotency;
mod identity;
pub mod model;
mod passkey;
mod policy;
pub mod restore;
mod share;
pub mod sms;
pub mod sqlite;
pub mod sso;

use std::path::Path;

use async_trait::async_trait;
use sightline_grant::Thumbprint;

use crate::ids::{AccountId, ChallengeId, Serial, SessionId, TerminalId};
use crate::sealed::generation::Wrap;
pub use abnormal::AbnormalStore;
pub use carrier::CarrierStore;
pub use credential::CredentialStore;
pub use idempotency::IdempotencyStore;
pub use identity::IdentityStore;
use model::*;
pub use passkey::PasskeyStore;
pub use policy::ProductPolicyStore;
pub use share::ShareStore;
pub use sms::SmsStore;
pub use sso::SsoStore;

pub use device_facts::DeviceFactStore;
pub use handover::HandoverStore;

/// Why the store does not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed or does not answer.
    #[error("the database does not answer")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What the database holds contradicts itself.
    #[error("the data is inconsistent: {0}")]
    Inconsistent(&'static str),
}

/// Result of a store operation.
pub type Stored<T> = Result<T, StoreError>;

/// Accounts.
#[async_trait]
pub trait AccountStore {
    /// The active account with this keyed hash of an identifier.
    async fn account_by_lookup(&self, lookup: &[u8]) -> Stored<Option<Account>>;
    /// An active account.
    async fn account(&self, id: &AccountId) -> Stored<Option<Account>>;
    /// Every active account, oldest first.
    async fn accounts(&self) -> Stored<Vec<Account>>;
    /// Ends an account: sessions, bindings and consents end, personal rows and the subject key go.
    /// Returns what must be announced; `None` when there is no such account.
    async fn account_erase(&self, id: &AccountId, now: u64) -> Stored<Option<Erased>>;
}

/// One-time codes and rate limits.
#[async_trait]
pub trait OtpStore {
    /// Counts one event in each dimension, unless one of them is full: then nothing is counted.
    async fn charge(&self, charges: &[Charge], now: u64) -> Stored<Result<(), RetryAfter>>;
    /// Takes the events of a dimension and key since a moment back.
    async fn charge_back(&self, dimension: &'static str, key: &[u8], since: u64) -> Stored<()>;
    /// Charges, then takes up the live challenge of the same binding or opens a new one, and puts
    /// the message into the outbox. Returns the challenge in force.
    async fn otp_open(
        &self,
        challenge: &OtpChallenge,
        charges: &[Charge],
        now: u64,
    ) -> Stored<Result<ChallengeId, RetryAfter>>;
    /// Counts a try before anything is compared. `None` when the challenge is unknown, bound
    /// elsewhere, expired, used or out of tries: then nothing may be compared.
    async fn otp_count_try(
        &self,
        id: &ChallengeId,
        binding: &OtpBinding,
        now: u64,
    ) -> Stored<Option<OtpChallenge>>;
    /// A challenge that may still be sent.
    async fn otp_challenge(&self, id: &ChallengeId, now: u64) -> Stored<Option<OtpChallenge>>;
    /// Uses the challenge up and opens the viewing window of session and device. `false` when it
    /// was used before.
    async fn step_up_open(
        &self,
        challenge: &ChallengeId,
        window: &StepUp,
        now: u64,
    ) -> Stored<bool>;
}

/// Login sessions and terminals.
#[async_trait]
pub trait SessionStore {
    /// Uses the challenge up, registers the account if it is new, and opens the session.
    async fn session_open(&self, opening: &SessionOpening, now: u64) -> Stored<SessionOpened>;
    /// The session of a live access token.
    async fn session_by_access(&self, hash: &[u8], now: u64) -> Stored<Option<Session>>;
    /// Whether a refresh token, used or not, is of a live session of the terminal with this key.
    /// Sessions of apps are renewed elsewhere.
    async fn refresh_known(&self, hash: &[u8], jkt: Thumbprint, now: u64) -> Stored<bool>;
    /// Trades a refresh token for its successor; a second use outside the retry window ends the
    /// session.
    async fn refresh_rotate(&self, rotation: &Rotation, now: u64) -> Stored<Rotated>;
    /// Ends a session, and what apps have from it. Sessions that ended; none when it was over.
    async fn session_revoke(&self, session: &SessionId, now: u64) -> Stored<Vec<SessionId>>;
    /// Signs a terminal of the account out; the sessions that ended. `None`: no such terminal.
    async fn terminal_revoke(
        &self,
        account: &AccountId,
        terminal: &TerminalId,
        now: u64,
    ) -> Stored<Option<Vec<SessionId>>>;
    /// Terminals of an account that are signed in.
    async fn terminals(&self, account: &AccountId) -> Stored<Vec<Terminal>>;
}

/// Devices and their owners.
#[async_trait]
pub trait DeviceStore {
    /// Adds a device. `false` when the serial, the identity or the credential exists.
    async fn device_add(&self, device: &Device, now: u64) -> Stored<bool>;
    /// Removes a device; it is unbound first. The new epochs, or `None` when it does not exist.
    async fn device_remove(&self, serial: &Serial, now: u64) -> Stored<Option<DeviceEpochs>>;
    /// Replaces the publishing credential of an open device. Returns the new key epoch.
    async fn device_rotate(
        &self,
        serial: &Serial,
        credential: &Credential,
        now: u64,
    ) -> Stored<Option<u64>>;
    /// Every device with its binding, by serial.
    async fn devices(&self) -> Stored<Vec<DeviceState>>;
    /// Devices bound to an account, by serial.
    async fn devices_of(&self, account: &AccountId) -> Stored<Vec<DeviceState>>;
    /// One device.
    async fn device(&self, serial: &Serial) -> Stored<Option<DeviceState>>;
    /// The sealed device with this identity key.
    async fn device_by_identity(&self, identity: Thumbprint) -> Stored<Option<DeviceState>>;
    /// The open device with this hash of its publishing password.
    async fn device_by_token(&self, hash: &[u8]) -> Stored<Option<DeviceState>>;
    /// Binds a device that nobody owns.
    async fn bind(&self, serial: &Serial, account: &AccountId, now: u64) -> Stored<Bound>;
    /// Unbinds; the new epochs, or `None` when the account does not own it.
    async fn unbind(
        &self,
        serial: &Serial,
        account: &AccountId,
        now: u64,
    ) -> Stored<Option<DeviceEpochs>>;
}

/// Device keys and their proofs.
#[async_trait]
pub trait KeyStore {
    /// Stores the key verifier of a sealed device for its present binding.
    async fn verifier_put(
        &self,
        serial: &Serial,
        binding_epoch: u64,
        public: &[u8; 32],
        now: u64,
    ) -> Stored<VerifierPut>;
    /// Opens a challenge.
    async fn key_challenge_open(&self, challenge: &KeyChallenge) -> Stored<()>;
    /// Takes a live challenge of this session, once.
    async fn key_challenge_take(
        &self,
        id: &ChallengeId,
        session: &SessionId,
        now: u64,
    ) -> Stored<Option<KeyChallenge>>;
    /// Counts a try of a device key before anything is verified. Whoever comes to the lock is told so,
    /// and the device's owner, too.
    async fn key_count_try(
        &self,
        serial: &Serial,
        account: &AccountId,
        now: u64,
    ) -> Stored<Result<(), RetryAfter>>;
    /// Records a proof, if the epochs that it was made under still hold, and the viewer list that it
    /// stands on, and clears the counter. Each proof has a higher number than all before it.
    async fn key_proof_store(
        &self,
        account: &AccountId,
        proof: &KeyProof,
        now: u64,
    ) -> Stored<bool>;
    /// Forgets the proofs of terminals whose time on the viewer list is over.
    async fn key_proofs_end(&self, now: u64) -> Stored<Vec<EndedProof>>;
}

/// The mailbox of sealed video: what the server keeps and cannot open.
#[async_trait]
pub trait MailboxStore {
    /// Puts a viewer list in force, if the account owns the device under that binding and key, and
    /// the version is newer than the one in force.
    async fn viewer_list_put(
        &self,
        account: &AccountId,
        list: &NewList,
        now: u64,
    ) -> Stored<ListPut>;
    /// The viewer list of a binding, while that binding is the present one.
    async fn viewer_list(&self, serial: &Serial, binding_epoch: u64) -> Stored<Option<StoredList>>;
    /// Stores a generation of the present binding whose number is above every one that this serial
    /// ever had. Of a binding the newest [`crate::limits::GENERATIONS_KEPT`] stay.
    async fn generation_put(&self, new: &NewGeneration, now: u64) -> Stored<GenerationPut>;
    /// Generations of a binding, while that binding is the present one.
    async fn generations(&self, page: &GenerationPage) -> Stored<Vec<StoredGeneration>>;
    /// Adds a wrap to a generation of the account's device, or replaces one added before.
    async fn wrap_add(
        &self,
        account: &AccountId,
        serial: &Serial,
        number: u64,
        wrap: &Wrap,
        now: u64,
    ) -> Stored<WrapAdded>;
}

/// Whether sealed devices seal.
#[async_trait]
pub trait SealingStore {
    /// Puts an order in force, if the account owns the device under that binding and key, and the
    /// sequence is above the one in force; keeps the act, and tells who may watch if it changes the
    /// mode.
    async fn order_put(&self, account: &AccountId, order: &NewOrder, now: u64) -> Stored<OrderPut>;
    /// What was ordered under a binding, newest first, at most `limit`.
    async fn enc_history(
        &self,
        serial: &Serial,
        binding_epoch: u64,
        limit: u64,
    ) -> Stored<Vec<EncModeEvent>>;
}

/// Introductions between guests and owners.
#[async_trait]
pub trait IntroductionStore {
    /// Opens one, in place of one that the guest's account has under the same code. `false` when the
    /// account has `most` of them.
    async fn introduction_open(&self, new: &NewIntroduction, most: u64, now: u64) -> Stored<bool>;
    /// One that is not over its time.
    async fn introduction(&self, code: &[u8], now: u64) -> Stored<Option<Introduction>>;
    /// The owner speaks, and is the owner from then on. Not the guest's own terminal.
    async fn introduction_reply(
        &self,
        code: &[u8],
        owner: &Party,
        reply: &[u8],
        now: u64,
    ) -> Stored<IntroductionPut>;
    /// The guest shows its keys, once the owner has spoken.
    async fn introduction_reveal(
        &self,
        code: &[u8],
        guest: &Party,
        reveal: &[u8],
        now: u64,
    ) -> Stored<IntroductionPut>;
    /// Forgets what was said. By the owner it leaves the outcome behind; by the guest, nothing.
    async fn introduction_end(
        &self,
        code: &[u8],
        party: &Party,
        added: bool,
        now: u64,
    ) -> Stored<IntroductionPut>;
}

/// Consents.
#[async_trait]
pub trait ConsentStore {
    /// Appends an event to the chain and updates the state. A withdrawal raises the account's
    /// consent epoch.
    async fn consent_append(&self, act: &ConsentAct, now: u64) -> Stored<ConsentAppended>;
    /// State of every purpose the account ever decided on.
    async fn consents(&self, account: &AccountId) -> Stored<Vec<ConsentState>>;
    /// Events after `seq`, at most `limit`.
    async fn consent_events(&self, after: u64, limit: u64) -> Stored<Vec<ConsentEvent>>;
}

/// The gate's reads: always from the truth, never from a cache.
#[async_trait]
pub trait GateStore {
    /// All facts about a token and a device in one read. `None`: no such live login.
    async fn gate_facts(
        &self,
        token: &[u8],
        serial: &Serial,
        purpose: &'static str,
        version: u32,
        now: u64,
    ) -> Stored<Option<GateFacts>>;
    /// Moves on the idle end of viewing windows that were open when they were used.
    async fn step_ups_touch(&self, used: &[(SessionId, Serial)], now: u64) -> Stored<()>;
    /// Notes that an open viewing window lets a media session in. `false`: it has let one in already, or
    /// is closed.
    async fn step_up_spend(&self, session: &SessionId, serial: &Serial, now: u64) -> Stored<bool>;
    /// For each lease, whether everything that it stands on still holds.
    async fn leases_live(&self, leases: &[LeaseFacts], now: u64) -> Stored<Vec<bool>>;
    /// Records the start of a media session.
    async fn media_audit(&self, entry: &MediaAudit, now: u64) -> Stored<()>;
    /// Differs from the last answer if anyone but this store has committed in between; its own
    /// commits do not count.
    async fn outside_commits(&self) -> Stored<CommitMark>;
    /// Whether the database answers.
    async fn ping(&self) -> Stored<()>;
}

/// Outgoing messages.
#[async_trait]
pub trait OutboxStore {
    /// Claims the next due entry of any channel but those: counts the attempt and puts the next one off.
    async fn outbox_claim(
        &self,
        left_out: &[&'static str],
        now: u64,
    ) -> Stored<Option<OutboxEntry>>;
    /// The next attempt is not before then.
    async fn outbox_defer(&self, id: u64, next_at: u64) -> Stored<()>;
    /// The entry was sent, or is given up.
    async fn outbox_done(&self, id: u64, now: u64) -> Stored<()>;
    /// Writes the in-app message of an entry and closes the entry, both or neither, once.
    async fn outbox_deliver(&self, id: u64, now: u64) -> Stored<bool>;
    /// Newest messages of an account, at most `limit`.
    async fn messages(&self, account: &AccountId, limit: u64) -> Stored<Vec<Message>>;
    /// The same, of those with lower ids.
    async fn messages_before(
        &self,
        account: &AccountId,
        before: u64,
        limit: u64,
    ) -> Stored<Vec<Message>>;
}

/// Upkeep.
#[async_trait]
pub trait UpkeepStore {
    /// Deletes what has outlived its time. Returns the number of rows.
    async fn purge(&self, now: u64) -> Stored<u64>;
    /// A consistent copy without the subject keys, and the subject keys in a file of their own.
    async fn backup(&self, database: &Path, subject_keys: &Path) -> Stored<()>;
    /// Account and action of the newest operation-log entries of a subject.
    async fn oplog(&self, account: &AccountId, limit: u64) -> Stored<Vec<OplogEntry>>;
}

/// Everything.
pub trait Store:
    AccountStore
    + OtpStore
    + SmsStore
    + CarrierStore
    + SsoStore
    + AbnormalStore
    + SessionStore
    + DeviceStore
    + HandoverStore
    + DeviceFactStore
    + KeyStore
    + MailboxStore
    + SealingStore
    + IntroductionStore
    + CredentialStore
    + PasskeyStore
    + ProductPolicyStore
    + ShareStore
    + ConsentStore
    + GateStore
    + OutboxStore
    + UpkeepStore
    + IdempotencyStore
    + IdentityStore
    + account::PersonalStore
    + restore::RestoreStore
    + Send
    + Sync
    + 'static
{
}
