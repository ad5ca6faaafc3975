//! The keys of sealed video: who may open what, and how a camera says so. `KEYS.md` beside this
//! crate's manifest has the formats and the state machines.
//!
//! A camera makes a *generation* (a random base key of SFrame) and wraps it for every terminal on
//! the *viewer list* that its owner signed. The server stores both and can change neither.

mod bytes;
mod camera;
mod confirm;
mod exchange;
mod generation;
mod hpke;
mod keyring;
mod list_keeper;
mod order;
mod owners_word;
mod terminal;
mod viewer_list;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use bytes::Malformed;
pub use camera::{
    CameraKeys, DAILY, ListNotTaken, Moment, NewGeneration, OrderNotTaken, Reason, RekeyError,
    StateError,
};
pub use confirm::{
    CODE_DIGITS, ConfirmError, Confirmation, GuestCommitment, GuestOffer, OwnerReply, Reveal,
};
pub use exchange::{ExchangeKey, ExchangePublic};
pub use generation::{
    BaseKey, BlobError, Generation, GenerationBlob, GenerationHeader, MAX_BLOB, MAX_WRAPS,
    OpenedGeneration, OutOfRange,
};
pub use keyring::{Keyring, MAX_CLOCK_LEAD, MAX_HELD_LIVE, MAX_HELD_RECORDINGS};
pub use list_keeper::{ListKeeper, ListRefused, NewerList};
pub use order::{OrderRefused, SealingOrder};
pub use owners_word::OwnersWord;
pub use terminal::{TerminalKeys, TerminalPublic};
pub use viewer_list::{
    ListError, MAX_ACCOUNT, MAX_LIST, MAX_VIEWERS, Scopes, SignedList, Viewer, ViewerList,
};

use sightline_relay_proto::ids::DeviceId;

/// Public half of an Ed25519 key.
pub type SigningPublic = [u8; 32];

/// A device under one owner. Everything that is signed names it, so that nothing of one camera or
/// one owner passes for another's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The device.
    pub serial: DeviceId,
    /// Rises with each owner.
    pub epoch: u64,
}

/// Whether the owner of `public` signed `body` under `label`.
fn verifies(public: &SigningPublic, label: &str, body: &[u8], signature: &[u8]) -> bool {
    let key = sightline_grant::PublicKey::Ed25519(*public);
    key.verify(&bytes::labelled(label, body), signature)
}
