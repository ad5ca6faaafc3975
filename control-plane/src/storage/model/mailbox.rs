//! What the mailbox of sealed video stores, and how storing ended.

use crate::device::EncMode;
use crate::ids::{AccountId, Serial, SessionId};
use crate::sealed::generation::Wrap;

/// A viewer list to store.
#[derive(Clone, Debug)]
pub struct NewList {
    /// Device.
    pub serial: Serial,
    /// Binding that it is for.
    pub binding_epoch: u64,
    /// Its version.
    pub version: u64,
    /// The signed bytes.
    pub signed: Vec<u8>,
    /// Key verifier that its signature was checked with.
    pub verifier: [u8; 32],
    /// Terminals that it lets do something.
    pub terminals: Vec<ListedTerminal>,
}

/// A terminal that a viewer list lets do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTerminal {
    /// Ed25519 key that it proves itself with.
    pub signing: [u8; 32],
    /// Whose it is.
    pub account: AccountId,
    /// What it may do, bits of a viewer list.
    pub scopes: u16,
    /// Until when, Unix seconds; `u64::MAX`: without an end.
    pub until: u64,
}

/// A proof of a device key that holds no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedProof {
    /// Login session that made it.
    pub session: SessionId,
    /// Device.
    pub serial: Serial,
    /// Its number.
    pub number: u64,
}

/// The viewer list in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredList {
    /// Its version.
    pub version: u64,
    /// The signed bytes.
    pub signed: Vec<u8>,
}

/// How storing a viewer list ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListPut {
    /// In force now; proofs of terminals that it does not let watch have ended.
    Stored(Vec<EndedProof>),
    /// The same bytes were in force.
    Same,
    /// As old as the one in force, or older; holds the version in force.
    NotNewer(u64),
    /// Bound otherwise, or another key verifier, by now.
    OtherBinding,
}

/// A generation to store.
#[derive(Clone, Debug)]
pub struct NewGeneration {
    /// Device.
    pub serial: Serial,
    /// Binding that it is for.
    pub binding_epoch: u64,
    /// Its number.
    pub number: u64,
    /// Public half of the device's identity, which signed it.
    pub identity_key: [u8; 32],
    /// Header and signature.
    pub signed: Vec<u8>,
    /// The wraps.
    pub wraps: Vec<Wrap>,
    /// Hash of the whole upload.
    pub uploaded: Vec<u8>,
}

/// How storing a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationPut {
    /// Stored.
    Stored,
    /// The same upload was stored before.
    Same,
    /// Not above every number of this serial; holds the highest.
    NotNewer(u64),
    /// Not bound, or bound otherwise, by now.
    OtherBinding,
}

/// Which generations are wanted, and for whom.
#[derive(Clone, Debug)]
pub struct GenerationPage {
    /// Device.
    pub serial: Serial,
    /// Binding under which the caller was let in.
    pub binding_epoch: u64,
    /// Whose wraps go along.
    pub recipient: [u8; 32],
    /// 0: the newest first. Else those above it, rising.
    pub after: u64,
    /// Most of them.
    pub limit: u64,
}

/// A generation with the wrap of one recipient, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGeneration {
    /// Its number.
    pub number: u64,
    /// Header and signature.
    pub signed: Vec<u8>,
    /// The wrap.
    pub wrap: Option<Wrap>,
}

/// How adding a wrap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrapAdded {
    /// There now.
    Added,
    /// The account does not own the device.
    NotOwner,
    /// No such generation of the present binding.
    Unknown,
    /// The camera itself wrapped the generation for this recipient.
    ByCamera,
    /// There is no room for another.
    Full,
}

/// A sealing order to store.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// Device.
    pub serial: Serial,
    /// Binding that it is for.
    pub binding_epoch: u64,
    /// Its number.
    pub sequence: u64,
    /// What it orders.
    pub sealed: bool,
    /// The signed bytes.
    pub signed: Vec<u8>,
    /// Key verifier that its signature was checked with.
    pub verifier: [u8; 32],
}

/// The sealing order in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// Its number.
    pub sequence: u64,
    /// What it orders.
    pub sealed: bool,
    /// The signed bytes.
    pub signed: Vec<u8>,
    /// Since when it is in force, Unix seconds.
    pub stored_at: u64,
}

/// How storing an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderPut {
    /// In force now, and told.
    Stored,
    /// The same bytes were in force.
    Same,
    /// As old as the one in force, or older; holds the sequence in force.
    NotNewer(u64),
    /// Bound otherwise, or another key verifier, by now.
    OtherBinding,
}

/// One change of a device's mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncModeEvent {
    /// Mode from then on.
    pub mode: EncMode,
    /// Its owner ordered that; else a new key has ended the former order.
    pub ordered: bool,
    /// Unix seconds.
    pub at: u64,
}
