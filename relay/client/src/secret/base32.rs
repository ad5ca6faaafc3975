//! Base32 (RFC 4648, 6) without padding, as people type it.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Characters of one group of the text form.
const GROUP: usize = 4;

/// Text of `bytes`.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let (mut bits, mut held) = (0u32, 0);
    // As long as it gets: nothing is left behind in memory that was outgrown.
    let mut out = Zeroizing::new(String::with_capacity((bytes.len() * 8).div_ceil(5)));
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            out.push(char::from(ALPHABET[(bits >> held) as usize & 31]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - held)) as usize & 31]));
    }
    out
}

/// Bytes of `text`, which may have dashes and spaces anywhere, in either case; at most `most` of
/// them. `None`: it is no base32, is longer, or its spare bits are not zero.
pub(super) fn decode(text: &str, most: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(most));
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
        let upper = byte.to_ascii_uppercase();
        let value = ALPHABET.iter().position(|c| *c == upper)?;
        bits = bits << 5 | value as u32;
        held += 5;
        if held >= 8 {
            held -= 8;
            if out.len() == most {
                return None;
            }
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (held < 5 && bits == 0).then_some(out)
}

/// Groups of four characters with dashes between them.
pub(super) fn grouped(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len() + plain.len() / GROUP);
    for (at, c) in plain.chars().enumerate() {
        if at > 0 && at % GROUP == 0 {
            out.push('-');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, 10, without its padding.
    #[test]
    fn the_vectors_of_the_rfc_hold_both_ways() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(*encode(plain.as_bytes()), text);
            assert_eq!(
                decode(text, plain.len()).as_deref().map(Vec::as_slice),
                Some(plain.as_bytes())
            );
            assert_eq!(
                decode(&grouped(text).to_lowercase(), 6).as_deref().map(Vec::len),
                Some(plain.len())
            );
        }
    }

    #[test]
    fn what_is_longer_or_has_two_texts_is_refused() {
        assert!(decode("MZXW6YTB", 4).is_none());
        for text in ["MZ", "A", "MZXW6A", "1", "M\u{dc}"] {
            assert!(decode(text, 20).is_none(), "{text}");
        }
    }
}
