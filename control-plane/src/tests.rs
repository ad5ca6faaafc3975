//! The control plane from end to end, on a clock that the tests move.

mod adding;
mod admin;
mod consent;
mod device_facts;
mod gate;
mod handover;
mod ownership;
pub(crate) mod rig;
mod shares;
mod sign_in;
mod terminals;
mod worker;
