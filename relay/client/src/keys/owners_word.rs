//! What an owner's terminal knows of its camera's sealing orders: it watches clear media of a camera
//! that was sealed on the owner's signed word, and never on the server's.

use super::{Binding, OrderRefused, SealingOrder, SigningPublic};

/// The newest order of a binding that this terminal has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OwnersWord {
    /// Its number, 0 before the first.
    pub sequence: u64,
    /// It switched sealing off, and the camera was not seen sealing since.
    pub open: bool,
}

impl OwnersWord {
    /// What is known after the server has handed out an order: the one known, or a newer one.
    ///
    /// # Errors
    /// Whatever else it hands out is refused, and nothing more is known.
    pub fn after(
        self,
        bytes: &[u8],
        binding: &Binding,
        verifier: &SigningPublic,
    ) -> Result<Self, OrderRefused> {
        let order = SealingOrder::open_for(bytes, binding, verifier)?;
        let outdated = order.sequence == self.sequence && !order.sealed && !self.open;
        if order.sequence < self.sequence || outdated {
            let (offered, held) = (order.sequence, self.sequence);
            return Err(OrderRefused::NotNewer { offered, held });
        }
        Ok(Self { sequence: order.sequence, open: !order.sealed })
    }

    /// The camera was seen sealing under a new generation: the order known has been superseded.
    #[must_use]
    pub fn sealed_since(self) -> Self {
        Self { open: false, ..self }
    }

    /// Number of the next order: above all that are known here and to the server, and above those
    /// that both have forgotten, as numbers follow the clock (Unix seconds).
    pub fn next_sequence(self, told: u64, now: u64) -> u64 {
        self.sequence.max(told).saturating_add(1).max(now)
    }
}
