//! The way into the worker from the rest of the process.

/// A running relay.
pub struct Relay {}

/// Commands to a running relay.
#[derive(Clone)]
pub struct RelayHandle {}
