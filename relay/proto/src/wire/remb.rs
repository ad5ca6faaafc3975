//! Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03, 2.2): what a viewer's own
//! estimator thinks that its way carries.

/// Identifier of the message among application layer feedback.
const NAME: &[u8; 4] = b"REMB";
/// Sender, media source, name, count and bitrate.
const HEAD: usize = 16;

/// The bitrate, in bits per second, out of an application layer feedback packet without its RTCP
/// header. `None` if it is another message or cut short.
pub(super) fn parse(body: &[u8]) -> Option<u64> {
    let head: &[u8; HEAD] = body.first_chunk()?;
    let sources = usize::from(head[12]);
    if &head[8..12] != NAME || body.len() < HEAD + 4 * sources {
        return None;
    }
    let exponent = head[13] >> 2;
    let mantissa = u32::from_be_bytes([0, head[13] & 0b11, head[14], head[15]]);
    Some(u64::try_from(u128::from(mantissa) << exponent).unwrap_or(u64::MAX))
}

/// Appends an estimate for these sources, rounded down to 18 significant bits.
pub fn write(out: &mut Vec<u8>, from: u32, bits_per_second: u64, sources: &[u32]) {
    let sources = &sources[..sources.len().min(usize::from(u8::MAX))];
    let exponent = (u64::BITS - bits_per_second.leading_zeros()).saturating_sub(18);
    let [_, high, middle, low] = ((bits_per_second >> exponent) as u32).to_be_bytes();
    let words = (HEAD / 4 + sources.len()) as u16;
    out.extend_from_slice(&[0x8f, 206]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(NAME);
    out.extend_from_slice(&[sources.len() as u8, (exponent as u8) << 2 | high, middle, low]);
    for source in sources {
        out.extend_from_slice(&source.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{self, Rtcp};

    fn read(bytes: &[u8]) -> Vec<Rtcp> {
        let mut found = Vec::new();
        assert!(rtcp::parse(bytes, |packet| found.push(packet)));
        found
    }

    #[test]
    fn an_estimate_reads_back_to_eighteen_bits() {
        for (bits, read_back) in [
            (0, 0),
            (0x3_ffff, 0x3_ffff),
            (0x4_0001, 0x4_0000),
            (4_000_000, 4_000_000),
            (u64::MAX, 0x3_ffff << 46),
        ] {
            let mut out = Vec::new();
            write(&mut out, 1, bits, &[2, 3]);
            assert_eq!(read(&out), [Rtcp::Remb { bits_per_second: read_back }], "{bits}");
        }
    }

    #[test]
    fn an_exponent_beyond_all_rates_saturates() {
        let mut out = Vec::new();
        write(&mut out, 1, 0x3_ffff, &[]);
        out[17] |= 0xfc;
        assert_eq!(read(&out), [Rtcp::Remb { bits_per_second: u64::MAX }]);
    }

    #[test]
    fn other_messages_and_missing_sources_say_nothing() {
        let mut good = Vec::new();
        write(&mut good, 1, 1000, &[2]);
        for (at, value) in [(12, b'X'), (16, 2)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(read(&bad), []);
        }
        for len in 0..good.len() - 4 {
            assert_eq!(parse(&good[4..4 + len]), None);
        }
    }
}
