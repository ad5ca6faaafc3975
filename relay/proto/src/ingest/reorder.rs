//! Brings packets into sequence, within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::limits::{MAX_FRAME, REORDER_PACKETS, REORDER_WAIT};
use crate::wire::rtp;

/// Payload bytes held while a missing packet is awaited. A packet that does not fit makes the wait
/// end at once.
pub(super) const REORDER_BYTES: usize = 2 * MAX_FRAME;
/// Distance of a sequence number behind the next one, or ahead of the newest, beyond which it is no
/// loss but another numbering.
const WINDOW: i64 = REORDER_PACKETS as i64;
/// Most sequence numbers between the next packet and the newest held one; far less than half the
/// 16-bit circle, so that none is ambiguous.
const SPAN: i64 = 16 * WINDOW;

/// One packet with what ingest needs of its header.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) ssrc: u32,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) arrival: Instant,
    /// Without header and padding; empty for padding-only packets.
    pub(super) payload: Bytes,
}

/// What comes out, in order.
#[derive(Debug)]
pub(super) enum Ordered {
    /// The next packet in sequence.
    Packet(Packet),
    /// So many packets before the next one are given up.
    Gap(u64),
    /// What follows has another SSRC or numbering, with no relation to what came before.
    Restart,
}

/// The reorder buffer of one track.
#[derive(Debug)]
pub(super) struct Reorder {
    unordered: bool,
    ssrc: u32,
    /// Extended sequence number wanted next; `None` before the first packet.
    next: Option<u64>,
    held: BTreeMap<u64, Packet>,
    held_bytes: usize,
    /// Arrival of the oldest held packet.
    oldest: Option<Instant>,
    /// A packet of another SSRC or numbering; a second one of its kind makes it the new order, so
    /// that one stray packet moves nothing.
    candidate: Option<Packet>,
    out: VecDeque<Ordered>,
    dropped: u64,
}

impl Reorder {
    pub(super) fn new(unordered: bool) -> Self {
        Self {
            unordered,
            ssrc: 0,
            next: None,
            held: BTreeMap::new(),
            held_bytes: 0,
            oldest: None,
            candidate: None,
            out: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes a packet. Late ones and duplicates are dropped.
    pub(super) fn push(&mut self, packet: Packet) {
        let Some(next) = self.next else {
            self.start(&packet);
            return self.emit(packet);
        };
        let newest = self.held.last_key_value().map_or(next, |(&newest, _)| newest);
        let seq = rtp::extend_seq(newest, packet.seq);
        let ahead = seq.cast_signed() - next.cast_signed();
        let beyond = seq.cast_signed() - newest.cast_signed();
        if !self.unordered {
            return self.push_ordered(packet, ahead);
        }
        let foreign = !(-WINDOW..=SPAN).contains(&ahead) || beyond > WINDOW;
        if packet.ssrc != self.ssrc || foreign {
            return self.push_foreign(packet);
        }
        self.candidate = None;
        match ahead {
            ..0 => self.dropped += 1,
            0 if self.held.is_empty() => self.emit(packet),
            _ => self.hold(seq, packet),
        }
    }

    /// A transport that keeps the order: a step forward is a loss on the publisher's side, any
    /// other step a new count.
    fn push_ordered(&mut self, packet: Packet, ahead: i64) {
        if packet.ssrc != self.ssrc {
            self.out.push_back(Ordered::Restart);
            self.start(&packet);
        } else if ahead != 0 {
            if ahead > 0 {
                self.out.push_back(Ordered::Gap(ahead.unsigned_abs()));
            }
            self.start(&packet);
        }
        self.emit(packet);
    }

    fn push_foreign(&mut self, packet: Packet) {
        let joins = |first: &Packet| {
            let distance = packet.seq.wrapping_sub(first.seq) as i16;
            first.ssrc == packet.ssrc && distance != 0 && i64::from(distance).abs() <= WINDOW
        };
        match self.candidate.take() {
            Some(first) if joins(&first) => {
                self.flush();
                let renumbered = first.ssrc == self.ssrc;
                let mut pair = [first, packet];
                if (pair[1].seq.wrapping_sub(pair[0].seq) as i16) < 0 {
                    pair.swap(0, 1);
                }
                self.out.push_back(if renumbered { Ordered::Gap(1) } else { Ordered::Restart });
                self.start(&pair[0]);
                for packet in pair {
                    self.push(packet);
                }
            }
            _ => self.candidate = Some(packet),
        }
    }

    fn start(&mut self, packet: &Packet) {
        self.ssrc = packet.ssrc;
        // Far from zero, so that neither way saturates.
        self.next = Some((1 << 32) + u64::from(packet.seq));
    }

    fn emit(&mut self, packet: Packet) {
        self.next = self.next.map(|next| next + 1);
        self.out.push_back(Ordered::Packet(packet));
    }

    fn hold(&mut self, seq: u64, packet: Packet) {
        if self.held.contains_key(&seq) {
            self.dropped += 1;
            return;
        }
        let arrival = packet.arrival;
        self.held_bytes += packet.payload.len();
        self.held.insert(seq, packet);
        self.oldest = Some(self.oldest.map_or(arrival, |oldest| oldest.min(arrival)));
        self.release();
        while self.held.len() > REORDER_PACKETS || self.held_bytes > REORDER_BYTES {
            self.give_up();
        }
    }

    /// Gives out held packets up to the next hole.
    fn release(&mut self) {
        let before = self.held.len();
        while let (Some(next), Some(first)) = (self.next, self.held.first_entry())
            && *first.key() == next
        {
            let packet = first.remove();
            self.held_bytes -= packet.payload.len();
            self.emit(packet);
        }
        if self.held.len() != before {
            self.oldest = self.held.values().map(|packet| packet.arrival).min();
        }
    }

    /// Gives up what is missing before the first held packet.
    fn give_up(&mut self) {
        let (Some(next), Some((&first, _))) = (self.next, self.held.first_key_value()) else {
            return;
        };
        if first > next {
            self.out.push_back(Ordered::Gap(first - next));
        }
        self.next = Some(first);
        self.release();
    }

    /// Gives out all that is held, whatever is missing.
    pub(super) fn flush(&mut self) {
        while !self.held.is_empty() {
            self.give_up();
        }
    }

    /// Starts anew with the next packet, whatever its numbering.
    pub(super) fn reset(&mut self, unordered: bool) {
        *self = Self { dropped: self.dropped, ..Self::new(unordered) };
    }

    /// Packets that came twice or too late.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// When the wait for the first missing packet ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.oldest.map(|oldest| oldest + REORDER_WAIT)
    }

    /// Gives up what has been awaited long enough.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            self.give_up();
        }
    }

    pub(super) fn pop(&mut self) -> Option<Ordered> {
        self.out.pop_front()
    }
}
