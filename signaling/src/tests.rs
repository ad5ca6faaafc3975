//! The HTTP surface against fake parts.

mod fakes;
mod gate;
mod matrix;
mod media;
mod page;
mod sockets;
mod surface;
