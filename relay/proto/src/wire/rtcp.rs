//! RTCP (RFC 3550, RFC 4585, RFC 5104): what the relay reads and writes. Bandwidth estimates are in
//! [`super::remb`] and [`super::twcc`].

use smallvec::SmallVec;

use super::{remb, twcc};
use crate::hub::SenderInfo;
use crate::wire::twcc::Arrivals;

/// One RTCP packet of a compound that the relay acts on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rtcp {
    /// Sender report.
    SenderReport {
        /// Reporting source.
        ssrc: u32,
        /// Its clock mapping.
        info: SenderInfo,
    },
    /// One block of a sender or receiver report.
    Report {
        /// Source reported on.
        ssrc: u32,
        /// Loss since the last report, 256ths.
        fraction_lost: u8,
        /// Highest extended sequence number received.
        highest_seq: u32,
        /// Jitter, RTP ticks.
        jitter: u32,
    },
    /// Picture loss indication (RFC 4585, 6.3.1).
    Pli {
        /// Media source that must send a keyframe.
        ssrc: u32,
    },
    /// Full intra request (RFC 5104, 4.3.1).
    Fir {
        /// Media source that must send a keyframe.
        ssrc: u32,
    },
    /// Generic NACK (RFC 4585, 6.2.1), its masks resolved.
    Nack {
        /// Media source.
        ssrc: u32,
        /// Missing sequence numbers.
        seqs: SmallVec<[u16; 17]>,
    },
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03), for all sources together.
    Remb {
        /// Bits per second; saturated.
        bits_per_second: u64,
    },
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportFeedback(Arrivals),
    /// A source says goodbye.
    Bye {
        /// Which.
        ssrc: u32,
    },
    /// Application-defined (RFC 3550, 6.7); what it carries beside its name is not read.
    App {
        /// Four letters.
        name: [u8; 4],
    },
}

/// Name of the application-defined packet by which the server tells a camera over its publishing
/// connection that its binding, keys, viewers or orders stand differently, and that it is to ask. The
/// first one says that the server tells such things at all.
pub const DEVICE_NEWS: [u8; 4] = *b"SLDN";

/// Walks a compound packet, calling `each` for what it knows; `false` if the compound is malformed
/// (whole packets before the fault are still reported).
pub fn parse(mut bytes: &[u8], mut each: impl FnMut(Rtcp)) -> bool {
    while !bytes.is_empty() {
        let [first, kind, len_hi, len_lo, ..] = *bytes else { return false };
        let len = (usize::from(u16::from_be_bytes([len_hi, len_lo])) + 1) * 4;
        let Some((packet, rest)) = bytes.split_at_checked(len) else { return false };
        if first >> 6 != 2 {
            return false;
        }
        bytes = rest;
        let count = usize::from(first & 0x1f);
        let body = &packet[4..];
        match (kind, first & 0x1f) {
            (200, _) => {
                let Some(head) = body.get(..24) else { return false };
                let info = SenderInfo { ntp: u64_at(head, 4), rtp: u32_at(head, 12) };
                each(Rtcp::SenderReport { ssrc: u32_at(head, 0), info });
                reports(&body[24..], count, &mut each);
            }
            (201, _) if body.len() >= 4 => reports(&body[4..], count, &mut each),
            (203, _) => {
                for source in body.chunks_exact(4).take(count) {
                    each(Rtcp::Bye { ssrc: u32_at(source, 0) });
                }
            }
            (204, _) => {
                let Some(&[.., a, b, c, d]) = body.get(..8) else { return false };
                each(Rtcp::App { name: [a, b, c, d] });
            }
            (205, 1) if body.len() >= 8 => {
                let ssrc = u32_at(body, 4);
                for pair in body[8..].chunks_exact(4) {
                    each(Rtcp::Nack { ssrc, seqs: nack_seqs(pair) });
                }
            }
            (205, 15) => {
                if let Some(arrivals) = twcc::parse(body) {
                    each(Rtcp::TransportFeedback(arrivals));
                }
            }
            (206, 15) => {
                if let Some(bits_per_second) = remb::parse(body) {
                    each(Rtcp::Remb { bits_per_second });
                }
            }
            (206, 1) if body.len() >= 8 => each(Rtcp::Pli { ssrc: u32_at(body, 4) }),
            (206, 4) if body.len() >= 8 => {
                for entry in body[8..].chunks_exact(8) {
                    each(Rtcp::Fir { ssrc: u32_at(entry, 0) });
                }
            }
            _ => {}
        }
    }
    true
}

fn reports(body: &[u8], count: usize, each: &mut impl FnMut(Rtcp)) {
    for block in body.chunks_exact(24).take(count) {
        each(Rtcp::Report {
            ssrc: u32_at(block, 0),
            fraction_lost: block[4],
            highest_seq: u32_at(block, 8),
            jitter: u32_at(block, 12),
        });
    }
}

fn nack_seqs(pair: &[u8]) -> SmallVec<[u16; 17]> {
    let first = u16::from_be_bytes([pair[0], pair[1]]);
    let mask = u16::from_be_bytes([pair[2], pair[3]]);
    let following = (0..16).filter(|bit| mask >> bit & 1 == 1);
    let later = following.map(|bit| first.wrapping_add(bit + 1));
    std::iter::once(first).chain(later).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}

/// Appends a sender report without blocks, and an SDES with a CNAME (RFC 3550 wants both).
pub fn write_sender_report(
    out: &mut Vec<u8>,
    ssrc: u32,
    info: SenderInfo,
    packets: u32,
    octets: u32,
    cname: &str,
) {
    out.extend_from_slice(&[0x80, 200, 0, 6]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&info.ntp.to_be_bytes());
    out.extend_from_slice(&info.rtp.to_be_bytes());
    out.extend_from_slice(&packets.to_be_bytes());
    out.extend_from_slice(&octets.to_be_bytes());
    write_sdes(out, ssrc, cname);
}

/// What a receiver reports of one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceptionReport {
    /// Source reported on.
    pub ssrc: u32,
    /// Loss since the last report, 256ths.
    pub fraction_lost: u8,
    /// Packets lost in all, 24 bits.
    pub lost: u32,
    /// Highest extended sequence number received.
    pub highest_seq: u32,
    /// Jitter, RTP ticks.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time.
    pub last_sr: u32,
    /// Time since that report, 65536ths of a second.
    pub delay_since_sr: u32,
}

/// Appends a receiver report of one block (or none), and an SDES.
pub fn write_receiver_report(
    out: &mut Vec<u8>,
    from: u32,
    of: Option<ReceptionReport>,
    cname: &str,
) {
    let len = if of.is_some() { 7 } else { 1 };
    out.extend_from_slice(&[0x80 | u8::from(of.is_some()), 201, 0, len]);
    out.extend_from_slice(&from.to_be_bytes());
    if let Some(report) = of {
        out.extend_from_slice(&report.ssrc.to_be_bytes());
        let lost = report.lost.min(0x7f_ffff) | u32::from(report.fraction_lost) << 24;
        out.extend_from_slice(&lost.to_be_bytes());
        out.extend_from_slice(&report.highest_seq.to_be_bytes());
        out.extend_from_slice(&report.jitter.to_be_bytes());
        out.extend_from_slice(&report.last_sr.to_be_bytes());
        out.extend_from_slice(&report.delay_since_sr.to_be_bytes());
    }
    write_sdes(out, from, cname);
}

/// Appends an SDES with one CNAME. Names are cut at 200 bytes.
pub fn write_sdes(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let name = &cname.as_bytes()[..cname.len().min(200)];
    // Chunk: SSRC, item header, name, then 1 to 4 zero bytes up to a word.
    let chunk = (4 + 2 + name.len() + 4) / 4 * 4;
    out.extend_from_slice(&[0x81, 202, 0, (chunk / 4) as u8]);
    let start = out.len();
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, name.len() as u8]);
    out.extend_from_slice(name);
    out.resize(start + chunk, 0);
}

/// Appends a picture loss indication.
pub fn write_pli(out: &mut Vec<u8>, from: u32, media: u32) {
    out.extend_from_slice(&[0x81, 206, 0, 2]);
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
}

/// Appends a full intra request; `number` must rise by one for each new request.
pub fn write_fir(out: &mut Vec<u8>, from: u32, media: u32, number: u8) {
    out.extend_from_slice(&[0x84, 206, 0, 4]);
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&media.to_be_bytes());
    out.extend_from_slice(&[number, 0, 0, 0]);
}

/// Appends generic NACKs for sorted sequence numbers.
pub fn write_nack(out: &mut Vec<u8>, from: u32, media: u32, seqs: &[u16]) {
    let mut pairs: SmallVec<[(u16, u16); 8]> = SmallVec::new();
    for &seq in seqs {
        if let Some((first, mask)) = pairs.last_mut() {
            let ahead = seq.wrapping_sub(*first);
            if (1..=16).contains(&ahead) {
                *mask |= 1 << (ahead - 1);
                continue;
            }
        }
        pairs.push((seq, 0));
    }
    let words = 2 + pairs.len() as u16;
    out.extend_from_slice(&[0x81, 205]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
    for (first, mask) in pairs {
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&mask.to_be_bytes());
    }
}

/// Appends an application-defined packet without data.
pub fn write_app(out: &mut Vec<u8>, from: u32, name: [u8; 4]) {
    out.extend_from_slice(&[0x80, 204, 0, 2]);
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&name);
}

/// Appends a goodbye.
pub fn write_bye(out: &mut Vec<u8>, ssrc: u32) {
    out.extend_from_slice(&[0x81, 203, 0, 1]);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Rtcp> {
        let mut found = Vec::new();
        assert!(parse(bytes, |packet| found.push(packet)));
        found
    }

    #[test]
    fn what_is_written_reads_back() {
        let info = SenderInfo { ntp: 0x0102_0304_0506_0708, rtp: 9 };
        let mut out = Vec::new();
        write_sender_report(&mut out, 1, info, 2, 3, "sightline");
        write_pli(&mut out, 1, 4);
        write_fir(&mut out, 1, 5, 6);
        write_bye(&mut out, 7);
        write_app(&mut out, 1, DEVICE_NEWS);
        assert_eq!(
            read(&out),
            [
                Rtcp::SenderReport { ssrc: 1, info },
                Rtcp::Pli { ssrc: 4 },
                Rtcp::Fir { ssrc: 5 },
                Rtcp::Bye { ssrc: 7 },
                Rtcp::App { name: DEVICE_NEWS },
            ]
        );
    }

    #[test]
    fn nacks_pack_and_unpack_across_the_wrap() {
        let seqs = [65_534, 65_535, 0, 14, 15, 40];
        let mut out = Vec::new();
        write_nack(&mut out, 1, 2, &seqs);
        let mut found = Vec::new();
        for packet in read(&out) {
            if let Rtcp::Nack { ssrc: 2, seqs } = packet {
                found.extend(seqs);
            }
        }
        assert_eq!(found, seqs);
    }

    #[test]
    fn names_of_every_length_keep_the_compound_aligned() {
        for len in 0..9 {
            let mut out = Vec::new();
            write_receiver_report(&mut out, 1, None, &"x".repeat(len));
            write_pli(&mut out, 1, 2);
            assert_eq!(read(&out), [Rtcp::Pli { ssrc: 2 }]);
        }
    }

    #[test]
    fn truncated_compounds_are_refused() {
        let (mut loss, mut app) = (Vec::new(), Vec::new());
        write_pli(&mut loss, 1, 4);
        write_app(&mut app, 1, DEVICE_NEWS);
        for whole in [loss, app] {
            for len in 1..whole.len() {
                assert!(!parse(&whole[..len], |_| {}));
            }
        }
        // Of a length that is right in itself, but without a name.
        assert!(!parse(&[0x80, 204, 0, 1, 0, 0, 0, 1], |_| {}));
    }
}
