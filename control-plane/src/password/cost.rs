//! What a password hash costs (RFC 9106), and its stored form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as B64;

/// Bytes of a salt.
pub(super) const SALT: usize = 16;
/// Bytes of a hash.
pub(super) const OUT: usize = 32;

/// Least memory, KiB.
pub const MIN_MEMORY_KIB: u32 = 19 * 1024;
/// Most memory, KiB.
pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Fewest passes.
pub const MIN_PASSES: u32 = 2;
/// Most passes.
pub const MAX_PASSES: u32 = 16;

/// Memory and passes of argon2id; always one lane, since a hash has one thread here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    memory_kib: u32,
    passes: u32,
}

/// The cost is below what protects, or above what a login may take.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[error("a password hash takes 19456 to 1048576 KiB of memory and 2 to 16 passes")]
pub struct HashCostError;

impl Default for HashCost {
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3 }
    }
}

impl HashCost {
    /// A cost within the bounds.
    ///
    /// # Errors
    /// See [`HashCostError`].
    pub fn new(memory_kib: u32, passes: u32) -> Result<Self, HashCostError> {
        let fits = (MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(&memory_kib)
            && (MIN_PASSES..=MAX_PASSES).contains(&passes);
        if fits { Ok(Self { memory_kib, passes }) } else { Err(HashCostError) }
    }

    /// Next to nothing, for tests of everything but the hash.
    #[cfg(test)]
    pub(crate) const fn cheap() -> Self {
        Self { memory_kib: 64, passes: 1 }
    }

    /// The parameters of the hash itself.
    pub(super) fn parameters(self) -> argon2::Params {
        argon2::Params::new(self.memory_kib, self.passes, 1, Some(OUT))
            .expect("the bounds are within argon2's own")
    }
}

/// A stored hash: the PHC string format of argon2id.
pub(super) struct Stored {
    pub(super) cost: HashCost,
    pub(super) salt: [u8; SALT],
    pub(super) hash: [u8; OUT],
}

impl Stored {
    /// The text that the database keeps.
    pub(super) fn to_text(&self) -> String {
        let HashCost { memory_kib, passes } = self.cost;
        let (salt, hash) = (B64.encode(self.salt), B64.encode(self.hash));
        format!("$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${hash}")
    }

    /// Reads it back; `None` for anything that this program does not write.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$m=")?.split('$');
        let (memory, rest) = parts.next()?.split_once(",t=")?;
        let passes = rest.strip_suffix(",p=1")?;
        let cost = HashCost { memory_kib: memory.parse().ok()?, passes: passes.parse().ok()? };
        let possible = cost.memory_kib <= MAX_MEMORY_KIB && (1..=MAX_PASSES).contains(&cost.passes);
        let salt = B64.decode(parts.next()?).ok()?.try_into().ok()?;
        let hash = B64.decode(parts.next()?).ok()?.try_into().ok()?;
        (possible && cost.memory_kib >= 8 && parts.next().is_none()).then_some(Self {
            cost,
            salt,
            hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_bounded_on_both_sides() {
        assert!(HashCost::new(MIN_MEMORY_KIB, MIN_PASSES).is_ok());
        assert!(HashCost::new(MAX_MEMORY_KIB, MAX_PASSES).is_ok());
        for (memory, passes) in [
            (MIN_MEMORY_KIB - 1, MIN_PASSES),
            (MIN_MEMORY_KIB, MIN_PASSES - 1),
            (MAX_MEMORY_KIB + 1, MIN_PASSES),
            (MIN_MEMORY_KIB, MAX_PASSES + 1),
        ] {
            assert_eq!(HashCost::new(memory, passes), Err(HashCostError), "{memory} {passes}");
        }
    }

    #[test]
    fn a_stored_hash_is_read_back_and_another_form_is_not() {
        let stored = Stored { cost: HashCost::default(), salt: [1; SALT], hash: [2; OUT] };
        let text = stored.to_text();
        assert!(text.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
        let again = Stored::parse(&text).expect("our own form");
        assert_eq!((again.cost, again.salt, again.hash), (stored.cost, stored.salt, stored.hash));
        for bad in [
            "",
            &text[1..],
            &text[..text.len() - 4],
            &text.replace("p=1", "p=2"),
            &text.replace("argon2id", "argon2i"),
            &text.replace("m=65536", "m=4294967295"),
            &text.replace("t=3", "t=0"),
            &format!("{text}$"),
        ] {
            assert!(Stored::parse(bad).is_none(), "{bad}");
        }
    }
}
