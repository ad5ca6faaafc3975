//! Wire formats: pure parsing and writing, one format a file. Every parser is fuzzed.

pub mod aac;
pub mod access_unit;
pub mod annexb;
pub mod av1;
mod bits;
pub(crate) mod cut;
pub mod h264;
pub mod h265;
pub mod nal;
pub mod packetize;
pub mod references;
pub mod remb;
pub mod rtcp;
pub mod rtp;
pub mod sealed;
pub mod twcc;
pub mod varint;
