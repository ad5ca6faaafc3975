//! The control plane from end to end, on a clock that the tests move.

mod admin;
mod consent;
mod credential;
pub(crate) mod email;
mod gate;
mod ownership;
pub(crate) mod rig;
mod shares;
mod sign_in;
mod terminals;
mod worker;
