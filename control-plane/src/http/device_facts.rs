//! Refusals about devices as problems.

use axum::http::StatusCode;
use sightline_operation::{Refusals, Refused, refused};

use super::problem::Problem;
use crate::bind_token::{BindTokenError, PresentError};
use crate::device::DeviceError;
use crate::device_facts::FactError;
use crate::error::Inner;
use crate::gate::Refusal;
use crate::inventory::InventoryError;
use crate::transfer::{CodeError, ResetError};

impl From<FactError> for Problem {
    fn from(error: FactError) -> Self {
        let (status, name) = match error {
            FactError::NotBound => (StatusCode::NOT_FOUND, "device-not-bound"),
            FactError::ConsentRequired(_) => (StatusCode::FORBIDDEN, "consent-required"),
            FactError::Bad(_) => (StatusCode::UNPROCESSABLE_ENTITY, "value-invalid"),
            FactError::Nothing => (StatusCode::NOT_FOUND, "nothing-kept"),
            FactError::Limited(wait) => return Self::limited(wait.0, error),
            FactError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl From<InventoryError> for Problem {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Device(error) => error.into(),
            InventoryError::Fact(error) => error.into(),
        }
    }
}

impl From<ResetError> for Problem {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Device(error) => error.into(),
            ResetError::Fact(error) => error.into(),
        }
    }
}

impl From<CodeError> for Problem {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::Refused(refusal) => refusal.into(),
            CodeError::Fact(error) => error.into(),
        }
    }
}

impl From<BindTokenError> for Problem {
    fn from(error: BindTokenError) -> Self {
        let (status, name) = match error {
            BindTokenError::ConsentRequired(_) => (StatusCode::FORBIDDEN, "consent-required"),
            BindTokenError::BadSerial => (StatusCode::UNPROCESSABLE_ENTITY, "value-invalid"),
            BindTokenError::Full => (StatusCode::CONFLICT, "bind-tokens-full"),
            BindTokenError::Unknown => (StatusCode::NOT_FOUND, "bind-token-unknown"),
            BindTokenError::Fact(error) => return error.into(),
            BindTokenError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl From<PresentError> for Problem {
    fn from(error: PresentError) -> Self {
        let (status, name) = match error {
            PresentError::WrongToken => (StatusCode::FORBIDDEN, "bind-token-refused"),
            PresentError::Taken => (StatusCode::CONFLICT, "device-taken"),
            PresentError::Fact(error) => return error.into(),
            PresentError::Device(error) => return error.into(),
            PresentError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

/// The problems of an error, and of those inside it.
fn with(own: &[Refused], inner: &[Vec<Refused>]) -> Vec<Refused> {
    [own, &inner.concat()].concat()
}

impl Refusals for FactError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(404, "device-not-bound", "No such device on this account, or none at all"),
            refused(403, "consent-required", "Consent to the purpose first"),
            refused(422, "value-invalid", "A value is none, or too long; the detail says which"),
            refused(404, "nothing-kept", "Nothing of this is kept for the device"),
            refused(429, "rate-limited", "Too many changes; wait as Retry-After says"),
        ];
        with(&own, &[Inner::refusals()])
    }
}

impl Refusals for InventoryError {
    fn refusals() -> Vec<Refused> {
        with(&[], &[DeviceError::refusals(), FactError::refusals()])
    }
}

impl Refusals for ResetError {
    fn refusals() -> Vec<Refused> {
        with(&[], &[DeviceError::refusals(), FactError::refusals()])
    }
}

impl Refusals for CodeError {
    fn refusals() -> Vec<Refused> {
        with(&[], &[Refusal::refusals(), FactError::refusals()])
    }
}

impl Refusals for BindTokenError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(409, "bind-tokens-full", "Five tokens are open; end one or wait ten minutes"),
            refused(404, "bind-token-unknown", "No such token of the account, or it has expired"),
        ];
        with(&own, &[FactError::refusals()])
    }
}

impl Refusals for PresentError {
    fn refusals() -> Vec<Refused> {
        let own = [
            refused(403, "bind-token-refused", "No token, or used or expired; make a new one"),
            refused(409, "device-taken", "The device has an owner; unbind it or reset it first"),
        ];
        with(&own, &[DeviceError::refusals(), FactError::refusals()])
    }
}
