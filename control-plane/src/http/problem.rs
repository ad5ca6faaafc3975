//! Problems (RFC 9457). The status of each refusal stands beside its variant.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sightline_operation::{Refused, RefusedAs};

use super::oauth::APP_LOGIN_REQUIRED;
use crate::binding::BindError;
use crate::consent::{ConsentError, MEDIA_VIEW};
use crate::device::DeviceError;
use crate::error::Inner;
use crate::gate::Refusal;
use crate::introduction::IntroductionError;
use crate::key::KeyError;
use crate::mailbox::{GenerationError, ListError, OrderError};
use crate::otp::OtpError;
use crate::session::{RefreshError, SignInError};

/// A refusal as clients see it.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Status.
    pub status: StatusCode,
    /// Last part of the type's URI.
    pub name: &'static str,
    /// What to do about it.
    pub detail: String,
    /// Seconds to wait.
    pub retry_after: Option<u64>,
    /// What the client must get first, by name.
    pub needs: Option<Needs>,
}

/// Members that some problems have besides those of RFC 9457.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Needs {
    /// `consent-required`.
    Purpose {
        /// Purpose to agree to.
        purpose: &'static str,
    },
    /// `attestation-required`.
    Attestation {
        /// Kind of attestation.
        attestation: &'static str,
        /// What it is to be about.
        object: String,
    },
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, name: &'static str, detail: impl ToString) -> Self {
        Self { status, name, detail: detail.to_string(), retry_after: None, needs: None }
    }

    pub(super) fn login_required() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "login-required", "sign in first")
    }

    pub(super) fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(super) fn limited(seconds: u64, detail: impl ToString) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail);
        Self { retry_after: Some(seconds), ..problem }
    }
}

#[derive(Serialize)]
struct Document {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    #[serde(flatten)]
    needs: Option<Needs>,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = StatusCode::from_u16(refused.status).expect("a refusal has a status of HTTP");
        Self::new(status, refused.name, refused.means)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: format!("/problems/{}", self.name),
            title: self.name.replace('-', " "),
            status: self.status.as_u16(),
            detail: self.detail,
            needs: self.needs,
        };
        let mut response = (self.status, Json(document)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.extensions_mut().insert(RefusedAs(self.name));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = match self.name {
                // RFC 6750, 3.1 and RFC 9449, 7.1.
                APP_LOGIN_REQUIRED => {
                    "Bearer error=\"invalid_token\", DPoP algs=\"ES256 EdDSA\", \
                     error=\"invalid_token\""
                }
                _ => "DPoP algs=\"ES256 EdDSA\"",
            };
            let scheme = HeaderValue::from_static(scheme);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<Inner> for Problem {
    fn from(error: Inner) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
        let detail = "the service cannot do this now; try again";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Self { retry_after: Some(1), ..problem }
    }
}

impl From<OtpError> for Problem {
    fn from(error: OtpError) -> Self {
        match error {
            OtpError::BadNumber => Self::new(StatusCode::BAD_REQUEST, "bad-number", error),
            OtpError::NotServed => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "country-not-served", error)
            }
            OtpError::NotBound => Self::new(StatusCode::NOT_FOUND, "device-not-bound", error),
            OtpError::Limited(wait) => Self::limited(wait.0, error),
            OtpError::Held(wait) => Self::held(wait.0, error),
            OtpError::SecondFactor(wait) => Self::second_factor(wait.0, error),
            OtpError::WrongCode => Self::new(StatusCode::FORBIDDEN, "code-invalid", error),
            OtpError::Inner(inner) => inner.into(),
        }
    }
}

impl From<ConsentError> for Problem {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::UnknownPurpose => {
                Self::new(StatusCode::NOT_FOUND, "purpose-unknown", error)
            }
            ConsentError::OtherVersion => Self::new(StatusCode::CONFLICT, "purpose-changed", error),
            ConsentError::NotGranted => Self::new(StatusCode::NOT_FOUND, "not-granted", error),
            ConsentError::PolicyRequired => Self::policy_required(),
            ConsentError::Inner(inner) => inner.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Otp(error) => error.into(),
            SignInError::Consent(error) => error.into(),
            SignInError::Password(error) => error.into(),
            SignInError::Idle => Self::new(StatusCode::FORBIDDEN, "account-idle", error),
            SignInError::Inner(inner) => inner.into(),
            SignInError::BadTerminal => Self::new(StatusCode::BAD_REQUEST, "bad-terminal", error),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Refused => Self::new(StatusCode::UNAUTHORIZED, "login-required", error),
            RefreshError::Inner(inner) => inner.into(),
        }
    }
}

impl From<BindError> for Problem {
    fn from(error: BindError) -> Self {
        match error {
            BindError::NoMatch => Self::new(StatusCode::FORBIDDEN, "binding-refused", error),
            BindError::KeyProofRequired => {
                Self::new(StatusCode::FORBIDDEN, "device-key-required", error)
            }
            BindError::Taken => Self::new(StatusCode::CONFLICT, "device-taken", error),
            BindError::ConsentRequired(purpose) => Self::consent_required(purpose, error),
            BindError::Limited(wait) => Self::limited(wait.0, error),
            BindError::Inner(inner) => inner.into(),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotBound => Self::new(StatusCode::NOT_FOUND, "device-not-bound", error),
            KeyError::NotReady => Self::new(StatusCode::CONFLICT, "device-key-missing", error),
            KeyError::Wrong => Self::new(StatusCode::FORBIDDEN, "device-key-invalid", error),
            KeyError::Limited(wait) => Self::limited(wait.0, error),
            KeyError::Inner(inner) => inner.into(),
        }
    }
}

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Unknown => Self::new(StatusCode::UNAUTHORIZED, "device-unknown", error),
            DeviceError::OtherBinding => {
                Self::new(StatusCode::CONFLICT, "binding-epoch-stale", error)
            }
            DeviceError::BadVerifier => Self::new(StatusCode::BAD_REQUEST, "bad-verifier", error),
            DeviceError::Inner(inner) => inner.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(error: Refusal) -> Self {
        let (status, name) = match error {
            Refusal::LoginRequired => (StatusCode::UNAUTHORIZED, "login-required"),
            Refusal::WrongTerminal => (StatusCode::UNAUTHORIZED, "wrong-terminal"),
            Refusal::PolicyRequired => return Self::policy_required(),
            Refusal::NotBound => (StatusCode::NOT_FOUND, "device-not-bound"),
            Refusal::ShareClosed => (StatusCode::FORBIDDEN, "share-closed"),
            Refusal::ScopeRequired => (StatusCode::FORBIDDEN, "scope-required"),
            Refusal::KeyProofRequired => (StatusCode::FORBIDDEN, "device-key-required"),
            Refusal::SmsRequired => (StatusCode::FORBIDDEN, "sms-required"),
            Refusal::ConsentRequired => return Self::consent_required(MEDIA_VIEW.id, error),
            Refusal::Unavailable(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        let (status, name) = match error {
            ListError::NotBound => (StatusCode::NOT_FOUND, "device-not-bound"),
            ListError::Open => (StatusCode::CONFLICT, "device-open"),
            ListError::NotReady => (StatusCode::CONFLICT, "device-key-missing"),
            ListError::OtherBinding => (StatusCode::CONFLICT, "list-other-binding"),
            ListError::NotNewer(_) => (StatusCode::CONFLICT, "list-not-newer"),
            ListError::Malformed(_) | ListError::Signature => {
                (StatusCode::UNPROCESSABLE_ENTITY, "list-invalid")
            }
            ListError::Limited(wait) => return Self::limited(wait.0, error),
            ListError::Device(error) => return error.into(),
            ListError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl From<IntroductionError> for Problem {
    fn from(error: IntroductionError) -> Self {
        let (status, name) = match error {
            IntroductionError::Unknown => (StatusCode::NOT_FOUND, "introduction-unknown"),
            IntroductionError::OutOfTurn => (StatusCode::CONFLICT, "introduction-out-of-turn"),
            IntroductionError::Length => (StatusCode::UNPROCESSABLE_ENTITY, "introduction-invalid"),
            IntroductionError::Full => (StatusCode::CONFLICT, "introductions-full"),
            IntroductionError::Limited(wait) => return Self::limited(wait.0, error),
            IntroductionError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl From<GenerationError> for Problem {
    fn from(error: GenerationError) -> Self {
        let (status, name) = match error {
            GenerationError::NotBound => (StatusCode::NOT_FOUND, "device-not-bound"),
            GenerationError::Unknown => (StatusCode::NOT_FOUND, "generation-unknown"),
            GenerationError::OtherBinding => (StatusCode::CONFLICT, "generation-other-binding"),
            GenerationError::NotNewer(_) => (StatusCode::CONFLICT, "generation-not-newer"),
            GenerationError::WrappedByCamera => (StatusCode::CONFLICT, "wrap-exists"),
            GenerationError::Full => (StatusCode::CONFLICT, "wraps-full"),
            GenerationError::Malformed(_) | GenerationError::Signature => {
                (StatusCode::UNPROCESSABLE_ENTITY, "generation-invalid")
            }
            GenerationError::BadWrap(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrap-invalid"),
            GenerationError::Device(error) => return error.into(),
            GenerationError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let (status, name) = match error {
            OrderError::Refused(refusal) => return refusal.into(),
            OrderError::Control(error) => return error.into(),
            OrderError::Device(error) => return error.into(),
            OrderError::NeverSealed => (StatusCode::CONFLICT, "device-open"),
            OrderError::OtherBinding => (StatusCode::CONFLICT, "order-other-binding"),
            OrderError::NotNewer(_) => (StatusCode::CONFLICT, "order-not-newer"),
            OrderError::Malformed(_) | OrderError::OtherMode | OrderError::Signature => {
                (StatusCode::UNPROCESSABLE_ENTITY, "order-invalid")
            }
            OrderError::Limited(wait) => return Self::limited(wait.0, error),
            OrderError::Inner(inner) => return inner.into(),
        };
        Self::new(status, name, error)
    }
}
