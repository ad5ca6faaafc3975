//! Which viewer list counts: the newest one of this binding that its owner signed. Used by the
//! camera, and by an owner's terminal before it builds a list on one that the server handed out.

use super::{Binding, ListError, SignedList, SigningPublic};

/// Holds the list in force.
#[derive(Clone, Debug)]
pub struct ListKeeper {
    binding: Binding,
    verifier: SigningPublic,
    held: Option<SignedList>,
}

/// A list that may replace the one in force.
#[derive(Debug)]
pub struct NewerList(SignedList);

/// A list changes nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum ListRefused {
    /// No list, or not signed with this device's secret.
    #[error(transparent)]
    Invalid(#[from] ListError),
    /// Another device's.
    #[error("the viewer list is another device's")]
    OtherDevice,
    /// Of a former or a later owner.
    #[error("the viewer list is of binding epoch {offered}; this is {current}")]
    OtherBinding {
        /// Epoch of the list.
        offered: u64,
        /// Epoch in force.
        current: u64,
    },
    /// It is the list in force.
    #[error("the viewer list is the one in force")]
    Held,
    /// As old as the list in force, or older.
    #[error("viewer list {offered} is not newer than {held}, which is in force")]
    NotNewer {
        /// Version of the list.
        offered: u64,
        /// Version in force.
        held: u64,
    },
}

impl ListKeeper {
    /// For a binding whose `auth` key has this public half; no list yet.
    pub fn new(binding: Binding, verifier: SigningPublic) -> Self {
        Self { binding, verifier, held: None }
    }

    /// The list in force.
    pub fn list(&self) -> Option<&SignedList> {
        self.held.as_ref()
    }

    /// Version of the list in force, 0 without.
    pub fn version(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.list().version())
    }

    /// The binding.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Public half of the `auth` key.
    pub fn verifier(&self) -> &SigningPublic {
        &self.verifier
    }

    /// Checks a list against the one in force. Changes nothing: what it returns is stored first,
    /// then adopted, so that a restart does not fall back to an older list.
    ///
    /// # Errors
    /// See [`ListRefused`].
    pub fn check(&self, bytes: &[u8]) -> Result<NewerList, ListRefused> {
        if self.held.as_ref().is_some_and(|held| held.bytes() == bytes) {
            return Err(ListRefused::Held);
        }
        let offered = SignedList::open(bytes, &self.verifier)?;
        let binding = offered.list().binding();
        if binding.serial != self.binding.serial {
            return Err(ListRefused::OtherDevice);
        }
        if binding.epoch != self.binding.epoch {
            let current = self.binding.epoch;
            return Err(ListRefused::OtherBinding { offered: binding.epoch, current });
        }
        let (version, held) = (offered.list().version(), self.version());
        if version <= held {
            return Err(ListRefused::NotNewer { offered: version, held });
        }
        Ok(NewerList(offered))
    }

    /// Puts a list into force.
    pub fn adopt(&mut self, newer: NewerList) {
        self.held = Some(newer.0);
    }
}

impl NewerList {
    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}
