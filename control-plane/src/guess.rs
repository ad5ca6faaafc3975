//! Whose guesses are counted together.
//!
//! Guesses at a number or address are counted whether or not it has an account. A terminal that the
//! account knows has a budget of its own: whatever strangers use up, its owner is let in there. All
//! strangers share one budget, or each new key would be a new one; what they use up comes back with
//! time (`limits::GUESS_CLOSED_SECS`), and a second factor does without it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_grant::Thumbprint;

use crate::ControlPlane;
use crate::error::Inner;
use crate::storage::model::{Guess, GuessKind};

impl ControlPlane {
    /// Key of the budget for guesses at `target` by a terminal that the account knows, or by any
    /// other.
    pub(crate) fn guess_key(&self, target: &[u8], known: Option<Thumbprint>) -> Vec<u8> {
        let by = known.map_or_else(|| "strangers".to_owned(), |terminal| terminal.to_string());
        self.vault().lookup("guess", &format!("{}\n{by}", B64.encode(target)))
    }

    /// Key of the budget for passwords that go with a right code to `target`. All terminals share it,
    /// or each new key would be a new one; who cannot read the codes never reaches it.
    pub(crate) fn guess_key_with_code(&self, target: &[u8]) -> Vec<u8> {
        self.vault().lookup("guess", &format!("{}\nwith-code", B64.encode(target)))
    }

    /// Counts a guess, before anything is compared.
    pub(crate) async fn count_guess(&self, kind: GuessKind, key: &[u8]) -> Result<Guess, Inner> {
        let limits = &self.config().limits;
        let hourly = match kind {
            GuessKind::Code => &limits.codes_per_number,
            GuessKind::Password => &limits.passwords_per_account,
        };
        Ok(self.store().guess_count(kind, key, hourly, self.now()).await?)
    }
}
