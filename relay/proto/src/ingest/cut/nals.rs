//! Frames of H.264 and H.265.

use std::mem;

use bytes::{Bytes, BytesMut};

use super::{Broken, Cut, ParameterSets};
use crate::ingest::MAX_FRAME_PACKETS;
use crate::limits::MAX_CANONICAL_PAYLOAD;
use crate::wire::annexb;
use crate::wire::nal::{Fragment, NalClass, NalFormat, NalPayload};

pub(super) fn cut(
    format: NalFormat,
    sets: &mut ParameterSets,
    packets: &[Bytes],
    continued: bool,
) -> Result<Option<Cut>, Broken> {
    let mut cutter = Cutter {
        format,
        sets,
        out: Vec::with_capacity(packets.len()),
        lone_sets: Vec::new(),
        kinds: 0,
        first_slice: None,
        keyframe: false,
        referenced: false,
        run: Vec::new(),
    };
    for packet in packets {
        cutter.packet(packet)?;
    }
    cutter.finish(continued)
}

struct Cutter<'a> {
    format: NalFormat,
    sets: &'a mut ParameterSets,
    out: Vec<Bytes>,
    /// Places in `out` of payloads that are one parameter set.
    lone_sets: Vec<usize>,
    /// Bit set of the kinds of parameter sets in the frame.
    kinds: u8,
    /// Whether the frame's first slice is the first of its picture; `None` without slice.
    first_slice: Option<bool>,
    keyframe: bool,
    referenced: bool,
    /// Fragments of the NAL unit that is not complete yet, each with its whole payload.
    run: Vec<(Bytes, Fragment)>,
}

impl Cutter<'_> {
    fn packet(&mut self, packet: &Bytes) -> Result<(), Broken> {
        if self.out.len() > MAX_FRAME_PACKETS {
            return Err(Broken);
        }
        let payload = self.format.parse(packet).ok_or(Broken)?;
        let fragment = matches!(payload, NalPayload::Fragment(_));
        if !fragment && !self.run.is_empty() {
            return Err(Broken);
        }
        match payload {
            NalPayload::Single(nal) => self.unit(&nal),
            NalPayload::Aggregate(nals) => self.aggregate(packet, &nals),
            NalPayload::Fragment(part) => return self.fragment(packet, part),
        }
        Ok(())
    }

    fn aggregate(&mut self, packet: &Bytes, nals: &[Bytes]) {
        let clean = nals.iter().all(|nal| {
            let whole = nal.len() >= self.format.header_len() && !annexb::starts_with_code(nal);
            whole && self.format.class(nal) != NalClass::Delimiter
        });
        if !clean || packet.len() > MAX_CANONICAL_PAYLOAD {
            nals.iter().for_each(|nal| self.unit(nal));
            return;
        }
        for nal in nals {
            self.note(self.format.class(nal), nal);
        }
        self.out.push(packet.clone());
    }

    fn fragment(&mut self, packet: &Bytes, part: Fragment) -> Result<(), Broken> {
        if part.start != self.run.is_empty() {
            return Err(Broken);
        }
        let end = part.end;
        self.run.push((packet.clone(), part));
        if end {
            self.close_run();
        }
        Ok(())
    }

    fn close_run(&mut self) {
        let run = mem::take(&mut self.run);
        let Some((_, first)) = run.first() else { return };
        let class = self.format.fragment_class(first);
        if !matches!(class, NalClass::Slice { .. }) {
            // Some cameras put a whole byte stream behind the first parameter set's header.
            let mut whole = BytesMut::new();
            whole.extend_from_slice(&first.header[..self.format.header_len()]);
            run.iter().for_each(|(_, part)| whole.extend_from_slice(&part.body));
            return self.unit(&whole.freeze());
        }
        self.note(class, &[]);
        if run.iter().all(|(packet, _)| packet.len() <= MAX_CANONICAL_PAYLOAD) {
            self.out.extend(run.into_iter().map(|(packet, _)| packet));
        } else {
            let header = first.header;
            let body: Vec<Bytes> = run.into_iter().map(|(_, part)| part.body).collect();
            self.format.push_fragments(header, &body, &mut self.out);
        }
    }

    /// A whole NAL unit, or a byte stream in its place: only the latter can hold a start code. In
    /// slices none is looked for but in front.
    fn unit(&mut self, nal: &Bytes) {
        let slice = matches!(self.format.class(nal), NalClass::Slice { .. });
        if slice && !annexb::starts_with_code(nal) {
            return self.plain_unit(nal);
        }
        for nal in annexb::slices(nal) {
            self.plain_unit(&nal);
        }
    }

    fn plain_unit(&mut self, nal: &Bytes) {
        let class = self.format.class(nal);
        let short = nal.len() < self.format.header_len();
        if class == NalClass::Delimiter || short || self.out.len() > MAX_FRAME_PACKETS {
            return;
        }
        self.note(class, nal);
        if matches!(class, NalClass::ParameterSet(_)) && nal.len() <= MAX_CANONICAL_PAYLOAD {
            self.lone_sets.push(self.out.len());
        }
        self.format.push_unit(nal, &mut self.out);
    }

    fn note(&mut self, class: NalClass, nal: &[u8]) {
        match class {
            NalClass::Slice { keyframe, reference, first } => {
                self.first_slice.get_or_insert(first);
                self.keyframe |= keyframe;
                self.referenced |= !reference.is_needless(self.sets.top_sub_layer());
            }
            NalClass::ParameterSet(kind) => {
                self.kinds |= 1 << kind;
                self.sets.update(nal);
            }
            NalClass::Delimiter | NalClass::Other => {}
        }
    }

    fn finish(mut self, continued: bool) -> Result<Option<Cut>, Broken> {
        if !self.run.is_empty() {
            return Err(Broken);
        }
        let Some(first) = self.first_slice else { return Ok(None) };
        // A camera whose timestamps stand still sends new pictures, no more slices of one.
        let continued = continued && !first;
        let all_kinds = (1 << self.format.parameter_set_kinds()) - 1;
        if self.keyframe && !continued && self.kinds != all_kinds {
            let sets = self.sets.payloads();
            if !sets.is_empty() {
                let mut lone = mem::take(&mut self.lone_sets).into_iter().peekable();
                let kept = mem::take(&mut self.out).into_iter().enumerate();
                let kept = kept.filter(|(at, _)| lone.next_if_eq(at).is_none());
                self.out = sets.iter().cloned().chain(kept.map(|(_, payload)| payload)).collect();
            }
        }
        if self.out.len() > MAX_FRAME_PACKETS {
            return Err(Broken);
        }
        Ok(Some(Cut {
            payloads: self.out,
            keyframe: self.keyframe && !continued,
            discardable: !self.referenced,
        }))
    }
}
