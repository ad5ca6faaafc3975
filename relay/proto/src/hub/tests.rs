//! Behaviour of the hub on frames made by hand.
