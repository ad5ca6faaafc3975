//! A scripted client against the peers: another DTLS stack instance, real STUN, real SRTP.

mod attacks;
pub(super) mod client;
mod negotiation;
mod sessions;
