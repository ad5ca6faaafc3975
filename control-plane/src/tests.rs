//! The control plane from end to end, on a clock that the tests move.

mod abnormal;
mod admin;
mod carrier;
mod consent;
mod credential;
pub(crate) mod email;
mod gate;
mod ownership;
pub(crate) mod rig;
mod shares;
mod sign_in;
mod sms;
mod terminals;
mod worker;
