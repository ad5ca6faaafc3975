//! The doorway of Sightline: HTTP, WHIP and WHEP, the gate, and the page.
//!
//! [`Signaling`] joins the facts of the control plane ([`plane::Directory`]) with the relay
//! ([`plane::MediaPlane`]): it admits viewers at the gate, signs what they were admitted to, and
//! carries their offers to the relay. [`Signaling::router`] is its HTTP surface.

pub mod plane;

mod asked;
mod edge;
mod endpoint;
mod facts;
mod language;
mod origin;
mod possession;
mod problem;
mod rate;
mod refusals;
mod replay;
mod router;
mod socket;
mod state;

pub use endpoint::page::page_hashes;
pub use facts::{Hashes, Ports, ServerFacts};
pub use language::Language;
pub use origin::Hosts;
pub use problem::{Problem, RETRY_NOT_LIVE_SECS, RETRY_UNAVAILABLE_SECS};
pub use rate::{Allowance, RateLimits};
pub use replay::{MAX_PROOFS_PER_WINDOW, REPLAY_WINDOW_SECS};
pub use router::{REQUEST_TIMEOUT, operations, refused_everywhere};
pub use state::{Clock, Options, Signaling};

#[cfg(test)]
mod tests;
