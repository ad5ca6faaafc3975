//! Sealed frames from their pieces, by the clear part alone.
//!
//! A frame runs from the piece with the start bit to the one with the end bit, in sequence and of one
//! timestamp. What its clear part says must be what was announced; what opens it is for viewers to
//! find out.

use std::mem;
use std::time::Instant;

use bytes::Bytes;

use super::MAX_FRAME_PACKETS;
use super::reorder::Packet;
use crate::codec::{Codec, MediaKind, TrackInfo};
use crate::ids::{Channel, StreamKey, Tier, TrackIndex};
use crate::limits::MAX_FRAME;
use crate::wire::sealed::{Generation, Head, OVERHEAD, Piece, SerialHash};

/// Whose frames a sealed stream takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealedBy {
    /// The device.
    pub serial: SerialHash,
    /// Its lens.
    pub channel: Channel,
}

impl SealedBy {
    /// The device and lens of a stream.
    pub fn of(key: &StreamKey) -> Self {
        Self { serial: SerialHash::of(&key.device), channel: key.channel }
    }
}

/// A whole frame.
#[derive(Debug)]
pub(super) struct SealedFrame {
    pub(super) timestamp: u32,
    /// Of its first packet.
    pub(super) arrival: Instant,
    pub(super) head: Head,
    pub(super) payloads: Vec<Bytes>,
}

/// What came of a packet.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Frames found to be lost.
    pub(super) lost: u64,
    pub(super) frame: Option<SealedFrame>,
}

/// Joins the sealed frames of one track.
#[derive(Debug)]
pub(super) struct SealedAssembly {
    codec: Codec,
    /// What frames must say of their origin, when that is for us to check.
    announced: Option<Announced>,
    /// Of the newest whole frame. Never falls.
    generation: Option<Generation>,
    /// A picture of a new generation was dropped: it was no keyframe, and none has come since.
    wants_keyframe: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Announced {
    by: SealedBy,
    track: TrackIndex,
    tier: Tier,
}

#[derive(Debug)]
enum State {
    /// Between frames.
    Idle,
    /// Pieces of a frame are here.
    Building(Building),
    /// The rest of a frame that cannot be completed is passed over; it is counted already.
    Skipping,
}

#[derive(Debug)]
struct Building {
    frame: SealedFrame,
    /// Bytes of each piece but the last.
    piece: usize,
    /// Bytes of the sealed frame so far.
    bytes: usize,
}

impl SealedAssembly {
    pub(super) fn new(track: TrackIndex, info: &TrackInfo, by: Option<SealedBy>) -> Self {
        let announced = by.map(|by| Announced { by, track, tier: info.tier });
        // The first packets may be the rest of a frame that began before us.
        let (generation, wants_keyframe) = (None, false);
        Self { codec: info.codec, announced, generation, wants_keyframe, state: State::Skipping }
    }

    /// Whether a keyframe should be asked for, since the last call.
    pub(super) fn take_wish(&mut self) -> bool {
        mem::take(&mut self.wants_keyframe)
    }

    /// What comes next follows nothing that came before; `true` if that leaves a frame unfinished.
    pub(super) fn restart(&mut self) -> bool {
        matches!(mem::replace(&mut self.state, State::Skipping), State::Building(_))
    }

    /// Takes the next packet in sequence.
    pub(super) fn join(&mut self, packet: Packet) -> Joined {
        let Ok(piece) = Piece::parse(&packet.payload) else { return Joined::lost(self.give_up()) };
        let Piece { start, end, body } = piece;
        let mut lost = 0;
        if start {
            // Whatever was building has no end.
            lost += u64::from(self.restart());
            match Head::parse(body).ok().filter(|head| self.admits(head)) {
                Some(head) => self.state = State::Building(Building::new(head, packet)),
                None => lost += 1,
            }
        } else {
            let len = body.len();
            let goes_on = match &mut self.state {
                State::Building(building) => building.add(packet, len, end),
                State::Skipping => true,
                State::Idle => false,
            };
            if !goes_on {
                lost += self.give_up();
            }
        }
        if !end {
            return Joined::lost(lost);
        }
        let State::Building(building) = mem::replace(&mut self.state, State::Idle) else {
            return Joined::lost(lost);
        };
        if building.bytes <= OVERHEAD {
            return Joined::lost(lost + 1);
        }
        self.generation = Some(building.frame.head.header.key.generation);
        Joined { lost, frame: Some(building.frame) }
    }

    /// Passes over the rest of the frame in progress; how many are lost by that.
    fn give_up(&mut self) -> u64 {
        u64::from(!matches!(mem::replace(&mut self.state, State::Skipping), State::Skipping))
    }

    /// Whether a frame is what was announced, and its generation may follow.
    fn admits(&mut self, head: &Head) -> bool {
        let said = &head.descriptor;
        let by = SealedBy { serial: said.serial, channel: said.channel };
        let origin = Announced { by, track: said.track, tier: said.tier };
        let announced = self.announced.is_none_or(|announced| announced == origin);
        if said.codec != self.codec || !announced {
            return false;
        }
        // A picture refers to pictures that may be of an older key, which a viewer may not have.
        let starts = said.keyframe || said.codec.kind() == MediaKind::Audio;
        let generation = head.header.key.generation;
        match self.generation {
            Some(current) if generation == current => true,
            Some(current) if generation < current => false,
            Some(_) | None => {
                self.wants_keyframe = !starts;
                starts
            }
        }
    }
}

impl Building {
    /// The frame that begins with this packet.
    fn new(head: Head, packet: Packet) -> Self {
        let Packet { timestamp, arrival, payload, .. } = packet;
        let piece = payload.len() - 1;
        let frame = SealedFrame { timestamp, arrival, head, payloads: vec![payload] };
        Self { frame, piece, bytes: piece }
    }

    /// Adds a piece of `len` bytes; `false` if it cannot be one of this frame. `end`: the last one.
    fn add(&mut self, packet: Packet, len: usize, end: bool) -> bool {
        let alike = len == self.piece || end && len < self.piece;
        self.bytes += len;
        let fits = self.bytes <= MAX_FRAME && self.frame.payloads.len() < MAX_FRAME_PACKETS;
        if packet.timestamp != self.frame.timestamp || !alike || !fits {
            return false;
        }
        self.frame.payloads.push(packet.payload);
        true
    }
}

impl Joined {
    fn lost(lost: u64) -> Self {
        Self { lost, frame: None }
    }
}
