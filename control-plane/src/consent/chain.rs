//! The hash chain of consent events.

use aws_lc_rs::digest::{Context, SHA256};

use crate::storage::model::ConsentEvent;

/// What the first link follows.
pub const START: [u8; 32] = [0; 32];

/// Purpose of the link that follows the last one of a backup that was put back: the links after it are
/// lost, and numbers go on above theirs.
pub const RESTORED: &str = "chain.restored";

/// What the hash of an event begins with: of a decision under the general policy, and of one under the
/// policy of a product, whose event has two fields more.
const LABEL: &[u8] = b"sightline/v1/consent";
const LABEL_OF_PRODUCT: &[u8] = b"sightline/v2/consent";

/// The chain does not hold at this event.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[error("the consent chain is broken at event {0}")]
pub struct Broken(pub u64);

/// Hash of an event: over the hash before it and each of its fields with its length.
pub fn link(event: &ConsentEvent) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut field = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    field(if event.policy.is_some() { LABEL_OF_PRODUCT } else { LABEL });
    field(&event.prev_hash);
    field(&event.seq.to_be_bytes());
    field(event.subject.as_bytes());
    field(event.purpose.as_bytes());
    field(&event.version.to_be_bytes());
    field(&[u8::from(event.granted)]);
    field(event.terminal.as_bytes());
    field(&event.at.to_be_bytes());
    if let Some(mark) = &event.policy {
        field(mark.product.as_bytes());
        field(mark.policy.as_bytes());
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Checks a run of events that follows (`seq`, `hash`); returns where it ends.
///
/// # Errors
/// At the first event that is changed, missing or out of place.
pub fn verify(from: (u64, Vec<u8>), events: &[ConsentEvent]) -> Result<(u64, Vec<u8>), Broken> {
    let (mut seq, mut hash) = from;
    for event in events {
        let in_turn = event.seq == seq + 1 || (event.purpose == RESTORED && event.seq > seq);
        let follows = in_turn && event.prev_hash == hash;
        if !follows || event.hash != link(event) {
            return Err(Broken(seq + 1));
        }
        (seq, hash) = (event.seq, event.hash.clone());
    }
    Ok((seq, hash))
}
