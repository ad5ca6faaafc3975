//! Names that owners give, and the detail of a device.

use serde::Serialize;
use utoipa::ToSchema;

use crate::ControlPlane;
use crate::bind_client::KeptClient;
use crate::device_facts::{FactError, Facts};
use crate::error::Inner;
use crate::ids::{AccountId, Serial};
use crate::inventory::{AccessMode, Hardware};
use crate::limits::{MAX_NAME_CHARS, RENAMES_PER_DEVICE};
use crate::storage::model::{DeviceState, FactKind, Session};

/// Whether and with how many a device is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sharing {
    /// Accounts that it is shared with.
    pub shares: u64,
}

impl Sharing {
    fn of(counts: &[(Serial, u64)], serial: &Serial) -> Self {
        let count = counts.iter().find(|(shared, _)| shared == serial);
        Self { shares: count.map_or(0, |(_, shares)| *shares) }
    }
}

/// A value-added service that a device uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ValueAdded {
    /// Id of the service.
    pub service: String,
    /// Unix seconds.
    pub ends_at: u64,
}

/// One channel of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelName {
    /// Number, from 0.
    pub channel: u16,
    /// Name that the owner gave.
    pub name: Option<String>,
}

/// A device as its owner sees it.
#[derive(Clone, Debug)]
pub struct DeviceDetail {
    /// As it stands; `device.name` is the owner's name for it.
    pub state: DeviceState,
    /// What it told of itself.
    pub hardware: Option<(Hardware, u64)>,
    /// The terminal with which it was added.
    pub added_with: Option<KeptClient>,
    /// Whether a place is kept for it.
    pub has_place: bool,
    /// Its channels.
    pub channels: Vec<ChannelName>,
    /// When the open transfer code expires, Unix seconds.
    pub transfer_until: Option<u64>,
    /// Its services.
    pub value_added: Vec<ValueAdded>,
    /// Its shares.
    pub sharing: Sharing,
}

impl DeviceDetail {
    /// How it is connected, as it told.
    pub fn access_mode(&self) -> Option<AccessMode> {
        self.hardware.as_ref().map(|(hardware, _)| hardware.access_mode)
    }
}

/// Names to change.
#[derive(Clone, Debug, Default)]
pub struct Renaming {
    /// Name of the device.
    pub name: Option<String>,
    /// Names of channels.
    pub channels: Vec<(u16, String)>,
}

impl ControlPlane {
    /// The account's devices in detail, by serial.
    ///
    /// # Errors
    /// When the database does not answer or a value does not open.
    pub async fn device_details(&self, session: &Session) -> Result<Vec<DeviceDetail>, Inner> {
        let facts = self.kept_facts(session, None).await?;
        let shares = self.share_counts(session).await?;
        let mut details = Vec::new();
        for state in self.store().devices_of(&session.account).await? {
            let sharing = Sharing::of(&shares, &state.device.serial);
            details.push(DeviceDetail { sharing, ..self.detail_of(state, &facts, None)? });
        }
        Ok(details)
    }

    /// One device in detail.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn device_detail(
        &self,
        session: &Session,
        serial: &str,
    ) -> Result<DeviceDetail, FactError> {
        let state = self.own_device(&session.account, serial).await?.ok_or(FactError::NotBound)?;
        let serial = state.device.serial.clone();
        let facts = self.kept_facts(session, Some(&serial)).await?;
        let until = self.transfer_until(&serial).await?;
        let sharing = Sharing::of(&self.share_counts(session).await?, &serial);
        Ok(DeviceDetail { sharing, ..self.detail_of(state, &facts, until)? })
    }

    /// Gives a device or its channels new names.
    ///
    /// # Errors
    /// See [`FactError`].
    pub async fn rename_device(
        &self,
        session: &Session,
        serial: &str,
        names: &Renaming,
    ) -> Result<(), FactError> {
        let device = self.own_device(&session.account, serial).await?.ok_or(FactError::NotBound)?;
        let given = names.name.iter().chain(names.channels.iter().map(|(_, name)| name));
        if given.map(|name| name.trim()).any(|name| !fits(name)) {
            return Err(FactError::Bad(
                "a name has 1 to 64 characters and no line breaks or other control characters",
            ));
        }
        if names.channels.iter().any(|(channel, _)| *channel >= device.device.channels) {
            return Err(FactError::Bad("the device has no such channel"));
        }
        self.charge_fact("rename", device.device.serial.as_str(), &RENAMES_PER_DEVICE).await?;
        let owner = &session.account;
        if let Some(name) = &names.name {
            self.keep_fact(owner, &device, FactKind::Name, &name.trim(), None).await?;
        }
        for (channel, name) in &names.channels {
            let kind = FactKind::ChannelName(*channel);
            self.keep_fact(owner, &device, kind, &name.trim(), None).await?;
        }
        Ok(())
    }

    /// Puts the owner's name for a device in the place of the one that it was added with.
    pub(crate) async fn named_by(
        &self,
        owner: &AccountId,
        mut state: DeviceState,
    ) -> Result<DeviceState, Inner> {
        let serial = state.device.serial.clone();
        let facts = self.kept_facts_of(owner, Some(&serial)).await?;
        if let Some((name, _)) = facts.get::<String>(&serial, FactKind::Name)? {
            state.device.name = name;
        }
        Ok(state)
    }

    fn detail_of(
        &self,
        mut state: DeviceState,
        facts: &Facts,
        transfer_until: Option<u64>,
    ) -> Result<DeviceDetail, Inner> {
        let serial: Serial = state.device.serial.clone();
        if let Some((name, _)) = facts.get::<String>(&serial, FactKind::Name)? {
            state.device.name = name;
        }
        let mut channels = Vec::new();
        for channel in 0..state.device.channels {
            let name = facts.get::<String>(&serial, FactKind::ChannelName(channel))?;
            channels.push(ChannelName { channel, name: name.map(|(name, _)| name) });
        }
        Ok(DeviceDetail {
            hardware: facts.get(&serial, FactKind::Hardware)?,
            added_with: facts.get(&serial, FactKind::BindClient)?.map(|(client, _)| client),
            has_place: facts.get::<serde_json::Value>(&serial, FactKind::Place)?.is_some(),
            channels,
            transfer_until,
            value_added: Vec::new(),
            sharing: Sharing::default(),
            state,
        })
    }
}

fn fits(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}
