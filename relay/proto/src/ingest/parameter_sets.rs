//! The latest parameter sets of a video track, ready to go before each keyframe.

use bytes::Bytes;

use crate::wire::annexb;
use crate::wire::nal::{NalClass, NalFormat};

/// Parameter sets kept of one kind; the oldest gives way.
pub(super) const MAX_SETS_OF_KIND: usize = 16;
/// Longest parameter set kept, bytes.
pub(super) const MAX_SET: usize = 4096;

#[derive(Debug)]
struct Set {
    kind: u8,
    id: u32,
    bytes: Bytes,
}

/// Parameter sets by kind and number, in sending order.
#[derive(Debug)]
pub(super) struct ParameterSets {
    format: NalFormat,
    sets: Vec<Set>,
    packed: Option<Vec<Bytes>>,
}

impl ParameterSets {
    /// Starts with the sets known out of band; start codes in them are tolerated.
    pub(super) fn new(format: NalFormat, known: &[Bytes]) -> Self {
        let mut sets = Self { format, sets: Vec::new(), packed: None };
        known.iter().flat_map(annexb::slices).for_each(|nal| sets.update(&nal));
        sets
    }

    /// Takes a parameter set; anything else, and one too long, is passed over.
    pub(super) fn update(&mut self, nal: &[u8]) {
        let NalClass::ParameterSet(kind) = self.format.class(nal) else { return };
        let id = self.format.parameter_set_id(nal).unwrap_or(0);
        if nal.len() > MAX_SET {
            return;
        }
        if let Some(set) = self.sets.iter_mut().find(|set| (set.kind, set.id) == (kind, id)) {
            if set.bytes == *nal {
                return;
            }
            // A copy, so that a small set never keeps a large receive buffer alive.
            set.bytes = Bytes::copy_from_slice(nal);
        } else {
            if self.sets.iter().filter(|set| set.kind == kind).count() >= MAX_SETS_OF_KIND {
                let oldest = self.sets.iter().position(|set| set.kind == kind);
                oldest.map(|index| self.sets.remove(index));
            }
            let at = self.sets.partition_point(|set| set.kind <= kind);
            self.sets.insert(at, Set { kind, id, bytes: Bytes::copy_from_slice(nal) });
        }
        self.packed = None;
    }

    /// The payloads that carry all sets, made once per change.
    pub(super) fn payloads(&mut self) -> &[Bytes] {
        let (format, sets) = (self.format, &self.sets);
        self.packed.get_or_insert_with(|| {
            let nals: Vec<Bytes> = sets.iter().map(|set| set.bytes.clone()).collect();
            let mut out = Vec::new();
            format.push_aggregated(&nals, &mut out);
            out
        })
    }
}
