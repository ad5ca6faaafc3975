//! The control plane from end to end, on a clock that the tests move.

mod adding;
mod admin;
mod basic;
mod consent;
mod credential;
mod device_facts;
mod email;
mod gate;
mod handover;
mod oplog;
mod ownership;
mod personal;
mod restore;
pub(crate) mod rig;
mod shares;
mod sign_in;
mod terminals;
mod worker;
