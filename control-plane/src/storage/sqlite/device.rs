//! Devices and their owners.

use async_trait::async_trait;
use sightline_grant::Thumbprint;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, query};

use super::SqliteStore;
use super::per_device;
use super::restore;
use super::row::{Columns, enqueue, epochs, int, log, raise};
use super::sealing::forget_signed;
use super::share;
use crate::ids::{AccountId, Serial};
use crate::storage::model::{
    Bound, Credential, Device, DeviceEpochs, DeviceKind, DeviceState, StoredOrder,
};
use crate::storage::{DeviceStore, StoreError, Stored};

/// A device, its owner, its epochs and the verifier of its present binding.
macro_rules! select_device {
    ($rest:literal) => {
        concat!(
            "SELECT d.*, b.account AS owner, coalesce(e.binding_epoch, 0) AS binding_epoch,
                    coalesce(e.key_epoch, 0) AS key_epoch, v.public AS bound_verifier,
                    coalesce(l.version, 0) AS list_version,
                    o.sequence AS order_sequence, o.sealed AS order_sealed,
                    o.signed AS order_signed, o.stored_at AS order_stored_at
             FROM device d
             LEFT JOIN binding b ON b.serial = d.serial AND b.unbound_at IS NULL
             LEFT JOIN device_epoch e ON e.serial = d.serial
             LEFT JOIN key_verifier v ON v.serial = d.serial AND v.binding_epoch = b.epoch
                 AND v.key_epoch = e.key_epoch
             LEFT JOIN viewer_list l ON l.serial = d.serial AND l.binding_epoch = b.epoch
             LEFT JOIN sealing_order o ON o.serial = d.serial AND o.binding_epoch = b.epoch ",
            $rest
        )
    };
}

#[async_trait]
impl DeviceStore for SqliteStore {
    async fn device_add(&self, device: &Device, now: u64) -> Stored<bool> {
        let mut tx = self.begin().await?;
        let (identity, credential) = match &device.kind {
            DeviceKind::Agent(identity) => (Some(identity.to_string()), None),
            DeviceKind::Credential(credential) => (None, Some(credential)),
        };
        let done = query(
            "INSERT INTO device (serial, name, model, sealed, identity, publish_token,
                publish_ha1_enc, publish_verifier, code, channels, added_at, seals)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
        )
        .bind(device.serial.as_str())
        .bind(&device.name)
        .bind(&device.model)
        .bind(identity.is_some())
        .bind(identity)
        .bind(credential.map(|c| c.token.as_slice()))
        .bind(credential.map(|c| c.ha1_enc.as_slice()))
        .bind(credential.map(|c| c.verifier.as_slice()))
        .bind(&device.code)
        .bind(i64::from(device.channels))
        .bind(int(now))
        .bind(device.seals)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        raise(&mut tx, device.serial.as_str(), 0, 1).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn device_remove(&self, serial: &Serial, now: u64) -> Stored<Option<DeviceEpochs>> {
        let mut tx = self.begin().await?;
        let done = query("DELETE FROM device WHERE serial = ?1")
            .bind(serial.as_str())
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let epochs = release(&mut tx, serial, now).await?;
        tx.commit().await?;
        Ok(Some(epochs))
    }

    async fn device_rotate(
        &self,
        serial: &Serial,
        new: &Credential,
        now: u64,
    ) -> Stored<Option<u64>> {
        let mut tx = self.begin().await?;
        let done = query(
            "UPDATE device SET publish_token = ?2, publish_ha1_enc = ?3, publish_verifier = ?4
             WHERE serial = ?1 AND sealed = 0",
        )
        .bind(serial.as_str())
        .bind(&new.token)
        .bind(&new.ha1_enc)
        .bind(new.verifier.as_slice())
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        // A list that the former password signed holds for nobody.
        forget_signed(&mut tx, serial.as_str(), now).await?;
        let epochs = raise(&mut tx, serial.as_str(), 0, 1).await?;
        tx.commit().await?;
        Ok(Some(epochs.key))
    }

    async fn devices(&self) -> Stored<Vec<DeviceState>> {
        let rows = query(select_device!("ORDER BY d.serial")).fetch_all(&self.reader).await?;
        rows.iter().map(state).collect()
    }

    async fn devices_of(&self, account: &AccountId) -> Stored<Vec<DeviceState>> {
        let rows = query(select_device!("WHERE b.account = ?1 ORDER BY d.serial"))
            .bind(account.as_str())
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(state).collect()
    }

    async fn device(&self, serial: &Serial) -> Stored<Option<DeviceState>> {
        let row = query(select_device!("WHERE d.serial = ?1"))
            .bind(serial.as_str())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(state).transpose()
    }

    async fn device_by_identity(&self, identity: Thumbprint) -> Stored<Option<DeviceState>> {
        let row = query(select_device!("WHERE d.identity = ?1"))
            .bind(identity.to_string())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(state).transpose()
    }

    async fn device_by_token(&self, hash: &[u8]) -> Stored<Option<DeviceState>> {
        let row = query(select_device!("WHERE d.publish_token = ?1"))
            .bind(hash)
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(state).transpose()
    }

    async fn bind(&self, serial: &Serial, account: &AccountId, now: u64) -> Stored<Bound> {
        let mut tx = self.begin().await?;
        let bound = claim(&mut tx, serial, account, Word::Print, now).await?;
        tx.commit().await?;
        Ok(bound)
    }

    async fn unbind(
        &self,
        serial: &Serial,
        account: &AccountId,
        now: u64,
    ) -> Stored<Option<DeviceEpochs>> {
        let mut tx = self.begin().await?;
        let owned = query(
            "SELECT 1 FROM binding WHERE serial = ?1 AND account = ?2 AND unbound_at IS NULL",
        )
        .bind(serial.as_str())
        .bind(account.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        if owned.is_none() {
            return Ok(None);
        }
        let epochs = release(&mut tx, serial, now).await?;
        tx.commit().await?;
        Ok(Some(epochs))
    }
}

/// Why a binding ends.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    /// Its owner or the operator ended it, or the owner's account is gone.
    Unbound,
    /// Its owner gave it to somebody.
    Given,
    /// Somebody reset the device.
    Reset,
}

impl Ending {
    /// Act in the operation log, and kind of the message.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Unbound => ("device.unbound", "device_unbound"),
            Self::Given => ("device.given", "device_given"),
            Self::Reset => ("device.reset", "device_reset"),
        }
    }
}

/// On whose word a device is bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// What is printed on it, which everybody who ever had it knows.
    Print,
    /// The device's own, or the operator's.
    Vouched,
}

/// Binds a device that nobody owns.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    serial: &Serial,
    account: &AccountId,
    word: Word,
    now: u64,
) -> Stored<Bound> {
    let owner = query("SELECT account FROM binding WHERE serial = ?1 AND unbound_at IS NULL")
        .bind(serial.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = owner {
        if row.text("account")? != account.as_str() {
            return Ok(Bound::Taken);
        }
        return Ok(Bound::Already(epochs(connection, serial.as_str()).await?));
    }
    if !restore::may_bind(connection, serial, account, word).await? {
        return Ok(Bound::Taken);
    }
    let epochs = raise(connection, serial.as_str(), 1, 0).await?;
    query("INSERT INTO binding (serial, account, epoch, bound_at) VALUES (?1, ?2, ?3, ?4)")
        .bind(serial.as_str())
        .bind(account.as_str())
        .bind(int(epochs.binding))
        .bind(int(now))
        .execute(&mut *connection)
        .await?;
    // A code for the device that was free is not one for the device that is bound.
    query("DELETE FROM device_code WHERE serial = ?1")
        .bind(serial.as_str())
        .execute(&mut *connection)
        .await?;
    log(connection, account.as_str(), "device.bound", serial.as_str(), now).await?;
    let owner = Some(account.as_str());
    enqueue(connection, "in_app", "device_bound", serial.as_str(), owner, now).await?;
    Ok(Bound::Newly(epochs))
}

/// Ends the binding of a serial, if any, with everything that hangs off it, and raises its epochs.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    serial: &Serial,
    now: u64,
) -> Stored<DeviceEpochs> {
    release_as(connection, serial, Ending::Unbound, now).await
}

/// The same, and says why.
pub(super) async fn release_as(
    connection: &mut SqliteConnection,
    serial: &Serial,
    ending: Ending,
    now: u64,
) -> Stored<DeviceEpochs> {
    let ended = query(
        "UPDATE binding SET unbound_at = ?2 WHERE serial = ?1 AND unbound_at IS NULL
         RETURNING account",
    )
    .bind(serial.as_str())
    .bind(int(now))
    .fetch_optional(&mut *connection)
    .await?;
    share::end_of_device(connection, serial, now).await?;
    per_device::erase(connection, serial).await?;
    if let Some(row) = ended {
        let account = row.text("account")?;
        let (action, kind) = ending.names();
        log(connection, &account, action, serial.as_str(), now).await?;
        enqueue(connection, "in_app", kind, serial.as_str(), Some(account.as_str()), now).await?;
    }
    raise(connection, serial.as_str(), 1, 1).await
}

fn state(row: &SqliteRow) -> Stored<DeviceState> {
    let broken = || StoreError::Inconsistent("a device");
    let key = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| broken());
    let kind = match row.opt_text("identity")? {
        Some(identity) => DeviceKind::Agent(identity.parse().map_err(|_| broken())?),
        None => DeviceKind::Credential(Credential {
            token: row.blob("publish_token")?,
            ha1_enc: row.blob("publish_ha1_enc")?,
            verifier: key(row.blob("publish_verifier")?)?,
        }),
    };
    let verifier = match &kind {
        DeviceKind::Agent(_) => row.opt_blob("bound_verifier")?.map(key).transpose()?,
        DeviceKind::Credential(credential) => Some(credential.verifier),
    };
    let order = match (row.opt_num("order_sequence")?, row.opt_blob("order_signed")?) {
        (Some(sequence), Some(signed)) => Some(StoredOrder {
            sequence,
            sealed: row.num("order_sealed")? == 1,
            signed,
            stored_at: row.num("order_stored_at")?,
        }),
        _ => None,
    };
    let identity_key = row.opt_blob("identity_key")?.map(key).transpose()?;
    Ok(DeviceState {
        identity_key,
        device: Device {
            serial: Serial(row.text("serial")?),
            name: row.text("name")?,
            model: row.text("model")?,
            kind,
            seals: row.num("seals")? == 1,
            code: row.blob("code")?,
            channels: u16::try_from(row.num("channels")?).map_err(|_| broken())?,
        },
        owner: row.opt_text("owner")?.map(AccountId),
        epochs: DeviceEpochs { binding: row.num("binding_epoch")?, key: row.num("key_epoch")? },
        verifier,
        list_version: row.num("list_version")?,
        order,
    })
}
