//! roq
