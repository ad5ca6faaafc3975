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

    /// The sets in sending order, without start codes.
    pub(super) fn nals(&self) -> impl Iterator<Item = &Bytes> {
        self.sets.iter().map(|set| &set.bytes)
    }

    /// The highest sub-layer that one of them allows, if any says it.
    pub(super) fn top_sub_layer(&self) -> Option<u8> {
        self.nals().filter_map(|nal| self.format.top_sub_layer(nal)).max()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A PPS of this number, 12 bits at least.
    fn pps(id: u32, len: usize) -> Bytes {
        let code = u64::from(id + 1) << (63 - 2 * (id + 1).ilog2());
        let mut nal = vec![0x68];
        nal.extend(code.to_be_bytes());
        nal.resize(len, 0x55);
        nal.into()
    }

    #[test]
    fn the_oldest_set_of_a_kind_gives_way() {
        for (count, first_stays) in [(MAX_SETS_OF_KIND, true), (MAX_SETS_OF_KIND + 1, false)] {
            let sets: Vec<_> = (0..count as u32).map(|id| pps(id, 12)).collect();
            let kept = ParameterSets::new(NalFormat::H264, &sets);
            assert_eq!(kept.nals().count(), MAX_SETS_OF_KIND);
            assert_eq!(kept.nals().any(|nal| *nal == sets[0]), first_stays);
        }
    }

    #[test]
    fn a_set_over_the_bound_is_not_kept() {
        for (len, kept) in [(MAX_SET, 1), (MAX_SET + 1, 0)] {
            let sets = ParameterSets::new(NalFormat::H264, &[pps(0, len)]);
            assert_eq!(sets.nals().count(), kept);
        }
    }

    #[test]
    fn sets_stand_in_sending_order_and_a_new_one_replaces_its_number() {
        let sps = Bytes::from_static(&[0x67, 0x42, 0xc0, 30, 0x95]);
        let mut sets = ParameterSets::new(NalFormat::H264, &[pps(3, 12), sps.clone()]);
        sets.update(&pps(3, 14));
        let nals: Vec<_> = sets.nals().cloned().collect();
        assert_eq!(nals, [sps, pps(3, 14)]);
        assert_eq!(sets.payloads().len(), 1);
    }
}
