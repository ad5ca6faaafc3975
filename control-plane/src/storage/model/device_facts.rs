//! What is kept of a device under its present binding, as ciphertext.

use crate::ids::{AccountId, ProvisioningId, Serial};

/// What a fact is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FactKind {
    /// The name that the owner gave.
    Name,
    /// The name of a channel.
    ChannelName(u16),
    /// Where it stands.
    Place,
    /// What it is made of.
    Hardware,
    /// The terminal with which it was added.
    BindClient,
}

impl FactKind {
    /// Stored form.
    pub fn text(self) -> String {
        match self {
            Self::Name => "name".into(),
            Self::ChannelName(channel) => format!("channel-name-{channel}"),
            Self::Place => "place".into(),
            Self::Hardware => "hardware".into(),
            Self::BindClient => "bind-client".into(),
        }
    }

    /// From the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "name" => Some(Self::Name),
            "place" => Some(Self::Place),
            "hardware" => Some(Self::Hardware),
            "bind-client" => Some(Self::BindClient),
            other => other.strip_prefix("channel-name-")?.parse().ok().map(Self::ChannelName),
        }
    }

    /// How the act of telling it is logged.
    pub fn action(self) -> &'static str {
        match self {
            Self::Name | Self::ChannelName(_) => "device.renamed",
            Self::Place => "device.place_stored",
            Self::Hardware => "device.hardware_stored",
            Self::BindClient => "device.bind_client_stored",
        }
    }
}

/// A fact to keep.
#[derive(Clone, Debug)]
pub struct NewFact {
    /// Device.
    pub serial: Serial,
    /// Owner, whose key it is encrypted under.
    pub account: AccountId,
    /// Binding that it belongs to.
    pub binding_epoch: u64,
    /// What it is about.
    pub kind: FactKind,
    /// Ciphertext.
    pub value_enc: Vec<u8>,
    /// When it goes, Unix seconds; `None`: with the binding.
    pub expires_at: Option<u64>,
}

/// A fact as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Device.
    pub serial: Serial,
    /// What it is about.
    pub kind: FactKind,
    /// Ciphertext.
    pub value_enc: Vec<u8>,
    /// When it was told, Unix seconds.
    pub at: u64,
}

/// A provisioning to keep.
#[derive(Clone, Debug)]
pub struct NewProvisioning {
    /// Its name.
    pub id: ProvisioningId,
    /// Whoever brings the device into a network.
    pub account: AccountId,
    /// Device.
    pub serial: Serial,
    /// Facts about the network, encrypted under the account's key.
    pub facts_enc: Vec<u8>,
    /// What only the device can open. Kept only if the account owns the device.
    pub sealed: Option<Vec<u8>>,
    /// Until when the device may fetch it, Unix seconds.
    pub sealed_until: u64,
    /// When the facts go, Unix seconds.
    pub expires_at: u64,
}
