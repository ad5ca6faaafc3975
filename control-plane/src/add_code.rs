//! The text of the picture code with which a device is added: `SL3:KIND:SERIAL:CODE:CHECK`.
//!
//! `KIND` is `B` (binds a free device) or `T` (takes a device over from its owner), `CODE` is base32
//! without dashes, and `CHECK` is the first four base32 letters of SHA-256 over
//! `sightline/v1/add-code`, a zero byte and the text before the last colon. The check finds slips of
//! reading and typing before a try is spent; whether the code is right is the server's to say.

use aws_lc_rs::digest::{SHA256, digest};
use sightline_grant::Redacted;

use crate::base32;
use crate::ids::{MAX_SERIAL_LEN, Serial};
use crate::storage::model::CodeKind;

/// Begins the text. `SL1` is the older bind text without a check, `SL2` the device secret.
const SCHEME: &str = "SL3";
/// What is hashed before the text.
const CHECK_LABEL: &[u8] = b"sightline/v1/add-code\0";
/// Letters of the check, 20 bits.
const CHECK_LETTERS: usize = 4;
/// Letters of a code: 40 bits at least, 160 at most.
const CODE_LETTERS: std::ops::RangeInclusive<usize> = 8..=32;
/// Longest text, characters: scheme, kind, check and four colons beside serial and code.
const MAX_TEXT: usize = 3 + 1 + 4 + 4 + MAX_SERIAL_LEN + 32;

/// What a picture code says.
#[derive(Debug)]
pub struct AddCode {
    /// What the code does.
    pub kind: CodeKind,
    /// Device.
    pub serial: Serial,
    /// Code, base32 without dashes.
    pub code: Redacted<String>,
}

/// The text is not one of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum BadAddCode {
    /// Another format, or a part that is none.
    #[error("this is not the code of a camera; scan it again, or type serial and code")]
    Format,
    /// Something was misread.
    #[error("the code was misread; scan it again, or type serial and code")]
    Check,
}

impl AddCode {
    /// The text.
    pub fn text(&self) -> Redacted<String> {
        let plain = base32::canonical(self.code.expose());
        let body = format!("{SCHEME}:{}:{}:{plain}", letter(self.kind), self.serial);
        let check = check(&body);
        Redacted::new(format!("{body}:{check}"))
    }

    /// Reads a text, strictly but for space around it.
    ///
    /// # Errors
    /// See [`BadAddCode`].
    pub fn parse(text: &str) -> Result<Self, BadAddCode> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(BadAddCode::Format);
        }
        let (body, given) = text.rsplit_once(':').ok_or(BadAddCode::Format)?;
        let parts: Vec<&str> = body.split(':').collect();
        let [SCHEME, kind, serial, code] = parts[..] else { return Err(BadAddCode::Format) };
        let kind = match kind {
            "B" => CodeKind::Bind,
            "T" => CodeKind::Transfer,
            _ => return Err(BadAddCode::Format),
        };
        let serial = Serial::parse(serial).ok_or(BadAddCode::Format)?;
        let letters = code.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b));
        if !letters || !CODE_LETTERS.contains(&code.len()) {
            return Err(BadAddCode::Format);
        }
        if check(body) != given {
            return Err(BadAddCode::Check);
        }
        Ok(Self { kind, serial, code: Redacted::new(code.to_owned()) })
    }
}

fn letter(kind: CodeKind) -> char {
    match kind {
        CodeKind::Bind => 'B',
        CodeKind::Transfer => 'T',
    }
}

fn check(body: &str) -> String {
    let hash = digest(&SHA256, &[CHECK_LABEL, body.as_bytes()].concat());
    let mut letters = base32::encode(hash.as_ref());
    letters.truncate(CHECK_LETTERS);
    letters
}

#[cfg(test)]
mod tests {
    use sightline_grant::requirement;

    use super::*;

    fn code(kind: CodeKind, serial: &str, code: &str) -> AddCode {
        AddCode { kind, serial: Serial(serial.into()), code: Redacted::new(code.into()) }
    }

    #[test]
    fn a_picture_code_reads_back_and_matches_the_pages_vector() {
        let text = code(CodeKind::Bind, "CAM-1", "ABCD-EFGH").text().into_inner();
        // The same text stands in signaling/tests/page/add_code.test.js.
        assert_eq!(text, "SL3:B:CAM-1:ABCDEFGH:TQOI");
        for (kind, serial, letters) in [
            (CodeKind::Bind, "A", "ABCDEFGH"),
            (CodeKind::Transfer, &"S".repeat(MAX_SERIAL_LEN)[..], &"A2".repeat(16)[..]),
        ] {
            let text = code(kind, serial, letters).text().into_inner();
            let read = AddCode::parse(&format!(" {text}\n")).unwrap();
            assert_eq!((read.kind, read.serial.as_str()), (kind, serial));
            assert_eq!(read.code.expose(), letters);
        }
        requirement!("B5");
    }

    #[test]
    fn a_misread_letter_is_told_and_every_other_form_is_refused() {
        let text = code(CodeKind::Bind, "CAM-1", "ABCDEFGH").text().into_inner();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'C' { b'D' } else { b'C' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(AddCode::parse(&changed).is_err(), "{changed}");
        }
        let swapped = text.replace("ABCD", "ABDC");
        assert_eq!(AddCode::parse(&swapped).err(), Some(BadAddCode::Check));
        for wrong in [
            "",
            "SL3",
            "SL3:B:CAM-1:ABCDEFGH",
            "SL1:CAM-1:ABCD-EFGH",
            "SL3:X:CAM-1:ABCDEFGH:AAAA",
            "SL3:B:CAM/1:ABCDEFGH:AAAA",
            "SL3:B:CAM-1:ABCDEFG:AAAA",
            "SL3:B:CAM-1:ABCD-EFGH:AAAA",
            "SL3:B:CAM-1:abcdefgh:AAAA",
            "SL3:B:CAM-1:ABCDEFGH:AAAA:AAAA",
            &format!("SL3:B:{}:ABCDEFGH:AAAA", "S".repeat(MAX_SERIAL_LEN + 1)),
            &"S".repeat(100_000),
        ] {
            assert_eq!(AddCode::parse(wrong).err(), Some(BadAddCode::Format), "{wrong}");
        }
        requirement!("B5");
    }
}
