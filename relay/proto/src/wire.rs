//! Wire formats: pure parsing and writing, one format a file. Every parser is fuzzed.

pub mod rtcp;
pub mod rtp;
pub mod varint;
