//! Problems about passwords, identifiers and confirming who one is.

use axum::http::StatusCode;

use super::problem::Problem;
use crate::credential::{NewPasswordError, PasswordError};
use crate::identifier::IdentifierError;
use crate::password::{Busy, Weakness};
use crate::secure::SecureError;

/// When a login that found no room should come back, seconds.
const BUSY_RETRY_SECS: u64 = 2;

impl Problem {
    /// A number or address that confirms nothing yet.
    pub(super) fn held(seconds: u64, detail: impl ToString) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "identifier-held", detail);
        Self { retry_after: Some(seconds), ..problem }
    }

    /// One proof is not enough now.
    pub(super) fn second_factor(seconds: u64, detail: impl ToString) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "second-factor-required", detail);
        Self { retry_after: Some(seconds), ..problem }
    }
}

impl From<Busy> for Problem {
    fn from(error: Busy) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error);
        Self { retry_after: Some(BUSY_RETRY_SECS), ..problem }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Wrong => Self::new(StatusCode::FORBIDDEN, "password-invalid", error),
            PasswordError::Limited(wait) => Self::limited(wait.0, error),
            PasswordError::SecondFactor(wait) => Self::second_factor(wait.0, error),
            PasswordError::NewTerminal => Self::new(StatusCode::FORBIDDEN, "terminal-new", error),
            PasswordError::Busy(busy) => busy.into(),
            PasswordError::Inner(inner) => inner.into(),
        }
    }
}

impl From<SecureError> for Problem {
    fn from(error: SecureError) -> Self {
        match error {
            SecureError::Required => Self::new(StatusCode::FORBIDDEN, "step-up-required", error),
            SecureError::Otp(error) => error.into(),
            SecureError::Password(error) => error.into(),
            SecureError::Inner(inner) => inner.into(),
        }
    }
}

impl From<Weakness> for Problem {
    fn from(error: Weakness) -> Self {
        let name = match error {
            Weakness::Short => "password-short",
            Weakness::Long => "password-long",
            Weakness::Common => "password-common",
            Weakness::Own => "password-own",
            Weakness::Breached => "password-breached",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, name, error)
    }
}

impl From<NewPasswordError> for Problem {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Weak(weakness) => weakness.into(),
            NewPasswordError::Secure(error) => error.into(),
            NewPasswordError::Otp(error) => error.into(),
            NewPasswordError::Idle => Self::new(StatusCode::FORBIDDEN, "account-idle", error),
            NewPasswordError::Busy(busy) => busy.into(),
            NewPasswordError::Breached(error) => {
                tracing::error!(%error, "no password can be set");
                let detail = "passwords cannot be checked now; try again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
            NewPasswordError::Inner(inner) => inner.into(),
        }
    }
}

impl From<IdentifierError> for Problem {
    fn from(error: IdentifierError) -> Self {
        match error {
            IdentifierError::Secure(error) => error.into(),
            IdentifierError::Otp(error) => error.into(),
            IdentifierError::Taken => Self::new(StatusCode::CONFLICT, "identifier-taken", error),
            IdentifierError::Unknown => {
                Self::not_found("the account has no such number or address")
            }
            IdentifierError::Last => Self::new(StatusCode::CONFLICT, "identifier-last", error),
            IdentifierError::Inner(inner) => inner.into(),
        }
    }
}
