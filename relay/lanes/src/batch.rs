//! Up to [`LANES`] messages from the first block to the tag.

use crate::{BLOCK, Block, LANES, Message, Row, State, TAG, TRAILER, Tag, Unit, WORDS, Words};

/// Set in the mask of [`Unit::compress`] for a lane that takes part.
pub(crate) const ACTIVE: u32 = u32::MAX;
/// First byte after a message (FIPS 180-4, 5.1.1).
const END: u8 = 0x80;
/// Bytes of the bit length that ends the last block.
const LENGTH: usize = 8;

/// What does not fill a block of its own, with the padding.
type Rest = [Block; 2];

/// A state for each lane.
pub(crate) fn spread(state: [u32; WORDS]) -> State {
    state.map(|word| Row([word; LANES]))
}

/// The state of one lane.
pub(crate) fn lane(state: &State, lane: usize) -> [u32; WORDS] {
    state.map(|row| row.0[lane])
}

/// Tags of at most [`LANES`] messages. Lanes that are left over repeat the first one and are
/// masked out.
pub(crate) fn tags(
    unit: Unit,
    inner: &[u32; WORDS],
    outer: &[u32; WORDS],
    messages: &[Message<'_>],
    tags: &mut [Tag],
) {
    let Some(first) = messages.first() else { return };
    let mut rests: [Rest; LANES] = [[[0; BLOCK]; 2]; LANES];
    let (mut whole, mut counts) = ([&[][..]; LANES], [0; LANES]);
    for (lane, rest) in rests.iter_mut().enumerate() {
        (whole[lane], counts[lane]) = split(messages.get(lane).unwrap_or(first), rest);
    }
    let (mut state, mut words) = (spread(*inner), Words::default());
    let used: [u32; LANES] =
        std::array::from_fn(|lane| if lane < messages.len() { ACTIVE } else { 0 });
    let longest = counts.into_iter().max().unwrap_or_default();
    for at in 0..longest {
        let blocks = std::array::from_fn(|lane| block(whole[lane], &rests[lane], at));
        let active = std::array::from_fn(|lane| if at < counts[lane] { used[lane] } else { 0 });
        unit.transpose(&blocks, &mut words);
        unit.compress(&mut state, &words, &Row(active));
    }
    let digests = outer_words(&state);
    state = spread(*outer);
    unit.compress(&mut state, &digests, &Row(used));
    for (at, tag) in tags.iter_mut().enumerate().take(messages.len()) {
        for (bytes, word) in tag.as_chunks_mut::<4>().0.iter_mut().zip(lane(&state, at)) {
            *bytes = word.to_be_bytes();
        }
    }
}

/// The blocks that a message fills, and the number of all its blocks; what is left over is put
/// into `rest`, which is zero. The padding counts one block more, that of the key.
fn split<'a>(message: &Message<'a>, rest: &mut Rest) -> (&'a [Block], usize) {
    let (whole, part) = message.packet.as_chunks::<BLOCK>();
    let filled = part.len() + TRAILER;
    let end = if filled + 1 + LENGTH <= BLOCK { BLOCK } else { 2 * BLOCK };
    let bits = 8 * (BLOCK + message.packet.len() + TRAILER) as u64;
    let bytes = rest.as_flattened_mut();
    bytes[..part.len()].copy_from_slice(part);
    bytes[part.len()..filled].copy_from_slice(&message.trailer);
    bytes[filled] = END;
    bytes[end - LENGTH..end].copy_from_slice(&bits.to_be_bytes());
    (whole, whole.len() + end / BLOCK)
}

/// Block number `at` of a message; past its end any block.
fn block<'a>(whole: &'a [Block], rest: &'a Rest, at: usize) -> &'a Block {
    whole.get(at).unwrap_or_else(|| &rest[usize::from(at == whole.len() + 1)])
}

/// The one block of the outer hash: the inner digest and its padding.
fn outer_words(digests: &State) -> Words {
    let mut words = Words::default();
    words[..WORDS].copy_from_slice(digests);
    words[WORDS] = Row([u32::from_be_bytes([END, 0, 0, 0]); LANES]);
    words[BLOCK / 4 - 1] = Row([8 * (BLOCK + TAG) as u32; LANES]);
    words
}
