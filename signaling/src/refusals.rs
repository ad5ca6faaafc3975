//! Which problems an operation may answer with, in sets that operations share.

use sightline_grant::dpop::ProofError;
use sightline_operation::Refused;

use crate::problem::Problem;

/// What any request may be refused with, before an operation sees it.
pub(crate) fn edge() -> Vec<Refused> {
    list([Problem::CrossOrigin, Problem::WrongHost, Problem::RateLimited(1), Problem::Timeout])
}

/// As the description says them.
pub(crate) fn list(problems: impl IntoIterator<Item = Problem>) -> Vec<Refused> {
    problems.into_iter().map(|problem| problem.refused()).collect()
}

/// A proof of a key.
pub(crate) fn proof() -> Vec<Refused> {
    list([
        Problem::ProofRequired,
        Problem::ProofInvalid(ProofError::Malformed),
        Problem::ProofReplayed,
        Problem::RateLimited(1),
        Problem::Unavailable,
    ])
}

/// A login, and one fact of the gate: that the device is the caller's to see.
pub(crate) fn login() -> Vec<Refused> {
    let own = [
        Problem::LoginRequired,
        Problem::WrongTerminal,
        Problem::PolicyRequired,
        Problem::DeviceNotBound,
        Problem::ShareClosed,
        Problem::ScopeRequired,
    ];
    proof().into_iter().chain(list(own)).collect()
}

/// The other facts of the gate.
pub(crate) fn gate() -> Vec<Refused> {
    list([Problem::DeviceKeyRequired, Problem::SmsRequired, Problem::ConsentRequired])
}

/// A grant for a device and a channel of the path.
pub(crate) fn grant() -> Vec<Refused> {
    let own = [
        Problem::GrantRequired,
        Problem::GrantInvalid,
        Problem::GrantExpired,
        Problem::GrantReplayed,
        Problem::GrantOtherTerminal,
        Problem::GrantOtherDevice,
        Problem::NotFound,
    ];
    proof().into_iter().chain(list(own)).collect()
}

/// The relay's refusals of a session.
pub(crate) fn media() -> Vec<Refused> {
    list([
        Problem::NotLive,
        Problem::WrongProtection(String::new()),
        Problem::UnsupportedCodec(String::new()),
        Problem::Full,
        Problem::Unavailable,
    ])
}

/// The relay's refusals of a session description.
pub(crate) fn offer() -> Vec<Refused> {
    let own = [Problem::BadOffer(String::new()), Problem::UnsupportedPeer(String::new())];
    body().into_iter().chain(list(own)).chain(media()).collect()
}

/// A body of a wrong kind, too long, or malformed.
pub(crate) fn body() -> Vec<Refused> {
    list([
        Problem::UnsupportedMediaType("application/json"),
        Problem::BodyTooLarge(0),
        Problem::MalformedRequest(String::new()),
    ])
}
