//! sightline-control-plane
