//! A scripted client against the peers: another DTLS stack instance, real STUN, real SRTP.

mod attacks;
pub(super) mod client;
mod estimates;
mod negotiation;
mod sessions;
