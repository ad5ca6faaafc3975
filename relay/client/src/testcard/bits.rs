//! Bits, Exp-Golomb codes and NAL units (ITU-T H.264 clauses 7.2, 7.3.1, 9.1).

/// Writes bits, most significant first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits collected and not yet in `bytes`, in the low end of `partial`; always below 8.
    pending: u32,
    partial: u8,
}

impl BitWriter {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn bit(&mut self, bit: bool) {
        self.partial = (self.partial << 1) | u8::from(bit);
        self.pending += 1;
        if self.pending == 8 {
            self.bytes.push(self.partial);
            self.partial = 0;
            self.pending = 0;
        }
    }

    /// The low `count` bits of `value`; at most 32.
    pub(super) fn bits(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            self.bit((value >> at) & 1 == 1);
        }
    }

    /// `ue(v)`.
    pub(super) fn unsigned(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let len = 64 - code.leading_zeros();
        for _ in 1..len {
            self.bit(false);
        }
        for at in (0..len).rev() {
            self.bit((code >> at) & 1 == 1);
        }
    }

    /// `se(v)`.
    pub(super) fn signed(&mut self, value: i32) {
        let magnitude = value.unsigned_abs() << 1;
        self.unsigned(if value > 0 { magnitude - 1 } else { magnitude });
    }

    /// Zero bits up to the next byte, as I_PCM samples want.
    pub(super) fn align_with_zeros(&mut self) {
        while self.pending != 0 {
            self.bit(false);
        }
    }

    /// Whole bytes; the writer must be aligned.
    pub(super) fn aligned_bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.pending, 0, "whole bytes start on a byte boundary");
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds `rbsp_trailing_bits` and hands out the payload.
    pub(super) fn into_rbsp(mut self) -> Vec<u8> {
        self.bit(true);
        self.align_with_zeros();
        self.bytes
    }
}

/// Appends a NAL unit in Annex-B form: start code, header byte, payload with emulation prevention.
pub(super) fn push_nal(out: &mut Vec<u8>, header: u8, rbsp: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1, header]);
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut BitWriter)) -> String {
        let mut writer = BitWriter::new();
        write(&mut writer);
        let used = writer.bytes.len() * 8 + writer.pending as usize;
        writer.align_with_zeros();
        let all: String = writer.bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        all[..used].to_owned()
    }

    #[test]
    fn unsigned_codes_match_table_9_2() {
        let codes = ["1", "010", "011", "00100", "00101", "00110", "00111", "0001000"];
        for (value, code) in codes.into_iter().enumerate() {
            assert_eq!(text(|w| w.unsigned(value as u32)), code);
        }
        assert_eq!(text(|w| w.unsigned(u32::MAX)).len(), 65);
    }

    #[test]
    fn signed_codes_match_table_9_3() {
        for (value, code) in [(0, 0), (1, 1), (-1, 2), (2, 3), (-2, 4), (-3, 6)] {
            assert_eq!(text(|w| w.signed(value)), text(|w| w.unsigned(code)));
        }
    }

    #[test]
    fn bits_are_written_most_significant_first() {
        assert_eq!(text(|w| w.bits(0b1_0110_0101, 9)), "101100101");
    }

    #[test]
    fn the_payload_ends_with_a_stop_bit() {
        let mut writer = BitWriter::new();
        writer.bits(0b101, 3);
        assert_eq!(writer.into_rbsp(), [0b1011_0000]);
        let mut full = BitWriter::new();
        full.bits(0xAB, 8);
        assert_eq!(full.into_rbsp(), [0xAB, 0x80]);
    }

    #[test]
    fn prevention_bytes_go_where_clause_7_4_1_wants_them() {
        let mut out = Vec::new();
        push_nal(&mut out, 0x65, &[0, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 4]);
        assert_eq!(out[5..], [0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 3, 3, 0, 0, 4]);
    }

    #[test]
    fn a_start_code_cannot_appear_inside_a_unit() {
        for last in 0..=4 {
            let mut out = Vec::new();
            push_nal(&mut out, 0x67, &[9, 0, 0, last, 0, 0, 0, 0, 1]);
            let body = &out[4..];
            for window in body.windows(3) {
                assert!(!matches!(window, [0, 0, 0..=2]), "{body:?}");
            }
        }
    }
}
