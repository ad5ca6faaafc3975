//! sightline-client
pub mod testcard;
