//! The HTTP surface against fake parts.

mod fakes;
mod gate;
mod media;
mod page;
mod sockets;
mod surface;
