//! Proof of work: what a terminal that nobody vouches for does before it gets one of the last
//! places. The puzzle is signed by the server, which keeps nothing, and holds for one terminal and
//! one number for a short time; the pause between two wishes for a number makes it good about once.
//!
//! A puzzle is `version, bits, end (8 bytes, big endian), tag (16 bytes)`. It is solved by a number
//! whose eight bytes (big endian) behind the puzzle give a SHA-256 with that many leading zero bits.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

use crate::vault::{self, Vault};

/// Fewest bits: some 65 000 hashes.
pub const MIN_BITS: u8 = 16;
/// Most bits: a million hashes, about two seconds in a page.
pub const MAX_BITS: u8 = 20;
/// How long a puzzle is good, seconds.
pub const PUZZLE_SECS: u64 = 180;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 10;

/// Bits for a bucket that is `lowness` of 100 below the level at which work begins.
pub fn bits_for(lowness: u8) -> u8 {
    let steps = u32::from(MAX_BITS - MIN_BITS) * u32::from(lowness.min(100)) / 100;
    MIN_BITS + u8::try_from(steps).unwrap_or(0)
}

/// Whom a puzzle is for.
#[derive(Clone, Copy, Debug)]
pub struct For<'a> {
    /// Keyed hash of the terminal.
    pub terminal: &'a [u8],
    /// Keyed hash of the number.
    pub number: &'a [u8],
}

/// A puzzle as the terminal gets it.
pub fn puzzle(vault: &Vault, bits: u8, whom: For<'_>, now: u64) -> String {
    let head = head(bits, now + PUZZLE_SECS);
    B64.encode([&head[..], &tag(vault, &head, whom)].concat())
}

/// Whether `answer` solves a puzzle of ours that was made for them and is still good.
pub fn solved(vault: &Vault, puzzle: &str, answer: u64, whom: For<'_>, now: u64) -> bool {
    let Ok(bytes) = B64.decode(puzzle) else { return false };
    let Some((head, theirs)) = bytes.split_at_checked(HEAD_BYTES) else { return false };
    if !vault::same(theirs, &tag(vault, head, whom)) {
        return false;
    }
    let end = u64::from_be_bytes(head[2..].try_into().expect("the head has eight bytes more"));
    head[0] == VERSION && now < end && zero_bits(&bytes, answer) >= u32::from(head[1])
}

fn head(bits: u8, end: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[0] = VERSION;
    head[1] = bits;
    head[2..].copy_from_slice(&end.to_be_bytes());
    head
}

fn tag(vault: &Vault, head: &[u8], whom: For<'_>) -> Vec<u8> {
    let said = [head, whom.terminal, whom.number].map(|part| B64.encode(part)).join(".");
    let mut tag = vault.lookup("sms-work", &said);
    tag.truncate(TAG_BYTES);
    tag
}

fn zero_bits(puzzle: &[u8], answer: u64) -> u32 {
    let hash = digest(&SHA256, &[puzzle, &answer.to_be_bytes()[..]].concat());
    let head: [u8; 8] = hash.as_ref()[..8].try_into().expect("a SHA-256 has 32 bytes");
    u64::from_be_bytes(head).leading_zeros()
}

/// The smallest answer, found as a terminal would find it.
pub fn solve(puzzle: &str) -> Option<u64> {
    let bytes = B64.decode(puzzle).ok()?;
    let bits = *bytes.get(1)?;
    (bits <= MAX_BITS).then(|| (0..).find(|n| zero_bits(&bytes, *n) >= u32::from(bits)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::MasterKey;

    const NOW: u64 = 1_000_000;
    const WHOM: For<'_> = For { terminal: b"t", number: b"n" };

    fn vault(seed: u8) -> Vault {
        Vault::new(&MasterKey::from_bytes([seed; 32]))
    }

    #[test]
    fn a_solved_puzzle_holds_for_its_terminal_number_server_and_time() {
        let ours = vault(1);
        let text = puzzle(&ours, 8, WHOM, NOW);
        let answer = solve(&text).expect("an answer");
        assert!(solved(&ours, &text, answer, WHOM, NOW + PUZZLE_SECS - 1));
        assert!(!solved(&ours, &text, answer, WHOM, NOW + PUZZLE_SECS));
        assert!(!solved(&ours, &text, answer, For { terminal: b"u", ..WHOM }, NOW));
        assert!(!solved(&ours, &text, answer, For { number: b"m", ..WHOM }, NOW));
        assert!(!solved(&vault(2), &text, answer, WHOM, NOW));
        let wrong = (answer + 1..).find(|n| zero_bits(&B64.decode(&text).unwrap(), *n) < 8);
        assert!(!solved(&ours, &text, wrong.unwrap(), WHOM, NOW));
    }

    #[test]
    fn a_puzzle_that_was_made_easier_is_not_ours() {
        let ours = vault(1);
        let mut bytes = B64.decode(puzzle(&ours, 20, WHOM, NOW)).unwrap();
        bytes[1] = 0;
        assert!(!solved(&ours, &B64.encode(&bytes), 0, WHOM, NOW));
        for broken in ["", "AA", "!"] {
            assert!(!solved(&ours, broken, 0, WHOM, NOW), "{broken}");
        }
    }

    #[test]
    fn the_difficulty_stays_within_its_bounds() {
        assert_eq!(bits_for(0), MIN_BITS);
        assert_eq!(bits_for(100), MAX_BITS);
        assert_eq!(bits_for(255), MAX_BITS);
        assert!((1..=100).all(|lowness| bits_for(lowness) >= bits_for(lowness - 1)));
    }
}
