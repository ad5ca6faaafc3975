//! What an operation may refuse with: RFC 9457 problems by their stable names.

/// A way to be refused: a problem type with its status.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// Last part of the type: `/problems/{name}`.
    pub name: &'static str,
    /// When it happens and what to do, for readers of the description.
    pub means: &'static str,
}

/// A [`Refused`].
#[must_use]
pub const fn refused(status: u16, name: &'static str, means: &'static str) -> Refused {
    Refused { status, name, means }
}

/// An error that reaches clients.
pub trait Refusals {
    /// Every problem that it turns into, those of errors inside it too.
    fn refusals() -> Vec<Refused>;
}

/// Rides on an answer as an extension and names the problem that it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefusedAs(pub &'static str);
