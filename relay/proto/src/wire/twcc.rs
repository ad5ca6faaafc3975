//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1): which of the
//! packets that carry the transport's own counter have arrived.
//!
//! Only the counts are taken. Arrival times are checked for their length and not kept: the
//! estimator needs loss and the received rate, and a record of sending times would cost each
//! viewer a kilobyte.

/// Sender, media source, base, count, reference time and feedback number.
const HEAD: usize = 16;

/// What one feedback packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrivals {
    /// Counter of the first packet reported on.
    pub first: u16,
    /// Packets reported on.
    pub packets: u16,
    /// Of these, packets that have arrived.
    pub received: u16,
}

/// Reads a transport-wide feedback packet without its RTCP header; `None` if it is malformed.
pub(super) fn parse(body: &[u8]) -> Option<Arrivals> {
    let head: &[u8; HEAD] = body.first_chunk()?;
    let first = u16::from_be_bytes([head[8], head[9]]);
    let packets = u16::from_be_bytes([head[10], head[11]]);
    let (mut left, mut received, mut deltas) = (usize::from(packets), 0, 0);
    let mut rest = &body[HEAD..];
    while left > 0 {
        let (chunk, after) = rest.split_first_chunk()?;
        rest = after;
        let chunk = u16::from_be_bytes(*chunk);
        let taken = match chunk >> 14 {
            0 | 1 => {
                let run = left.min(usize::from(chunk & 0x1fff));
                let bytes = delta_len(chunk >> 13 & 0b11)?;
                received += if bytes > 0 { run } else { 0 };
                deltas += bytes * run;
                // An empty run would never end.
                (run > 0).then_some(run)?
            }
            2 => {
                let run = left.min(14);
                let arrived = (chunk << 2).leading_bits(run);
                received += arrived;
                deltas += arrived;
                run
            }
            _ => {
                let run = left.min(7);
                for symbol in 0..run {
                    let bytes = delta_len(chunk >> (12 - 2 * symbol) & 0b11)?;
                    received += usize::from(bytes > 0);
                    deltas += bytes;
                }
                run
            }
        };
        left -= taken;
    }
    (rest.len() >= deltas).then_some(Arrivals { first, packets, received: received as u16 })
}

/// Bytes of the arrival time behind a status symbol; 0 if the packet has not arrived.
fn delta_len(symbol: u16) -> Option<usize> {
    [Some(0), Some(1), Some(2), None][usize::from(symbol)]
}

trait LeadingBits {
    /// Bits set among the upper `count`.
    fn leading_bits(self, count: usize) -> usize;
}

impl LeadingBits for u16 {
    fn leading_bits(self, count: usize) -> usize {
        (0..count).filter(|at| self << at & 0x8000 != 0).count()
    }
}

/// Appends feedback on the packets from `first` on, each arrived or not, at most 65 535 of them.
/// Arrivals are said to lie 250 us apart.
pub fn write(out: &mut Vec<u8>, from: u32, first: u16, arrived: &[bool]) {
    let arrived = &arrived[..arrived.len().min(usize::from(u16::MAX))];
    let start = out.len();
    out.extend_from_slice(&[0x8f, 205, 0, 0]);
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&first.to_be_bytes());
    out.extend_from_slice(&(arrived.len() as u16).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    for chunk in arrived.chunks(14) {
        let bits =
            chunk.iter().zip(0..).fold(0, |bits, (on, at)| bits | u16::from(*on) << (13 - at));
        out.extend_from_slice(&(0x8000 | bits).to_be_bytes());
    }
    out.extend(arrived.iter().filter(|on| **on).map(|_| 1));
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{self, Rtcp};

    #[test]
    fn written_feedback_reads_back() {
        for len in [0, 1, 13, 14, 15, 100] {
            let arrived: Vec<bool> = (0..len).map(|at| at % 3 != 1).collect();
            let mut out = Vec::new();
            write(&mut out, 1, 65_530, &arrived);
            let mut found = Vec::new();
            assert!(rtcp::parse(&out, |packet| found.push(packet)));
            let received = arrived.iter().filter(|on| **on).count() as u16;
            let expected = Arrivals { first: 65_530, packets: len as u16, received };
            assert_eq!(found, [Rtcp::TransportFeedback(expected)]);
        }
    }

    fn body(packets: u16, chunks: &[u16], deltas: usize) -> Vec<u8> {
        let mut body = vec![0; HEAD];
        body[10..12].copy_from_slice(&packets.to_be_bytes());
        chunks.iter().for_each(|chunk| body.extend_from_slice(&chunk.to_be_bytes()));
        body.resize(body.len() + deltas, 0);
        body
    }

    #[test]
    fn runs_and_two_bit_symbols_count_their_arrivals() {
        // 20 arrived, 5 lost, then of seven: small, large, lost, small, lost, lost, lost.
        let chunks = [1 << 13 | 20, 5, 0xc000 | 0b01_10_00_01_00_00_00];
        let read = parse(&body(32, &chunks, 24));
        assert_eq!(read, Some(Arrivals { first: 0, packets: 32, received: 23 }));
        assert_eq!(parse(&body(32, &chunks, 23)), None, "a delta is missing");
        assert_eq!(parse(&body(33, &chunks, 24)).map(|read| read.received), None);
    }

    #[test]
    fn malformed_feedback_is_refused() {
        assert_eq!(parse(&body(1, &[0], 0)), None, "an empty run");
        assert_eq!(parse(&body(1, &[3 << 13 | 1], 2)), None, "a reserved symbol");
        assert_eq!(parse(&body(1, &[], 0)), None, "no chunk");
        assert_eq!(parse(&[0; HEAD - 1]), None);
        assert_eq!(parse(&body(65_535, &[1 << 13 | 8191; 9], 65_535)).unwrap().received, 65_535);
    }
}
