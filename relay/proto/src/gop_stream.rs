//! What a WebTransport viewer reads: frames on uni streams, a stream for each group of pictures.
//!
//! All integers are those of QUIC (RFC 9000, 16). A stream is
//!
//! ```text
//! version (1), track, item, item, ...
//! item = length of what follows, flags, sequence, media time, [capture time], payload
//! ```
//!
//! - *track* is the place of the track in the session's list. A video stream begins with a
//!   keyframe and ends before the next one. Sound has one stream for the whole session.
//! - *flags*: 1 keyframe, 2 discardable (no later frame refers to it), 4 discontinuity (frames
//!   before this one were lost on their way to the relay), 8 sealed, 16 tier sub, 32 capture time
//!   is there. Others are 0; a reader ignores them.
//! - *sequence* rises from frame to frame of a track, not by one. *Media time* is in ticks of the
//!   track's clock since some start and does not wrap. *Capture time* is the camera's clock,
//!   microseconds since 1970 UTC.
//! - *payload* of an open camera is an access unit: Annex B with parameter sets before each
//!   keyframe (H.264, H.265), a temporal unit of OBUs with sizes (AV1), the bare unit (sound). Of a
//!   sealed camera it is the sealed frame as [`sealed`] describes it, which names its key itself
//!   and opens to such an access unit. What its own descriptor says is authentic; flags and capture
//!   time of the item repeat it for whoever cannot know.
//!
//! A stream that is reset carries nothing more: the rest of its group is skipped, and the next
//! stream begins with a keyframe. Nothing in an item depends on the viewer, so that one copy serves
//! all.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::frame::{CaptureTime, Descriptor, Frame, MediaTime, Protection};
use crate::ids::{Tier, TrackIndex};
use crate::limits::MAX_FRAME;
use crate::wire::access_unit::access_unit;
use crate::wire::sealed::{self, Head};
use crate::wire::varint;

/// Version of the format.
pub const VERSION: u64 = 1;
/// Most bytes of an item before its payload: length, flags, three integers.
const MAX_ITEM_HEAD: usize = 8 + 1 + 3 * 8;
/// Longest item, bytes. Start codes may make an access unit longer than the frame was.
pub const MAX_ITEM: usize = 2 * MAX_FRAME;

const KEYFRAME: u8 = 1;
const DISCARDABLE: u8 = 1 << 1;
const DISCONTINUITY: u8 = 1 << 2;
const SEALED: u8 = 1 << 3;
const TIER_SUB: u8 = 1 << 4;
const CAPTURED: u8 = 1 << 5;

/// The start of a stream.
pub fn stream_head(track: TrackIndex, out: &mut Vec<u8>) {
    varint::write(VERSION, out);
    varint::write(u64::from(track.0), out);
}

/// A frame as it stands on a stream, with its length. `None`: its payloads make no access unit, or
/// no sealed frame.
pub fn item(frame: &Frame) -> Option<Bytes> {
    let descriptor = &frame.descriptor;
    let payload = match descriptor.protection {
        Protection::Open => access_unit(descriptor.codec, &frame.payloads)?,
        Protection::Sealed { .. } => sealed::join(&frame.payloads).ok()?,
    };
    let mut head = Vec::with_capacity(MAX_ITEM_HEAD);
    head.push(flags(descriptor));
    varint::write(frame.first_seq, &mut head);
    varint::write(descriptor.media_time.0, &mut head);
    if let Some(CaptureTime(capture)) = descriptor.capture {
        varint::write(capture, &mut head);
    }
    let mut length = Vec::with_capacity(8);
    varint::write((head.len() + payload.len()) as u64, &mut length);
    let mut out = BytesMut::with_capacity(length.len() + head.len() + payload.len());
    out.put_slice(&length);
    out.put_slice(&head);
    out.put_slice(&payload);
    Some(out.freeze())
}

fn flags(descriptor: &Descriptor) -> u8 {
    let sealed = matches!(descriptor.protection, Protection::Sealed { .. });
    [
        (descriptor.keyframe, KEYFRAME),
        (descriptor.discardable, DISCARDABLE),
        (descriptor.discontinuity, DISCONTINUITY),
        (sealed, SEALED),
        (descriptor.tier == Tier::Sub, TIER_SUB),
        (descriptor.capture.is_some(), CAPTURED),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .fold(0, |flags, (_, bit)| flags | bit)
}

/// One frame as a viewer reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Track of the stream.
    pub track: TrackIndex,
    /// Decoding can start here.
    pub keyframe: bool,
    /// No later frame refers to it.
    pub discardable: bool,
    /// Frames before this one were lost on their way to the relay.
    pub discontinuity: bool,
    /// The payload is a sealed frame.
    pub sealed: bool,
    /// Quality tier.
    pub tier: Tier,
    /// Rises from frame to frame.
    pub sequence: u64,
    /// Ticks of the track's clock.
    pub media_time: MediaTime,
    /// Camera's clock at capture, if known.
    pub capture: Option<CaptureTime>,
    /// Access unit, or sealed frame.
    pub payload: Bytes,
}

impl Item {
    /// The clear part of a sealed frame; `None` if the item is open or malformed. It is authentic
    /// only once the frame is opened.
    pub fn sealed_head(&self) -> Option<Head> {
        self.sealed.then(|| Head::parse(&self.payload).ok()).flatten()
    }
}

/// The stream breaks the format; nothing after the fault can be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum FormatError {
    /// Another version.
    #[error("version {0} of the stream format is not known; this reader knows {VERSION}")]
    Version(u64),
    /// A track that no session has.
    #[error("track {0} is not in any session")]
    Track(u64),
    /// An item over [`MAX_ITEM`].
    #[error("an item of {0} bytes; {MAX_ITEM} are allowed")]
    TooLong(u64),
    /// An item that ends inside its descriptor.
    #[error("an item that is shorter than its descriptor")]
    TooShort,
}

/// Takes the bytes of one stream, cut anywhere, and gives out items.
#[derive(Default, Debug)]
pub struct Reader {
    track: Option<TrackIndex>,
    held: BytesMut,
}

impl Reader {
    /// More bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.put_slice(bytes);
    }

    /// Bytes held for an item in progress.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The next whole item; `None` until more bytes come.
    ///
    /// # Errors
    /// The stream breaks the format; the reader is of no more use.
    pub fn poll_item(&mut self) -> Result<Option<Item>, FormatError> {
        let track = match self.track {
            Some(track) => track,
            None => match self.read_head()? {
                Some(track) => *self.track.insert(track),
                None => return Ok(None),
            },
        };
        let Some((len, used)) = varint::read(&self.held) else { return Ok(None) };
        let wanted = usize::try_from(len).ok().filter(|len| *len <= MAX_ITEM);
        let wanted = wanted.ok_or(FormatError::TooLong(len))?;
        if self.held.len() - used < wanted {
            return Ok(None);
        }
        self.held.advance(used);
        let body = self.held.split_to(wanted).freeze();
        read_item(track, body).ok_or(FormatError::TooShort).map(Some)
    }

    fn read_head(&mut self) -> Result<Option<TrackIndex>, FormatError> {
        let Some((version, at)) = varint::read(&self.held) else { return Ok(None) };
        if version != VERSION {
            return Err(FormatError::Version(version));
        }
        let Some((track, used)) = varint::read(&self.held[at..]) else { return Ok(None) };
        let index = u8::try_from(track).map_err(|_| FormatError::Track(track))?;
        self.held.advance(at + used);
        Ok(Some(TrackIndex(index)))
    }
}

fn read_item(track: TrackIndex, mut body: Bytes) -> Option<Item> {
    let flags = *body.first()?;
    body.advance(1);
    let mut integer = || {
        let (value, used) = varint::read(&body)?;
        body.advance(used);
        Some(value)
    };
    let sequence = integer()?;
    let media_time = MediaTime(integer()?);
    let captured = flags & CAPTURED != 0;
    let capture = if captured { Some(CaptureTime(integer()?)) } else { None };
    Some(Item {
        track,
        keyframe: flags & KEYFRAME != 0,
        discardable: flags & DISCARDABLE != 0,
        discontinuity: flags & DISCONTINUITY != 0,
        sealed: flags & SEALED != 0,
        tier: if flags & TIER_SUB != 0 { Tier::Sub } else { Tier::Main },
        sequence,
        media_time,
        capture,
        payload: body,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::hub::testing::{FrameSpec, video_frame};
    use crate::wire::sealed::tests::{head as sealed_head, sealed as sealed_frame};

    const TRACK: TrackIndex = TrackIndex(3);
    const SEALED_BY_ONE: Protection = Protection::Sealed { generation: 1 };

    fn sealed_payloads() -> Vec<Bytes> {
        sealed::cut(&sealed_frame(sealed_head(), 3000)).unwrap()
    }

    fn frames() -> Vec<Arc<Frame>> {
        let spec = |keyframe, packets| FrameSpec { keyframe, packets, ..FrameSpec::default() };
        [(true, 3), (false, 1)]
            .map(|(key, packets)| Arc::new(video_frame(spec(key, packets))))
            .into()
    }

    fn stream() -> Vec<u8> {
        let mut out = Vec::new();
        stream_head(TRACK, &mut out);
        frames().iter().for_each(|frame| out.extend_from_slice(&item(frame).unwrap()));
        out
    }

    fn read(reader: &mut Reader) -> Vec<Item> {
        std::iter::from_fn(|| reader.poll_item().unwrap()).collect()
    }

    #[test]
    fn frames_survive_however_their_stream_is_cut() {
        let stream = stream();
        for piece in [1, 2, 7, 1000, stream.len()] {
            let mut reader = Reader::default();
            let mut items = Vec::new();
            for bytes in stream.chunks(piece) {
                reader.push(bytes);
                items.extend(read(&mut reader));
            }
            assert_eq!((items.len(), reader.held()), (2, 0));
            for (item, frame) in items.iter().zip(frames()) {
                let descriptor = frame.descriptor;
                assert_eq!(item.track, TRACK);
                assert_eq!(item.keyframe, descriptor.keyframe);
                assert_eq!(item.media_time, descriptor.media_time);
                assert_eq!(item.capture, descriptor.capture);
                assert_eq!(item.sequence, frame.first_seq);
                let unit = access_unit(descriptor.codec, &frame.payloads).unwrap();
                assert_eq!(item.payload, unit);
            }
        }
    }

    #[test]
    fn every_flag_stands_for_itself() {
        let [frame, ..] = &frames()[..] else { panic!("two frames") };
        let plain = Descriptor {
            keyframe: false,
            discardable: false,
            discontinuity: false,
            capture: None,
            tier: Tier::Main,
            ..frame.descriptor
        };
        let variants = [
            (plain, 0),
            (Descriptor { keyframe: true, ..plain }, 1),
            (Descriptor { discardable: true, ..plain }, 2),
            (Descriptor { discontinuity: true, ..plain }, 4),
            (Descriptor { protection: SEALED_BY_ONE, ..plain }, 8),
            (Descriptor { tier: Tier::Sub, ..plain }, 16),
            (Descriptor { capture: Some(CaptureTime(9)), ..plain }, 32),
        ];
        for (descriptor, expected) in variants {
            assert_eq!(flags(&descriptor), expected);
            let open = descriptor.protection == Protection::Open;
            let payloads = if open { frame.payloads.clone() } else { sealed_payloads().into() };
            let frame = Frame { descriptor, first_seq: 5, payloads };
            let mut reader = Reader::default();
            let mut head = Vec::new();
            stream_head(TRACK, &mut head);
            reader.push(&head);
            reader.push(&item(&frame).unwrap());
            let item = reader.poll_item().unwrap().unwrap();
            assert_eq!(item.keyframe, descriptor.keyframe);
            assert_eq!(item.discardable, descriptor.discardable);
            assert_eq!(item.discontinuity, descriptor.discontinuity);
            assert_eq!(item.sealed, descriptor.protection != Protection::Open);
            assert_eq!((item.tier, item.capture), (descriptor.tier, descriptor.capture));
        }
    }

    #[test]
    fn a_sealed_frame_stands_whole_in_its_item() {
        let descriptor = Descriptor { protection: SEALED_BY_ONE, ..frames()[0].descriptor };
        let payloads = sealed_payloads();
        let whole = Frame { descriptor, first_seq: 5, payloads: payloads.clone().into() };
        let mut reader = Reader::default();
        reader.push(&[1, 3]);
        reader.push(&item(&whole).unwrap());
        let read = reader.poll_item().unwrap().unwrap();
        assert!(read.sealed);
        assert_eq!(read.payload, sealed_frame(sealed_head(), 3000));
        assert_eq!(read.sealed_head(), Some(sealed_head()));
        assert_eq!(Item { sealed: false, ..read.clone() }.sealed_head(), None);
        assert_eq!(read.payload.len(), payloads.iter().map(|it| it.len() - 1).sum::<usize>());
        let torn = Frame { descriptor, first_seq: 5, payloads: payloads[1..].into() };
        assert_eq!(item(&torn), None);
    }

    #[test]
    fn a_stream_that_breaks_the_format_is_told_by_name() {
        let error = |bytes: &[u8]| {
            let mut reader = Reader::default();
            reader.push(bytes);
            reader.poll_item().unwrap_err()
        };
        assert_eq!(error(&[2, 0]), FormatError::Version(2));
        assert_eq!(error(&[1, 0x41, 0]), FormatError::Track(256));
        assert_eq!(error(&[1, 0, 0]), FormatError::TooShort);
        assert_eq!(error(&[1, 0, 2, CAPTURED, 1]), FormatError::TooShort);
        let mut long = vec![1, 0];
        varint::write(MAX_ITEM as u64 + 1, &mut long);
        assert_eq!(error(&long), FormatError::TooLong(MAX_ITEM as u64 + 1));
    }

    #[test]
    fn the_longest_item_is_waited_for() {
        let mut reader = Reader::default();
        let mut bytes = vec![1, 0];
        varint::write(MAX_ITEM as u64, &mut bytes);
        reader.push(&bytes);
        assert_eq!(reader.poll_item(), Ok(None));
    }

    proptest! {
        /// Whatever a stream holds, and however it is cut: items or an error, and nothing is held
        /// beyond what was pushed.
        #[test]
        fn any_bytes_are_survived(pieces in prop::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut reader = Reader::default();
            let mut pushed = 0;
            for piece in pieces {
                pushed += piece.len();
                reader.push(&piece);
                while let Ok(Some(item)) = reader.poll_item() {
                    prop_assert!(item.payload.len() < pushed);
                }
                prop_assert!(reader.held() <= pushed);
            }
        }
    }
}
