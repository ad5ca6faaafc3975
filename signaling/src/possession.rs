//! Proof of possession: which key made this request, and that it made it once.

use sightline_grant::dpop::{self, Request};
use sightline_grant::{Grant, GrantError, Redacted, Thumbprint};

use crate::asked::Asked;
use crate::problem::Problem;
use crate::replay::Refused;
use crate::state::Signaling;

/// A request whose key is proven. Its proof is not used up yet: strangers have keys too, and only
/// requests of somebody known may take memory (see [`Signaling::spend`]).
pub(crate) struct Proven {
    pub(crate) terminal: Thumbprint,
    jti: String,
}

impl Signaling {
    /// Verifies the DPoP proof of a request, made with `token` or without any.
    pub(crate) fn prove(&self, asked: &Asked, token: Option<&str>) -> Result<Proven, Problem> {
        let mut proofs = asked.headers.get_all("dpop").iter();
        let proof = proofs.next().ok_or(Problem::ProofRequired)?;
        if proofs.next().is_some() {
            return Err(Problem::ProofInvalid(dpop::ProofError::Malformed));
        }
        let proof = proof.to_str().unwrap_or_default();
        let request = Request { method: asked.method.as_str(), path: &asked.path, token };
        let proof = dpop::verify(proof, request, self.now()).map_err(Problem::ProofInvalid)?;
        let terminal = proof.key.thumbprint();
        self.terminals.check(&terminal.0).map_err(Problem::RateLimited)?;
        Ok(Proven { terminal, jti: proof.jti })
    }

    /// Uses up a proof of somebody known. Nothing may be changed or told before.
    pub(crate) fn spend(&self, proven: &Proven) -> Result<(), Problem> {
        self.proofs.take(&proven.terminal, &proven.jti, self.now()).map_err(|refused| match refused
        {
            Refused::Replayed => Problem::ProofReplayed,
            Refused::Full => Problem::Unavailable,
        })
    }

    /// The grant of a request, with the proven key: ours, in time, for this device and terminal.
    /// The relay checks all of it again, and that the grant is new.
    pub(crate) fn granted(
        &self,
        asked: &Asked,
        serial: &str,
        channel: u16,
    ) -> Result<(Redacted<String>, Proven), Problem> {
        let text = asked.credential("Bearer").ok_or(Problem::GrantRequired)?;
        let proven = self.prove(asked, Some(text.expose()))?;
        let grant = self.verified(text.expose())?;
        if grant.terminal != proven.terminal {
            return Err(Problem::GrantOtherTerminal);
        }
        if grant.serial != serial || grant.channel != channel {
            return Err(Problem::GrantOtherDevice);
        }
        self.spend(&proven)?;
        Ok((text, proven))
    }

    fn verified(&self, text: &str) -> Result<Grant, GrantError> {
        let now = self.now();
        let mut result = Err(GrantError::Invalid);
        for verifier in &self.verifiers {
            result = verifier.verify(text, now);
            if result != Err(GrantError::Invalid) {
                break;
            }
        }
        result
    }
}
