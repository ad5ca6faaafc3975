//! HMAC-SHA1 (RFC 2104, FIPS 180-4) of many short messages under one key, one message in each lane
//! of the CPU's vector unit. SHA-1 has no parallelism within a message, so sixteen messages cost
//! little more time than four.
//!
//! There is no scalar code here: where [`Unit::best`] has nothing to offer, the caller uses the
//! project's crypto library, as it does for a single message, which that library does faster.
//!
//! The run time depends on lengths and never on keys or contents.

mod batch;
mod cpu;
#[cfg(target_arch = "x86_64")]
mod rounds;
#[cfg(target_arch = "x86_64")]
mod x16;
#[cfg(target_arch = "x86_64")]
mod x8;

#[cfg(test)]
mod tests;

pub use cpu::Unit;

/// Messages that are worked on at once.
pub const LANES: usize = 16;
/// Bytes of a key: what SRTP derives for HMAC-SHA1 (RFC 3711, 8.2), and SHA-1's own length.
pub const KEY: usize = 20;
/// Bytes of a whole tag; SRTP sends the first ten.
pub const TAG: usize = 20;
/// Bytes that follow a message without being part of it, such as SRTP's rollover counter.
pub const TRAILER: usize = 4;

/// What SHA-1 takes in at once.
const BLOCK: usize = 64;
/// 32-bit words of SHA-1's state.
const WORDS: usize = 5;
/// State before the first block (FIPS 180-4, 5.3.1).
const INITIAL: [u32; WORDS] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// An authentication tag.
pub type Tag = [u8; TAG];
type Block = [u8; BLOCK];
/// A word of each lane, placed as a vector likes it.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
struct Row([u32; LANES]);
/// Word for word the state of all lanes.
type State = [Row; WORDS];
/// Word for word one block of all lanes.
type Words = [Row; BLOCK / 4];

/// Bytes to authenticate: `packet`, then `trailer`.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The message where it lies; it is not copied, but for what does not fill a block.
    pub packet: &'a [u8],
    /// What comes after it.
    pub trailer: [u8; TRAILER],
}

/// A key, reduced to the two states that the padded key leads to, so that a message costs its own
/// blocks and one more.
#[derive(Clone)]
pub struct HmacSha1 {
    unit: Unit,
    inner: [u32; WORDS],
    outer: [u32; WORDS],
}

impl HmacSha1 {
    /// Prepares a key for a vector unit.
    pub fn new(unit: Unit, key: &[u8; KEY]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            block
        };
        let (inner, outer) = (padded(0x36), padded(0x5c));
        let mut blocks = [&inner; LANES];
        blocks[1] = &outer;
        let (mut state, mut words) = (batch::spread(INITIAL), Words::default());
        unit.transpose(&blocks, &mut words);
        unit.compress(&mut state, &words, &Row([batch::ACTIVE; LANES]));
        Self { unit, inner: batch::lane(&state, 0), outer: batch::lane(&state, 1) }
    }

    /// Computes the tags of `messages` into `tags`, in order: of as many as both have. The time is
    /// that of the longest message for each [`LANES`] of them.
    pub fn tags(&self, messages: &[Message<'_>], tags: &mut [Tag]) {
        for (messages, tags) in messages.chunks(LANES).zip(tags.chunks_mut(LANES)) {
            batch::tags(self.unit, &self.inner, &self.outer, messages, tags);
        }
    }
}
