//! SRTP and SRTCP (RFC 3711, RFC 7714) for one peer.
//!
//! Outgoing packets are sealed straight from the shared payload into the caller's buffer.
//! Incoming packets change nothing before their tag is verified.

mod auth;
mod frame;
mod keys;
mod material;
mod window;

#[cfg(test)]
mod tests;

use smallvec::SmallVec;

pub use frame::FrameSealer;
pub use keys::{KeyingError, Profile};
use keys::{Keys, RTCP_HEADER, Transform};
use material::Control;
use window::ReplayWindow;

use crate::wire::rtp::extend_seq;

/// Sources accepted from one peer; packets of further ones are refused.
pub const MAX_SOURCES: usize = 16;
/// Largest SRTCP index (31 bits, RFC 3711, 3.4). Nothing is sent beyond it.
const MAX_RTCP_INDEX: u32 = 0x7fff_ffff;

/// Both directions of a peer's SRTP, from one DTLS key export (RFC 5764, 4.2).
pub struct Srtp {
    /// What we send.
    pub sender: SrtpSender,
    /// What we receive.
    pub receiver: SrtpReceiver,
}

impl Srtp {
    /// Splits exported keying material. `client`: we were the DTLS client.
    pub fn new(profile: Profile, material: &[u8], client: bool) -> Result<Self, KeyingError> {
        let (key, salt) = (profile.key_len(), profile.salt_len());
        if material.len() != 2 * (key + salt) {
            return Err(KeyingError);
        }
        let (keys, salts) = material.split_at(2 * key);
        let of_client = Keys::derive(profile, &keys[..key], &salts[..salt])?;
        let of_server = Keys::derive(profile, &keys[key..], &salts[salt..])?;
        let (ours, theirs) = if client { (of_client, of_server) } else { (of_server, of_client) };
        Ok(Self { sender: SrtpSender::new(ours), receiver: SrtpReceiver::new(theirs) })
    }
}

/// Whether a sequence number is sent for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    /// It must lie above everything sent: a nonce is never used for two different packets.
    First,
    /// The very same packet again, for a viewer without RTX.
    Again,
}

/// A packet before sealing; `prefix` and `payload` follow each other.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// RTP header, stays readable.
    pub header: &'a [u8],
    /// First bytes of the payload, such as the original sequence number of RTX; may be empty.
    pub prefix: &'a [u8],
    /// The rest of the payload, shared and not copied before sealing.
    pub payload: &'a [u8],
}

/// The sealing side.
pub struct SrtpSender {
    keys: Keys,
    streams: SmallVec<[OutStream; 4]>,
    rtcp_index: u32,
}

struct OutStream {
    ssrc: u32,
    highest: Option<u64>,
}

/// Place of an outgoing source in its [`SrtpSender`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutSource(usize);

impl SrtpSender {
    fn new(keys: Keys) -> Self {
        Self { keys, streams: SmallVec::new(), rtcp_index: 0 }
    }

    /// Registers a source that we send.
    pub fn add_source(&mut self, ssrc: u32) -> OutSource {
        self.streams.push(OutStream { ssrc, highest: None });
        OutSource(self.streams.len() - 1)
    }

    /// Reads what sealing will need.
    pub(super) fn look_ahead(&self) {
        std::hint::black_box(self.keys.rtp.tag_len());
        std::hint::black_box(self.streams.first().map(|stream| stream.highest));
    }

    /// Length of a packet once it is sealed.
    pub fn sealed_len(&self, packet: Plain<'_>) -> usize {
        let Plain { header, prefix, payload } = packet;
        header.len() + prefix.len() + payload.len() + self.keys.rtp.tag_len()
    }

    /// Seals a packet into `out`, which has its [`Self::sealed_len`]. `seq` is that of its header.
    /// `false`, with rubbish in `out`, if the number breaks the rule of `sending`.
    pub fn seal(
        &mut self,
        source: OutSource,
        sending: Sending,
        seq: u16,
        packet: Plain<'_>,
        out: &mut [u8],
    ) -> bool {
        self.numbered(source, sending, seq, |transform, ssrc, index| {
            transform.seal_rtp(packet, ssrc, index, out)
        })
        .is_some()
    }

    /// The same but for the tag of HMAC-SHA1; the extended index of the packet.
    fn encrypt(
        &mut self,
        source: OutSource,
        sending: Sending,
        seq: u16,
        packet: Plain<'_>,
        out: &mut [u8],
    ) -> Option<u64> {
        self.numbered(source, sending, seq, |transform, ssrc, index| {
            transform.encrypt_rtp(packet, ssrc, index, out)
        })
    }

    /// Calls `seal` with SSRC and index if `sending` allows the number, which is used up if `seal`
    /// succeeds.
    fn numbered(
        &mut self,
        source: OutSource,
        sending: Sending,
        seq: u16,
        seal: impl FnOnce(&Transform, u32, u64) -> bool,
    ) -> Option<u64> {
        let stream = self.streams.get_mut(source.0)?;
        let index = stream.index(sending, seq)?;
        if !seal(&self.keys.rtp, stream.ssrc, index) {
            return None;
        }
        stream.highest = stream.highest.max(Some(index));
        Some(index)
    }

    /// The same into memory of its own, for who sends a packet now and then.
    pub fn sealed(
        &mut self,
        source: OutSource,
        sending: Sending,
        seq: u16,
        packet: Plain<'_>,
    ) -> Option<Vec<u8>> {
        let mut out = vec![0; self.sealed_len(packet)];
        self.seal(source, sending, seq, packet, &mut out).then_some(out)
    }

    /// Seals the RTCP compound that `out` holds from `start` on, in place. `false` if it is
    /// shorter than a header or the index space is used up.
    pub fn seal_rtcp(&mut self, out: &mut Vec<u8>, start: usize) -> bool {
        if out.len() < start + RTCP_HEADER || self.rtcp_index >= MAX_RTCP_INDEX {
            return false;
        }
        self.rtcp_index += 1;
        self.keys.rtcp.seal_rtcp(out, start, self.rtcp_index)
    }
}

impl OutStream {
    /// Extended index of `seq`, if `sending` allows it now.
    fn index(&self, sending: Sending, seq: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            return (sending == Sending::First).then_some(u64::from(seq));
        };
        let index = extend_seq(highest, seq);
        let rule = match sending {
            Sending::First => index > highest,
            Sending::Again => index <= highest,
        };
        (rule && index as u16 == seq && index >> 48 == 0).then_some(index)
    }
}

/// The opening side.
pub struct SrtpReceiver {
    /// `None` if the peer sends no RTP.
    media: Option<Box<MediaReceiver>>,
    control: Control,
    rtcp: Windows,
}

struct MediaReceiver {
    transform: Transform,
    windows: Windows,
}

/// What came from each source.
type Windows = SmallVec<[(u32, ReplayWindow); 1]>;

impl SrtpReceiver {
    fn new(keys: Keys) -> Self {
        let Keys { rtp, rtcp } = keys;
        let media = MediaReceiver { transform: rtp, windows: SmallVec::new() };
        Self { media: Some(Box::new(media)), control: rtcp, rtcp: SmallVec::new() }
    }

    /// The peer only watches: RTP from it is refused, and the keys for it need no memory.
    pub fn refuse_rtp(&mut self) {
        self.media = None;
    }

    /// Opens an SRTP packet; the plain packet, with its header, is put into `out` (cleared first).
    /// `false` for anything malformed, replayed or forged; no state has changed then.
    pub fn open_rtp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(media) = &mut self.media else { return false };
        let MediaReceiver { transform, windows } = &mut **media;
        let Some((header_len, seq, ssrc)) = rtp_header(packet) else { return false };
        let known = windows.iter().position(|(of, _)| *of == ssrc);
        let index = match known.and_then(|at| windows.get(at)) {
            Some((_, window)) => {
                let index = extend_seq(window.highest(), seq);
                if index as u16 != seq || !window.is_new(index) {
                    return false;
                }
                index
            }
            None if windows.len() >= MAX_SOURCES => return false,
            None => u64::from(seq),
        };
        if !transform.open_rtp(packet, header_len, ssrc, index, out) {
            out.clear();
            return false;
        }
        record(windows, known, ssrc, index);
        true
    }

    /// Opens an SRTCP compound into `out` (cleared first); `false` as with RTP.
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(ssrc) = packet.get(4..8).and_then(|bytes| bytes.first_chunk()) else {
            return false;
        };
        let ssrc = u32::from_be_bytes(*ssrc);
        let Some(claimed) = self.control.rtcp_index(packet) else { return false };
        let index = u64::from(claimed);
        let known = self.rtcp.iter().position(|(of, _)| *of == ssrc);
        match known.and_then(|at| self.rtcp.get(at)) {
            Some((_, window)) if !window.is_new(index) => return false,
            None if self.rtcp.len() >= MAX_SOURCES => return false,
            _ => {}
        }
        if !self.control.open_rtcp(packet, (ssrc, claimed), out) {
            out.clear();
            return false;
        }
        record(&mut self.rtcp, known, ssrc, index);
        true
    }
}

fn record(windows: &mut Windows, known: Option<usize>, ssrc: u32, index: u64) {
    match known.and_then(|at| windows.get_mut(at)) {
        Some((_, window)) => window.record(index),
        None => windows.push((ssrc, ReplayWindow::new(index))),
    }
}

/// Header length, sequence number and SSRC of a packet whose payload is still sealed.
fn rtp_header(packet: &[u8]) -> Option<(usize, u16, u32)> {
    let fixed: &[u8; 12] = packet.first_chunk()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut len = 12 + usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] & 0x10 != 0 {
        let head = packet.get(len..len + 4)?;
        len += 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    }
    let seq = u16::from_be_bytes([fixed[2], fixed[3]]);
    let ssrc = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
    (len <= packet.len()).then_some((len, seq, ssrc))
}
