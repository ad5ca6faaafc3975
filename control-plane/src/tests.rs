//! The control plane from end to end, on a clock that the tests move.

mod abnormal;
mod adding;
mod admin;
pub(crate) mod apps_rig;
mod basic;
mod carrier;
mod consent;
mod credential;
mod device_facts;
pub(crate) mod email;
pub(crate) mod federation;
mod gate;
mod handover;
mod oplog;
mod ownership;
mod personal;
mod restore;
pub(crate) mod rig;
mod shares;
mod sign_in;
mod sms;
mod sso;
mod terminals;
mod worker;
