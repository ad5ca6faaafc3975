//! What the end-to-end tests share: an own network, the server as a process, the gate over HTTP,
//! foreign publishers and viewers as processes, and the judgement of what viewers saw.
//!
//! Each test program uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod agent;
pub mod caller;
pub mod gate;
pub mod journey;
pub mod local;
pub mod network;
pub mod process;
pub mod publishers;
pub mod server;
pub mod sharing;
pub mod terminal;
pub mod verdict;
pub mod viewers;
