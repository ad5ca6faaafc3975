//! Requests that clients repeat under a key of theirs (draft-ietf-httpapi-idempotency-key-header):
//! the first one runs, the others get its answer.
//!
//! Keys belong to an account. The answer is kept under the account's data key, so that it ends with
//! the account and the store cannot read it; operations without a login take no keys, since what
//! they answer are the tokens themselves. The act and the keeping of its answer are two commits: if
//! the server dies between them, the key is free again after [`IDEMPOTENCY_RUNNING_SECS`].

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};

use crate::ControlPlane;
use crate::error::Inner;
use crate::limits::{
    IDEMPOTENCY_ANSWER_BYTES, IDEMPOTENCY_KEYS, IDEMPOTENCY_RUNNING_SECS, IDEMPOTENCY_SECS,
};
use crate::random;
use crate::storage::model::{KeyBegun, KeyedRequest, Session};
use crate::vault::SubjectKey;

/// Column of kept answers, for their encryption.
const ANSWER: &str = "idempotency.answer";
/// Length of the name of an attempt.
const ATTEMPT_BYTES: usize = 16;

/// How long and how much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Life of a key, seconds.
    pub keep_secs: u64,
    /// Time after which a request without an answer counts as lost, seconds.
    pub running_secs: u64,
    /// Keys of an account.
    pub most: u64,
}

/// An answer as it was given.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenAnswer {
    /// HTTP status.
    pub status: u16,
    /// Content-Type; empty without a body.
    pub kind: String,
    /// Body, base64url.
    body: String,
}

impl GivenAnswer {
    /// From its parts; `None` when it is larger than what is kept.
    pub fn new(status: u16, kind: &str, body: &[u8]) -> Option<Self> {
        let fits = body.len() <= IDEMPOTENCY_ANSWER_BYTES;
        fits.then(|| Self { status, kind: kind.to_owned(), body: B64.encode(body) })
    }

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        B64.decode(&self.body).unwrap_or_default()
    }
}

/// A key that was taken; what comes of the request is told to [`ControlPlane::end_keyed`].
pub struct Taken {
    request: KeyedRequest,
    subject: SubjectKey,
}

/// What is to be done with a request that has a key.
pub enum Keyed {
    /// Run it.
    Fresh(Box<Taken>),
    /// Answer as the first time.
    Answered(GivenAnswer),
}

/// Why a request with a key is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyedError {
    /// The first request still runs.
    #[error("the first request with this key still runs; ask again with the same key")]
    Running,
    /// The key was used with another request.
    #[error("the key was used with another request; take a new key for each request")]
    OtherRequest,
    /// See [`IDEMPOTENCY_KEYS`].
    #[error("too many keys within a day; ask without one, or later")]
    Full,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Takes a key for a request, which is what `parts` say: method, path, body.
    ///
    /// # Errors
    /// See [`KeyedError`].
    pub async fn begin_keyed(
        &self,
        session: &Session,
        key: &str,
        parts: [&str; 2],
        body: &[u8],
    ) -> Result<Keyed, KeyedError> {
        let subject = self.subject_key_of(&session.account).await?;
        let [method, path] = parts;
        let whole = format!("{method}\n{path}\n{}", B64.encode(body));
        let request = KeyedRequest {
            account: session.account.clone(),
            key: self.vault().lookup("idempotency.key", key),
            request: self.vault().lookup("idempotency.request", &whole),
            attempt: random::bytes::<ATTEMPT_BYTES>(self.random()).to_vec(),
        };
        let bounds = Bounds {
            keep_secs: IDEMPOTENCY_SECS,
            running_secs: IDEMPOTENCY_RUNNING_SECS,
            most: IDEMPOTENCY_KEYS,
        };
        let begun = self.store().key_begin(&request, bounds, self.now()).await;
        match begun.map_err(Inner::from)? {
            KeyBegun::Fresh => Ok(Keyed::Fresh(Box::new(Taken { request, subject }))),
            KeyBegun::Running => Err(KeyedError::Running),
            KeyBegun::OtherRequest => Err(KeyedError::OtherRequest),
            KeyBegun::Full => Err(KeyedError::Full),
            KeyBegun::Answered(sealed) => {
                let text = subject.open(&place(&request), request.account.as_str(), &sealed);
                let answer = serde_json::from_str(&text.map_err(Inner::from)?);
                Ok(Keyed::Answered(answer.map_err(|_| Inner::from(crate::vault::DoesNotOpen))?))
            }
        }
    }

    /// Keeps the answer, or without one gives the key back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_keyed(
        &self,
        taken: &Taken,
        answer: Option<&GivenAnswer>,
    ) -> Result<(), Inner> {
        let request = &taken.request;
        let sealed = answer.map(|answer| {
            let text = serde_json::to_string(answer).expect("texts and a number are JSON");
            let account = request.account.as_str();
            taken.subject.seal(&place(request), account, &text, self.random())
        });
        self.store().key_end(request, sealed.as_deref()).await?;
        Ok(())
    }
}

/// Where an answer opens: under its own key and request, nowhere else.
fn place(request: &KeyedRequest) -> String {
    format!("{ANSWER} {} {}", B64.encode(&request.key), B64.encode(&request.request))
}
