//! Application error codes (draft -14, section 6).

/// Code of a CONNECTION_CLOSE, RESET_STREAM or STOP_SENDING.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Code {
    /// Clean close.
    NoError = 0x00,
    /// Unspecified; also: the peer is not who the session is for.
    General = 0x01,
    /// Own fault.
    Internal = 0x02,
    /// Bad length, or neither RTP nor RTCP.
    Packet = 0x03,
    /// A bidirectional stream.
    StreamCreation = 0x04,
    /// A stale frame, or one that nobody wants.
    FrameCancelled = 0x05,
    /// The flow is not known.
    UnknownFlow = 0x06,
    /// Datagrams were agreed on but the transport has none.
    ExpectationUnmet = 0x07,
}

impl Code {
    /// The code of a number on the wire.
    pub fn from_wire(number: u64) -> Option<Self> {
        Some(match number {
            0x00 => Self::NoError,
            0x01 => Self::General,
            0x02 => Self::Internal,
            0x03 => Self::Packet,
            0x04 => Self::StreamCreation,
            0x05 => Self::FrameCancelled,
            0x06 => Self::UnknownFlow,
            0x07 => Self::ExpectationUnmet,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub fn wire(self) -> u32 {
        self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire_and_the_next_number_is_none() {
        for number in 0..8 {
            assert_eq!(Code::from_wire(number).map(Code::wire), Some(number as u32));
        }
        assert_eq!(Code::from_wire(8), None);
    }
}
