//! Refusals about devices as problems.

use axum::http::StatusCode;

use super::problem::Problem;
use crate::bind_token::{BindTokenError, PresentError};
use crate::device_facts::FactError;
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
