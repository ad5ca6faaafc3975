//! sightline-client
