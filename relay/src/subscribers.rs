//! Who stands behind each subscriber of the hub: a table in the order of the hub's slots.
//!
//! Every frame asks it once a viewer, so it is no hash map: viewers that are served one after the
//! other stand beside each other.

use sightline_relay_proto::hub::SubscriberId;

use crate::port::{PeerId, PortKind};

/// A port and its peer.
type Owner = (PortKind, PeerId);

/// The owners of subscribers.
#[derive(Default)]
pub(crate) struct Subscribers {
    /// By slot; the id tells a slot's present subscriber from earlier ones.
    entries: Vec<Option<(SubscriberId, Owner)>>,
    len: usize,
}

impl Subscribers {
    /// Enters a subscriber. One that had its slot before has left.
    pub(crate) fn insert(&mut self, id: SubscriberId, owner: Owner) {
        if self.entries.len() <= id.slot() {
            self.entries.resize(id.slot() + 1, None);
        }
        let before = self.entries[id.slot()].replace((id, owner));
        self.len += usize::from(before.is_none());
    }

    /// Takes a subscriber out.
    pub(crate) fn remove(&mut self, id: &SubscriberId) {
        if self.get(id).is_some() {
            self.entries[id.slot()] = None;
            self.len -= 1;
        }
    }

    /// Who stands behind a subscriber.
    pub(crate) fn get(&self, id: &SubscriberId) -> Option<&Owner> {
        let (of, owner) = self.entries.get(id.slot())?.as_ref()?;
        (of == id).then_some(owner)
    }

    /// Everyone that has a subscriber.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Owner> {
        self.entries.iter().flatten().map(|(_, owner)| owner)
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id that the hub gives to the slot's user of a generation.
    fn id(slot: u64, generation: u64) -> SubscriberId {
        SubscriberId(generation << 32 | slot)
    }

    #[test]
    fn an_id_finds_its_own_owner_only() {
        let owner = |peer| (PortKind::WebRtc, PeerId(peer));
        let mut subscribers = Subscribers::default();
        subscribers.insert(id(3, 0), owner(1));
        subscribers.insert(id(0, 0), owner(2));
        assert_eq!(subscribers.get(&id(3, 0)), Some(&owner(1)));
        assert_eq!((subscribers.get(&id(1, 0)), subscribers.get(&id(9, 0))), (None, None));
        subscribers.remove(&id(3, 0));
        subscribers.remove(&id(3, 0));
        assert_eq!(subscribers.len(), 1);
        subscribers.insert(id(3, 1), owner(3));
        assert_eq!(subscribers.get(&id(3, 0)), None, "the slot has a new subscriber");
        subscribers.remove(&id(3, 0));
        assert_eq!(subscribers.get(&id(3, 1)), Some(&owner(3)));
        assert_eq!(subscribers.values().count(), 2);
        assert!(!subscribers.is_empty());
    }
}
