//! The doorway of Sightline: HTTP, WHIP and WHEP, the gate, and the page.

pub mod plane;
