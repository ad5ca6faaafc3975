//! The fixed RTP header, RFC 3550 section 5.1.

/// Bytes of a header without extensions.
pub const HEADER: usize = 12;
/// Ticks of the 90 kHz video clock from frame to frame at 30 frames a second.
const FRAME_TICKS: u32 = 3000;
/// A dynamic payload type.
const PAYLOAD_TYPE: u8 = 96;

/// What varies from packet to packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Packet number of the whole stream; its low 16 bits are on the wire.
    pub index: u64,
    /// Number of the frame.
    pub frame: u64,
    /// Source.
    pub ssrc: u32,
    /// Last packet of its frame.
    pub marker: bool,
}

impl Header {
    /// Wire form.
    pub fn bytes(self) -> [u8; HEADER] {
        let timestamp = (self.frame as u32).wrapping_mul(FRAME_TICKS);
        let mut bytes = [0; HEADER];
        bytes[0] = 0x80;
        bytes[1] = PAYLOAD_TYPE | u8::from(self.marker) << 7;
        bytes[2..4].copy_from_slice(&(self.index as u16).to_be_bytes());
        bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// Payloads of a frame behind each other, as a relay holds them: bytes that do not repeat.
pub fn shared_payload(packets: usize, payload: usize) -> Vec<u8> {
    (0..packets * payload).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_its_fields_where_the_rfc_has_them() {
        let header = Header { index: 0x1_0002, frame: 2, ssrc: 0x0a0b_0c0d, marker: true };
        assert_eq!(header.bytes(), [0x80, 0xe0, 0, 2, 0, 0, 0x17, 0x70, 0x0a, 0x0b, 0x0c, 0x0d]);
    }
}
