//! Problems about profile, terminals and attestations.

use axum::http::StatusCode;
use sightline_operation::{Refusals, Refused, refused};

use super::problem::{Needs, Problem};
use crate::attestation::AttestationError;
use crate::avatar::BadPicture;
use crate::consent::{ACCOUNT, PROFILE, TERMINAL_SECURITY};
use crate::error::Inner;
use crate::profile::ProfileError;
use crate::terminal::TerminalError;

/// How whoever agreed to nothing is refused.
pub(super) const CONSENT_REQUIRED: Refused =
    refused(403, "consent-required", "Agree to the purpose that `purpose` names first");
const LIMITED: Refused =
    refused(429, "rate-limited", "Too many requests or tries; wait as Retry-After says");

impl Problem {
    /// Something is processed for a purpose that nobody agreed to.
    pub(super) fn consent_required(purpose: &'static str, detail: impl ToString) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "consent-required", detail);
        Self { needs: Some(Needs::Purpose { purpose }), ..problem }
    }

    /// The policy as a whole was never agreed to, or withdrawn.
    pub(super) fn policy_required() -> Self {
        let detail = "agree to having an account first; until then you may look around";
        Self::consent_required(ACCOUNT.id, detail)
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        let (status, name) = match error {
            ProfileError::BadNickname | ProfileError::BadRegion | ProfileError::BadScenario => {
                (StatusCode::UNPROCESSABLE_ENTITY, "profile-invalid")
            }
            ProfileError::Picture(BadPicture::Bytes) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large")
            }
            ProfileError::Picture(_) => (StatusCode::UNPROCESSABLE_ENTITY, "picture-invalid"),
            ProfileError::ConsentRequired => return Self::consent_required(PROFILE.id, error),
            ProfileError::NoPicture => (StatusCode::NOT_FOUND, "not-found"),
            ProfileError::Limited(wait) => return Self::limited(wait.0, error),
            ProfileError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl Refusals for ProfileError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(422, "profile-invalid", "A value is too long or not one that is known"),
            refused(
                422,
                "picture-invalid",
                "Not a whole JPEG or PNG of at most 1024 x 1024 pixels",
            ),
            refused(413, "body-too-large", "The body is larger than the operation takes"),
            refused(404, "not-found", "There is no picture"),
            CONSENT_REQUIRED,
            LIMITED,
        ];
        own.into_iter().chain(Inner::refusals()).collect()
    }
}

impl From<TerminalError> for Problem {
    fn from(error: TerminalError) -> Self {
        match error {
            TerminalError::BadFact => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "terminal-invalid", error)
            }
            TerminalError::ConsentRequired => Self::consent_required(TERMINAL_SECURITY.id, error),
            TerminalError::Unknown => Self::not_found("no such terminal on this account"),
            TerminalError::Limited(wait) => Self::limited(wait.0, error),
            TerminalError::Inner(inner) => inner.into(),
        }
    }
}

impl Refusals for TerminalError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(422, "terminal-invalid", "A fact has 1 to 64 characters"),
            refused(404, "not-found", "No such terminal on this account"),
            CONSENT_REQUIRED,
            LIMITED,
        ];
        own.into_iter().chain(Inner::refusals()).collect()
    }
}

impl From<AttestationError> for Problem {
    fn from(error: AttestationError) -> Self {
        match error {
            AttestationError::OtherVersion => {
                Self::new(StatusCode::CONFLICT, "attestation-changed", error)
            }
            AttestationError::BadObject => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "attestation-invalid", error)
            }
            AttestationError::Missing { kind, ref object } => {
                let needs =
                    Needs::Attestation { attestation: kind.as_str(), object: object.clone() };
                let problem = Self::new(StatusCode::FORBIDDEN, "attestation-required", &error);
                Self { needs: Some(needs), ..problem }
            }
            AttestationError::Limited(wait) => Self::limited(wait.0, error),
            AttestationError::Inner(inner) => inner.into(),
        }
    }
}

impl Refusals for AttestationError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(409, "attestation-changed", "The text has another version; read it first"),
            refused(422, "attestation-invalid", "The object is not the name of a thing"),
            refused(
                403,
                "attestation-required",
                "Affirm first what `attestation` and `object` name",
            ),
            LIMITED,
        ];
        own.into_iter().chain(Inner::refusals()).collect()
    }
}
