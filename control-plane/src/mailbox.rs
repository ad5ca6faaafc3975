//! The mailbox of sealed video: viewer lists, sealing orders and generations, which the server stores without being
//! able to open them, and hands only to those who may have them. Signatures are checked so that
//! nobody fills the mailbox in another's name; whoever takes a document checks it again.

mod generations;
mod lists;
mod orders;

pub use generations::{CutGeneration, GenerationError, Generations, GenerationsWanted};
pub use lists::{ListError, ListState};
pub use orders::{EncModeState, OrderError};
