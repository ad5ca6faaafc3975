//! RTP headers (RFC 3550, 5.1; extensions RFC 8285).

use std::ops::Range;

/// Bytes of a header without CSRCs and extensions.
pub const HEADER_LEN: usize = 12;

/// A parsed header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Last packet of a video frame, or first of a talk spurt.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Profile word and place of the extension data, if there is one.
    pub extension: Option<(u16, Range<usize>)>,
    /// Place of the payload, without padding. Empty for padding-only packets.
    pub payload: Range<usize>,
}

/// Parses the header of `packet`; `None` if it is not RTP version 2 or is cut short.
pub fn parse(packet: &[u8]) -> Option<Header> {
    let fixed: &[u8; HEADER_LEN] = packet.first_chunk()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut at = HEADER_LEN + usize::from(fixed[0] & 0x0f) * 4;
    let mut extension = None;
    if fixed[0] & 0x10 != 0 {
        let head = packet.get(at..at + 4)?;
        let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let data = at + 4..at + 4 + words * 4;
        at = data.end;
        extension = Some((u16::from_be_bytes([head[0], head[1]]), data));
    }
    let mut end = packet.len();
    if at > end {
        return None;
    }
    if fixed[0] & 0x20 != 0 {
        let padding = usize::from(packet[end - 1]);
        if padding == 0 || padding > end - at {
            return None;
        }
        end -= padding;
    }
    Some(Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7f,
        seq: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        extension,
        payload: at..end,
    })
}

/// A plain header, ready to go before a payload.
pub fn header(
    payload_type: u8,
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[0] = 0x80;
    out[1] = payload_type & 0x7f | u8::from(marker) << 7;
    out[2..4].copy_from_slice(&seq.to_be_bytes());
    out[4..8].copy_from_slice(&timestamp.to_be_bytes());
    out[8..].copy_from_slice(&ssrc.to_be_bytes());
    out
}

/// Whether a packet on a shared flow is RTCP (RFC 5761, 4): packet types 192 to 223.
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, 192..=223, ..] if first >> 6 == 2)
}

/// Extends a 16-bit sequence number near `reference` (the highest extended one so far).
pub fn extend_seq(reference: u64, seq: u16) -> u64 {
    let delta = seq.wrapping_sub(reference as u16) as i16;
    reference.saturating_add_signed(i64::from(delta))
}

/// Extends a 32-bit timestamp near `reference`.
pub fn extend_timestamp(reference: u64, timestamp: u32) -> u64 {
    let delta = timestamp.wrapping_sub(reference as u32) as i32;
    reference.saturating_add_signed(i64::from(delta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_header_parses_back() {
        let mut packet = header(96, true, 7, 8, 9).to_vec();
        packet.push(1);
        let parsed = parse(&packet).expect("valid");
        assert_eq!((parsed.payload_type, parsed.marker, parsed.seq), (96, true, 7));
        assert_eq!((parsed.timestamp, parsed.ssrc, parsed.payload), (8, 9, 12..13));
    }

    #[test]
    fn every_truncation_and_a_false_padding_are_refused_or_bounded() {
        let mut packet = header(96, false, 1, 2, 3).to_vec();
        packet[0] |= 0x30;
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 1, 2, 3, 4, 9, 9, 2]);
        assert_eq!(parse(&packet).map(|h| h.payload), Some(20..21));
        for len in 0..packet.len() {
            if let Some(header) = parse(&packet[..len]) {
                assert!(header.payload.end <= len);
            }
        }
        *packet.last_mut().expect("not empty") = 200;
        assert_eq!(parse(&packet), None);
    }

    #[test]
    fn sequence_numbers_extend_across_the_wrap_both_ways() {
        assert_eq!(extend_seq(65_535, 0), 65_536);
        assert_eq!(extend_seq(65_536, 65_535), 65_535);
        assert_eq!(extend_timestamp(u64::from(u32::MAX), 5), u64::from(u32::MAX) + 6);
    }
}
