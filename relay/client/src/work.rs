//! Proof of work: what a server may ask of a terminal that it does not know before it sends an SMS.
//! A puzzle is base64url; an answer is a number whose eight bytes (big endian) behind the puzzle's
//! give a SHA-256 with as many leading zero bits as the server wants.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;

/// Most bits that are looked for: some seconds of one processor.
pub const MAX_BITS: u8 = 24;
/// Longest puzzle, bytes.
const MAX_PUZZLE: usize = 128;
/// Answers tried for each bit of 2^bits before a puzzle counts as broken: one in 10^13 fails.
const PATIENCE: u64 = 32;

/// Work that the server wants.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Work {
    /// The puzzle.
    pub puzzle: String,
    /// Leading zero bits.
    pub bits: u8,
    /// Seconds in which it must be solved.
    pub expires_in: u64,
}

/// Work that was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkDone {
    /// The puzzle.
    pub puzzle: String,
    /// The answer.
    pub answer: u64,
}

/// Solves a puzzle. `None`: it is none, or asks for more than is reasonable.
pub fn solve(work: &Work) -> Option<WorkDone> {
    let puzzle = B64.decode(&work.puzzle).ok().filter(|bytes| bytes.len() <= MAX_PUZZLE)?;
    if work.bits > MAX_BITS {
        return None;
    }
    let mut message = [puzzle.as_slice(), &[0; 8]].concat();
    let at = puzzle.len();
    let answer = (0..PATIENCE << work.bits).find(|answer: &u64| {
        message[at..].copy_from_slice(&answer.to_be_bytes());
        leading_zeros(digest(&SHA256, &message).as_ref()) >= u32::from(work.bits)
    })?;
    Some(WorkDone { puzzle: work.puzzle.clone(), answer })
}

fn leading_zeros(hash: &[u8]) -> u32 {
    let whole = hash.iter().take_while(|byte| **byte == 0).count();
    let rest = hash.get(whole).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(whole * 8).unwrap_or(u32::MAX).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(puzzle: &str, bits: u8) -> Work {
        Work { puzzle: puzzle.to_owned(), bits, expires_in: 60 }
    }

    #[test]
    fn an_answer_has_the_bits_that_were_wanted() {
        for bits in [0, 1, 8, 12] {
            let done = solve(&work("AAECAw", bits)).expect("an answer");
            let message = [&[0, 1, 2, 3], &done.answer.to_be_bytes()[..]].concat();
            assert!(leading_zeros(digest(&SHA256, &message).as_ref()) >= u32::from(bits));
        }
    }

    #[test]
    fn what_is_no_puzzle_or_too_much_is_not_begun() {
        assert_eq!(solve(&work("!", 1)), None);
        assert_eq!(solve(&work(&"A".repeat(200), 1)), None);
        assert_eq!(solve(&work("AAECAw", MAX_BITS + 1)), None);
    }
}
