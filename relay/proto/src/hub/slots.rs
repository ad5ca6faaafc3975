//! An arena with ids that are never reused: constant-time look-up, order by slot.

/// Values by id. An id is a slot number below a generation that rises with each reuse of the slot.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<Slot<T>>,
    free: Vec<u32>,
    live: usize,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), live: 0 }
    }
}

impl<T> Slots<T> {
    /// Stores a value under a new id.
    pub(super) fn insert(&mut self, value: T) -> u64 {
        self.live += 1;
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.entries[slot as usize];
            entry.value = Some(value);
            return join(slot, entry.generation);
        }
        let slot = u32::try_from(self.entries.len()).expect("fewer than 2^32 live entries");
        self.entries.push(Slot { generation: 0, value: Some(value) });
        join(slot, 0)
    }

    pub(super) fn get(&self, id: u64) -> Option<&T> {
        let entry = self.entries.get(slot(id))?;
        entry.value.as_ref().filter(|_| entry.generation == generation(id))
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let entry = self.entries.get_mut(slot(id))?;
        entry.value.as_mut().filter(|_| entry.generation == generation(id))
    }

    /// Takes a value out. A slot whose generations are used up is not used again.
    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        let slot = id as u32;
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.generation != generation(id) {
            return None;
        }
        let value = entry.value.take()?;
        self.live -= 1;
        if let Some(next) = entry.generation.checked_add(1) {
            entry.generation = next;
            self.free.push(slot);
        }
        Some(value)
    }

    /// Live values.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Live values in slot order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.entries.iter().enumerate().filter_map(|(slot, entry)| {
            let value = entry.value.as_ref()?;
            Some((join(slot as u32, entry.generation), value))
        })
    }
}

/// The slot of an id.
pub(super) fn slot(id: u64) -> usize {
    id as u32 as usize
}

fn join(slot: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(slot)
}

fn generation(id: u64) -> u32 {
    (id >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_another_id_and_the_old_id_finds_nothing() {
        let mut slots = Slots::default();
        let first = slots.insert("a");
        assert_eq!(slots.remove(first), Some("a"));
        let second = slots.insert("b");
        assert_ne!(first, second);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"b"));
        assert_eq!(slots.len(), 1);
    }
}
