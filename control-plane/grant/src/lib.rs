//! What signaling, relay and control plane must agree on: the signed media grant, the epochs that
//! end it, and the proof of possession that binds requests to a terminal's key.
//!
//! Every signature has one fixed algorithm; nothing in a token chooses how it is verified.

pub mod dpop;
pub mod epoch;
pub mod grant;
pub mod jwk;
pub mod lan;
pub mod secret;
mod signed;

pub use epoch::{Epochs, Revocation};
pub use grant::{Action, Grant, GrantError, GrantId, GrantSigner, GrantVerifier, Role};
pub use jwk::{PublicKey, Thumbprint};
pub use lan::LanGrant;
pub use secret::Redacted;

/// States in a test's output that it proves a requirement of the product, by the requirement's id.
/// The lines are collected from the test run: `requirement proved: A1 by my_crate::tests`.
#[macro_export]
macro_rules! requirement {
    ($($id:literal),+ $(,)?) => {
        $(println!("requirement proved: {} by {}", $id, module_path!());)+
    };
}
