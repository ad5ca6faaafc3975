//! Accounts, devices, bindings, keys, consents: the facts that the gate stands on.
//!
//! [`ControlPlane`] is the one way in. `http::router` serves it; `admin` is for the operator's
//! command line; the gate ([`ControlPlane::admit`]), the renewal of leases
//! ([`ControlPlane::renew`]) and the feed of revocations ([`ControlPlane::revocations`]) are for
//! signaling and relay.

pub mod abnormal;
pub mod acting;
pub mod add_code;
pub mod address;
pub mod admin;
pub mod app_version;
pub mod attestation;
pub mod avatar;
pub mod base32;
pub mod basic;
pub mod bind_client;
pub mod bind_token;
pub mod binding;
pub mod carrier;
pub mod clock;
pub mod consent;
pub mod credential;
pub mod development;
pub mod device;
pub mod device_facts;
pub mod email;
pub mod erasures;
pub mod error;
pub mod federation;
pub mod gate;
mod guess;
pub mod http;
pub mod idempotency;
pub mod identifier;
pub mod ids;
pub mod introduction;
pub mod inventory;
pub mod key;
pub mod limits;
pub mod mail;
pub mod mailbox;
pub mod message;
pub mod names;
pub mod oplog;
pub mod otp;
pub mod outbound;
pub mod passkey;
pub mod password;
pub mod phone;
pub mod place;
pub mod policy;
pub mod profile;
pub mod provision;
pub mod publisher;
pub mod random;
pub mod replay;
pub mod restore;
pub mod sealed;
pub mod secure;
pub mod session;
pub mod share;
pub mod sms;
pub mod sso;
pub mod step_up;
pub mod storage;
pub mod terminal;
pub mod transfer;
pub mod vault;
pub mod viewing;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sightline_grant::Revocation;
use tokio::sync::{Mutex, Notify, broadcast};

use carrier::Carrier;
use clock::{Clock, SystemClock};
use federation::IdentityProvider;
use limits::Limits;
use mail::MailSender;
use passkey::RelyingParty;
use password::{PasswordConfig, PasswordHasher};
use random::{Random, SystemRandom};
use replay::ProofIds;
use sms::SmsSender;
use storage::Store;
use storage::model::CommitMark;
use storage::sqlite::SqliteStore;
use storage::sqlite::migrate::MigrateError;
use vault::{MasterKey, MasterKeyError, Vault};

/// Name of the database in the data folder.
pub const DATABASE_FILE: &str = "control-plane.db";
/// Name of the master key in the data folder. Keep it apart from backups.
pub const MASTER_KEY_FILE: &str = "master.key";

/// What an installation chooses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the database and, unless `master_key` says otherwise, of the master key.
    pub data_dir: PathBuf,
    /// Master key file; `None`: [`MASTER_KEY_FILE`] in the data folder.
    pub master_key: Option<PathBuf>,
    /// Name of this server in proofs of a device key.
    pub server_name: String,
    /// Host of the page, for the last line of text messages.
    pub page_host: String,
    /// Limits that depend on the size of the installation.
    pub limits: Limits,
    /// Passwords.
    pub passwords: PasswordConfig,
}

/// Why the control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// See [`MigrateError`].
    #[error(transparent)]
    Database(#[from] MigrateError),
    /// See [`MasterKeyError`].
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// Without it erased people might be served again.
    #[error("the journal of erasures cannot be read: {0}")]
    Erasures(#[source] std::io::Error),
    /// Without it identities that were unbound might sign in again.
    #[error("the journal of unbindings cannot be read: {0}")]
    Unbound(#[source] std::io::Error),
    /// See [`error::Inner`].
    #[error(transparent)]
    Inner(#[from] error::Inner),
    /// The folder cannot be made.
    #[error("the data folder cannot be made: {0}")]
    Folder(#[source] std::io::Error),
}

/// The control plane. Cheap to clone.
#[derive(Clone)]
pub struct ControlPlane(Arc<State>);

struct State {
    config: Config,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    sms: Arc<dyn SmsSender>,
    carrier: OnceLock<Arc<dyn Carrier>>,
    party: OnceLock<RelyingParty>,
    providers: OnceLock<Vec<Arc<dyn IdentityProvider>>>,
    unbinding: Mutex<()>,
    sso: sso::Desk,
    app_calls: sso::AppCalls,
    mail: Arc<dyn MailSender>,
    passwords: PasswordHasher,
    vault: Vault,
    proof_ids: ProofIds,
    touches: gate::Touches,
    revocations: broadcast::Sender<Revocation>,
    device_changes: broadcast::Sender<Arc<str>>,
    outbox: Notify,
}

/// What a control plane is made of; tests put their own clock and random source in.
pub struct Parts {
    /// Configuration.
    pub config: Config,
    /// Database.
    pub store: Arc<dyn Store>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Random source.
    pub random: Arc<dyn Random>,
    /// Sender of text messages.
    pub sms: Arc<dyn SmsSender>,
    /// Sender of mail.
    pub mail: Arc<dyn MailSender>,
    /// Master key.
    pub master: MasterKey,
}

impl ControlPlane {
    /// Opens the control plane on SQLite in the data folder, with the system's clock and random
    /// source. Makes folder, database and master key on the first start.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        config: Config,
        sms: Arc<dyn SmsSender>,
        mail: Arc<dyn MailSender>,
    ) -> Result<Self, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.data_dir)
            .map_err(OpenError::Folder)?;
        let database = config.data_dir.join(DATABASE_FILE);
        let random = Arc::new(SystemRandom);
        let key_file =
            config.master_key.clone().unwrap_or_else(|| config.data_dir.join(MASTER_KEY_FILE));
        let master = MasterKey::load(&key_file, !database.exists(), random.as_ref())?;
        let store = Arc::new(SqliteStore::open(&database).await?);
        let clock = Arc::new(SystemClock);
        let parts = Parts { config, store, clock, random, sms, mail, master };
        let control_plane = Self::from_parts(parts);
        control_plane.replay_erasures().await?;
        control_plane.replay_unbindings().await?;
        control_plane.prepare_signing().await?;
        Ok(control_plane)
    }

    /// Erases again whoever stands in the journal of erasures and is in the database all the same.
    /// Before anybody is served: see [`erasures`].
    ///
    /// # Errors
    /// When the journal cannot be read or the database does not answer.
    pub async fn replay_erasures(&self) -> Result<(), OpenError> {
        let journal = self.config().data_dir.join(erasures::ERASURES_FILE);
        for account in erasures::read(&journal).map_err(OpenError::Erasures)? {
            self.store().account_erase(&account, self.now()).await.map_err(error::Inner::from)?;
        }
        Ok(())
    }

    /// From its parts.
    pub fn from_parts(parts: Parts) -> Self {
        let vault = Vault::new(&parts.master);
        Self(Arc::new(State {
            passwords: PasswordHasher::new(&parts.config.passwords, vault.pepper()),
            proof_ids: ProofIds::new(parts.config.limits.proofs_per_network),
            config: parts.config,
            store: parts.store,
            clock: parts.clock,
            random: parts.random,
            sms: parts.sms,
            carrier: OnceLock::new(),
            party: OnceLock::new(),
            providers: OnceLock::new(),
            unbinding: Mutex::new(()),
            sso: sso::Desk::default(),
            app_calls: sso::AppCalls::default(),
            mail: parts.mail,
            vault,
            touches: gate::Touches::default(),
            revocations: broadcast::Sender::new(limits::REVOCATION_BACKLOG),
            device_changes: broadcast::Sender::new(limits::REVOCATION_BACKLOG),
            outbox: Notify::new(),
        }))
    }

    /// Acts that end running media sessions, each sent after its commit. A listener that lags
    /// (`RecvError::Lagged`) must renew all its leases.
    pub fn revocations(&self) -> broadcast::Receiver<Revocation> {
        self.0.revocations.subscribe()
    }

    /// Serials of devices that stand differently now, each sent after its commit: another owner, key,
    /// viewer list or mode. Whoever relays their media asks [`ControlPlane::is_sealed`].
    pub fn device_changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.0.device_changes.subscribe()
    }

    /// Differs from the last answer if another process, such as the operator's command line, has
    /// committed in between. What it revoked is announced to nobody here, so whoever holds leases
    /// must renew them all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outside_commits(&self) -> Result<CommitMark, error::Inner> {
        Ok(self.store().outside_commits().await?)
    }

    /// Whether the database answers.
    pub async fn ready(&self) -> bool {
        self.store().ping().await.is_ok()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.0.store.as_ref()
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.clock.now()
    }

    pub(crate) fn random(&self) -> &dyn Random {
        self.0.random.as_ref()
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(crate) fn passwords(&self) -> &PasswordHasher {
        &self.0.passwords
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn announce(&self, revocation: Revocation) {
        // Without listeners there is nothing to cut.
        let _ = self.0.revocations.send(revocation);
    }

    pub(crate) fn device_changed(&self, serial: &ids::Serial) {
        // Without a waiting device there is nobody to tell.
        let _ = self.0.device_changes.send(serial.as_str().into());
        self.0.outbox.notify_one();
    }
}

#[cfg(test)]
mod tests;
