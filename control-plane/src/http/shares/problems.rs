//! How acts on shares are refused.

use axum::http::StatusCode;
use sightline_operation::{Refusals, Refused, refused};

use super::UNKNOWN;
use crate::error::Inner;
use crate::http::problem::Problem;
use crate::http::refusals::{LIMITED, NOT_BOUND};
use crate::share::accept::AcceptError;
use crate::share::invite::InviteError;

const ATTESTATION: Refused =
    refused(403, "attestation-required", "Agree to the text about the persons filmed first");
const FULL: Refused = refused(409, "shares-full", "As many shares as there can be; end one first");

impl From<InviteError> for Problem {
    fn from(error: InviteError) -> Self {
        let (status, name) = match error {
            InviteError::NotBound => (StatusCode::NOT_FOUND, "device-not-bound"),
            InviteError::Unknown => (StatusCode::NOT_FOUND, "share-unknown"),
            InviteError::NoScopes
            | InviteError::Channels
            | InviteError::End
            | InviteError::Schedule(_)
            | InviteError::Label => (StatusCode::UNPROCESSABLE_ENTITY, "share-invalid"),
            InviteError::AttestationRequired => (StatusCode::FORBIDDEN, "attestation-required"),
            InviteError::Full => (StatusCode::CONFLICT, "shares-full"),
            InviteError::Limited(wait) => return Self::limited(wait.0, error),
            InviteError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl Refusals for InviteError {
    fn refusals() -> Vec<Refused> {
        let own = [
            NOT_BOUND,
            UNKNOWN,
            refused(422, "share-invalid", "The terms of the share do not hold; see the detail"),
            ATTESTATION,
            FULL,
            LIMITED,
        ];
        own.into_iter().chain(Inner::refusals()).collect()
    }
}

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        let (status, name) = match error {
            AcceptError::Unknown => (StatusCode::NOT_FOUND, "invitation-unknown"),
            AcceptError::OwnDevice => (StatusCode::CONFLICT, "invitation-own"),
            AcceptError::Already => (StatusCode::CONFLICT, "already-shared"),
            AcceptError::Full => (StatusCode::CONFLICT, "shares-full"),
            AcceptError::ConsentRequired => (StatusCode::FORBIDDEN, "consent-required"),
            AcceptError::AttestationRequired => (StatusCode::FORBIDDEN, "attestation-required"),
            AcceptError::Limited(wait) => return Self::limited(wait.0, error),
            AcceptError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl Refusals for AcceptError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(404, "invitation-unknown", "The invitation does not hold, or no longer"),
            refused(409, "invitation-own", "The invited owns the device"),
            refused(409, "already-shared", "The device is shared with the account already"),
            refused(403, "consent-required", "Consent to the purpose first"),
            ATTESTATION,
            FULL,
            LIMITED,
        ];
        own.into_iter().chain(Inner::refusals()).collect()
    }
}
