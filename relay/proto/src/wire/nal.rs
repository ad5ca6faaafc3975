//! What H.264 and H.265 have in common in RTP: NAL units, alone, aggregated or in fragments.

use bytes::{BufMut, Bytes, BytesMut};

use super::{h264, h265};
use crate::limits::MAX_CANONICAL_PAYLOAD;

/// The two NAL-based payload formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalFormat {
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
}

/// One RTP payload, taken apart. All slices share the payload's memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NalPayload {
    /// One whole NAL unit.
    Single(Bytes),
    /// Several whole NAL units (STAP-A, AP); at least one.
    Aggregate(Vec<Bytes>),
    /// A part of a NAL unit (FU-A, FU).
    Fragment(Fragment),
}

/// A part of a NAL unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// The first part.
    pub start: bool,
    /// The last part.
    pub end: bool,
    /// Header of the whole NAL unit; H.264 uses the first byte alone.
    pub header: [u8; 2],
    /// The part, without any header.
    pub body: Bytes,
}

/// What a NAL unit is, as far as a relay of open media cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalClass {
    /// Coded picture data.
    Slice {
        /// Of a picture at which decoding can start (IDR, or an H.265 IRAP).
        keyframe: bool,
        /// Whether others refer to the picture.
        reference: Reference,
        /// The first slice of its picture.
        first: bool,
    },
    /// A parameter set; the number is its place in sending order, from 0.
    ParameterSet(u8),
    /// Access unit delimiter or filler: carries nothing.
    Delimiter,
    /// Anything else, such as SEI.
    Other,
}

/// Whether later pictures may refer to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// They may.
    Any,
    /// Only those of higher sub-layers than this one may (H.265, `TemporalId`).
    Above(u8),
    /// None does.
    None,
}

impl Reference {
    /// Whether all that follows decodes without the picture. `top` is the highest sub-layer of its
    /// stream, if that is known.
    pub fn is_needless(self, top: Option<u8>) -> bool {
        match self {
            Self::Any => false,
            Self::Above(layer) => top.is_some_and(|top| layer >= top),
            Self::None => true,
        }
    }
}

impl NalFormat {
    /// Bytes of a NAL unit header.
    pub fn header_len(self) -> usize {
        match self {
            Self::H264 => 1,
            Self::H265 => 2,
        }
    }

    /// Kinds of parameter sets that a decoder needs.
    pub fn parameter_set_kinds(self) -> u8 {
        match self {
            Self::H264 => 2,
            Self::H265 => 3,
        }
    }

    /// Takes one RTP payload apart; `None` if it is malformed or of a kind that is not used
    /// (interleaved modes, PACI).
    pub fn parse(self, payload: &Bytes) -> Option<NalPayload> {
        match self {
            Self::H264 => h264::parse(payload),
            Self::H265 => h265::parse(payload),
        }
    }

    /// Class of a NAL unit; its first bytes are enough.
    pub fn class(self, nal: &[u8]) -> NalClass {
        match self {
            Self::H264 => h264::class(nal),
            Self::H265 => h265::class(nal),
        }
    }

    /// Class of the NAL unit that a fragment belongs to. Whether it is a picture's first slice is
    /// only known from its first fragment.
    pub fn fragment_class(self, fragment: &Fragment) -> NalClass {
        let mut head = [0; 3];
        let len = self.header_len();
        head[..len].copy_from_slice(&fragment.header[..len]);
        head[len] = fragment.body.first().copied().unwrap_or(0);
        self.class(&head[..=len])
    }

    /// Number of a parameter set among those of its kind.
    pub fn parameter_set_id(self, nal: &[u8]) -> Option<u32> {
        match self {
            Self::H264 => h264::parameter_set_id(nal),
            Self::H265 => h265::parameter_set_id(nal),
        }
    }

    /// The highest sub-layer that a sequence parameter set allows; `None` of anything else, and of
    /// H.264, which has none.
    pub fn top_sub_layer(self, nal: &[u8]) -> Option<u8> {
        match self {
            Self::H264 => None,
            Self::H265 => h265::top_sub_layer(nal),
        }
    }

    /// Appends the payloads of one NAL unit: itself if it fits, else fragments of equal size.
    pub fn push_unit(self, nal: &Bytes, out: &mut Vec<Bytes>) {
        if nal.len() <= MAX_CANONICAL_PAYLOAD {
            if nal.len() >= self.header_len() {
                out.push(nal.clone());
            }
            return;
        }
        let mut header = [0; 2];
        let len = self.header_len();
        header[..len].copy_from_slice(&nal[..len]);
        self.push_fragments(header, &[nal.slice(len..)], out);
    }

    /// Appends fragments of equal size of the NAL unit with this header and body.
    pub fn push_fragments(self, header: [u8; 2], body: &[Bytes], out: &mut Vec<Bytes>) {
        match self {
            Self::H264 => h264::push_fragments(header[0], body, out),
            Self::H265 => h265::push_fragments(header, body, out),
        }
    }

    /// Appends `nals` in as few payloads as they fit, aggregated; units too long for that are cut.
    pub fn push_aggregated(self, nals: &[Bytes], out: &mut Vec<Bytes>) {
        let mut start = 0;
        let mut size = self.header_len();
        for (index, nal) in nals.iter().enumerate() {
            let room = size + 2 + nal.len() <= MAX_CANONICAL_PAYLOAD;
            if !room && index > start {
                self.push_group(&nals[start..index], out);
                (start, size) = (index, self.header_len());
            }
            size += 2 + nal.len();
        }
        self.push_group(&nals[start..], out);
    }

    fn push_group(self, nals: &[Bytes], out: &mut Vec<Bytes>) {
        if let [] | [_] = nals {
            nals.iter().for_each(|nal| self.push_unit(nal, out));
            return;
        }
        let size: usize = nals.iter().map(|nal| 2 + nal.len()).sum();
        let mut payload = BytesMut::with_capacity(size + 2);
        match self {
            Self::H264 => payload.put_u8(h264::aggregation_header(nals)),
            Self::H265 => payload.put_slice(&h265::aggregation_header(nals)),
        }
        for nal in nals {
            payload.put_u16(nal.len() as u16);
            payload.put_slice(nal);
        }
        out.push(payload.freeze());
    }
}

/// Most NAL units taken from one aggregation packet.
pub const MAX_AGGREGATED: usize = 512;

/// Whole NAL units behind 16-bit lengths, as both aggregation packets hold them; `None` if a length
/// is zero or goes beyond the end, if there is no unit or more than [`MAX_AGGREGATED`].
pub(crate) fn split_lengths(payload: &Bytes, mut at: usize) -> Option<Vec<Bytes>> {
    let mut nals = Vec::new();
    while at < payload.len() {
        let head = payload.get(at..at + 2)?;
        let len = usize::from(u16::from_be_bytes([head[0], head[1]]));
        at += 2;
        if len == 0 || len > payload.len() - at || nals.len() == MAX_AGGREGATED {
            return None;
        }
        nals.push(payload.slice(at..at + len));
        at += len;
    }
    (!nals.is_empty()).then_some(nals)
}
