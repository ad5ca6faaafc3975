//! What the operator does from the command line.

use std::path::{Path, PathBuf};

use sightline_grant::{Redacted, Revocation, Thumbprint};

use crate::add_code::AddCode;
use crate::base32;
use crate::erasures::{self, ERASURES_FILE};
use crate::error::Inner;
use crate::ids::{AccountId, Serial};
use crate::limits::{MAX_CHANNELS, MAX_NAME_CHARS};
use crate::random;
use crate::storage::model::{CodeKind, Device, DeviceKind, DeviceState};
use crate::storage::sqlite::migrate::MigrateError;
use crate::storage::sqlite::private;
use crate::{ControlPlane, DATABASE_FILE};

/// Random bytes of a verification code: 40 bits, eight letters.
pub const CODE_BYTES: usize = 5;
/// Name of the subject keys in a backup.
pub const SUBJECT_KEYS_FILE: &str = "subject-keys.db";

/// A device to add.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Serial.
    pub serial: String,
    /// Name.
    pub name: String,
    /// Model.
    pub model: String,
    /// Sealed: thumbprint of its identity key. Open: none.
    pub identity: Option<Thumbprint>,
    /// The device seals its media, for which it needs an identity.
    pub seals: bool,
    /// Number of channels.
    pub channels: u16,
}

/// Texts shown once and stored nowhere in clear.
#[derive(Clone, Debug)]
pub struct OneTimeTexts {
    /// Printed on the device; binds it.
    pub verification_code: Redacted<String>,
    /// Open devices: password for publishing (RTSP user = serial, WHIP bearer token), which is
    /// also the device key that viewers prove.
    pub publish_password: Option<Redacted<String>>,
}

impl OneTimeTexts {
    /// Text of the picture code that says serial and verification code; `None` for a bad serial.
    pub fn add_code(&self, serial: &str) -> Option<Redacted<String>> {
        let code = Redacted::new(base32::canonical(self.verification_code.expose()));
        let serial = Serial::parse(serial)?;
        Some(AddCode { kind: CodeKind::Bind, serial, code }.text())
    }
}

/// An account as the operator sees it.
#[derive(Clone, Debug)]
pub struct AccountLine {
    /// Account.
    pub id: AccountId,
    /// First and last digits of the number, or the mail address without its name.
    pub phone_masked: String,
    /// Unix seconds.
    pub created_at: u64,
}

/// Why the operator's wish is not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Bad serial, name, model or number of channels.
    #[error(
        "a serial has 1 to 64 letters, digits, - or _; name and model have at most 64 characters; \
         there are 1 to 64 channels"
    )]
    BadDevice,
    /// The serial or the identity key is taken.
    #[error("a device with this serial or this identity key exists")]
    Exists,
    /// No such thing.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// A file of a backup is missing, or one that would be overwritten exists.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// See [`MigrateError`].
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Adds a device and returns its texts, for this one time.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn add_device(&self, new: &NewDevice) -> Result<OneTimeTexts, AdminError> {
        let serial = Serial::parse(&new.serial).ok_or(AdminError::BadDevice)?;
        let fits = |text: &str| text.chars().count() <= MAX_NAME_CHARS;
        if !fits(&new.name) || !fits(&new.model) || !(1..=MAX_CHANNELS).contains(&new.channels) {
            return Err(AdminError::BadDevice);
        }
        if new.seals && new.identity.is_none() {
            return Err(AdminError::BadDevice);
        }
        let code = base32::encode(&random::bytes::<CODE_BYTES>(self.random()));
        let (publish_password, kind) = match new.identity {
            Some(identity) => (None, DeviceKind::Agent(identity)),
            None => {
                let (password, credential) = self.new_credential(&serial);
                (Some(password), DeviceKind::Credential(credential))
            }
        };
        let device = Device {
            code: self.vault().printed_code(serial.as_str(), &code),
            serial,
            name: new.name.clone(),
            model: new.model.clone(),
            kind,
            seals: new.seals,
            channels: new.channels,
        };
        if !self.store().device_add(&device, self.now()).await.map_err(Inner::from)? {
            return Err(AdminError::Exists);
        }
        let verification_code = Redacted::new(base32::grouped(&code));
        Ok(OneTimeTexts { verification_code, publish_password })
    }

    /// Every device.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_devices(&self) -> Result<Vec<DeviceState>, Inner> {
        Ok(self.store().devices().await?)
    }

    /// Removes a device; its binding ends.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn remove_device(&self, serial: &str) -> Result<(), AdminError> {
        let serial = Serial::parse(serial).ok_or(AdminError::Unknown("device"))?;
        let removed = self.store().device_remove(&serial, self.now()).await.map_err(Inner::from)?;
        self.announce_binding(&serial, removed.ok_or(AdminError::Unknown("device"))?);
        Ok(())
    }

    /// Gives an open device a new publishing password; viewers must prove the new one.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn rotate_publish_password(
        &self,
        serial: &str,
    ) -> Result<Redacted<String>, AdminError> {
        let serial = Serial::parse(serial).ok_or(AdminError::Unknown("open device"))?;
        let (password, credential) = self.new_credential(&serial);
        let rotated = self.store().device_rotate(&serial, &credential, self.now()).await;
        let epoch = rotated.map_err(Inner::from)?.ok_or(AdminError::Unknown("open device"))?;
        self.announce_key(&serial, epoch);
        Ok(password)
    }

    /// Every account, numbers masked.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn list_accounts(&self) -> Result<Vec<AccountLine>, Inner> {
        let mut lines = Vec::new();
        for account in self.store().accounts().await? {
            let known = self.addresses_of(&account.id).await?;
            let masked = known.first().map(|known| known.address.masked());
            let (id, created_at) = (account.id, account.created_at);
            let phone_masked = masked.unwrap_or_default();
            lines.push(AccountLine { id, phone_masked, created_at });
        }
        Ok(lines)
    }

    /// Deletes an account: its logins and bindings end and its data key is destroyed. In backups
    /// its data is unreadable as soon as older copies of the subject keys are gone.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn delete_account(&self, id: &AccountId) -> Result<(), AdminError> {
        let account = self.store().account(id).await.map_err(Inner::from)?;
        account.ok_or(AdminError::Unknown("account"))?;
        let journal = self.config().data_dir.join(ERASURES_FILE);
        erasures::record(&journal, id).map_err(|error| AdminError::File(journal, error))?;
        let erased = self.store().account_erase(id, self.now()).await.map_err(Inner::from)?;
        let erased = erased.ok_or(AdminError::Unknown("account"))?;
        for session in erased.sessions {
            self.announce(Revocation::Session { session: session.0 });
        }
        self.0.outbox.notify_one();
        for (serial, epochs) in erased.devices {
            self.announce_binding(&serial, epochs);
        }
        let (subject, epoch) = (erased.subject.0, erased.consent_epoch);
        self.announce(Revocation::Consent { subject, epoch });
        Ok(())
    }

    /// Writes a consistent backup into a folder: the database without the subject keys, the subject
    /// keys in [`SUBJECT_KEYS_FILE`], and the journal of erasures. Keep every database, but only the
    /// newest key file and journal: then whoever was erased stays erased in all of them. The master
    /// key is not part of it; keep it elsewhere, since without it no backup can be read.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn backup(&self, folder: &Path) -> Result<(), AdminError> {
        let at = |error| AdminError::File(folder.to_owned(), error);
        private::folder(folder).map_err(at)?;
        let (database, keys) = (folder.join(DATABASE_FILE), folder.join(SUBJECT_KEYS_FILE));
        refuse_existing(&database)?;
        refuse_existing(&keys)?;
        let journal = folder.join(ERASURES_FILE);
        self.store().backup(&database, &keys).await.map_err(Inner::from)?;
        // After the database: an erasure in between stands in the journal at least.
        let erased = erasures::read(&self.config().data_dir.join(ERASURES_FILE)).map_err(at)?;
        erasures::write(&journal, &erased).map_err(at)
    }
}

/// Nothing is written over.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), AdminError> {
    if path.exists() {
        let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(AdminError::File(path.to_owned(), error));
    }
    Ok(())
}
