//! The keys together: what owners, guests, cameras and servers can do with them, and what not.

mod confirmation;
mod generations;
mod lists;
mod orders;
mod rekey;
mod vectors;

use std::io;

use sightline_relay_proto::ids::DeviceId;

use super::testing::{NOW, Rig, binding, stored, terminal, viewer};
use super::*;
use crate::secret::DeviceSecret;
use crate::sframe::Suite;
use crate::{Identity, sframe};

fn not_stored(_: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::StorageFull.into())
}

#[test]
fn no_key_prints() {
    let rig = Rig::new("CAM-1", 1);
    let base = BaseKey::generate().expect("random");
    let terminal = terminal(7);
    let secret = sframe::testing::hex(&[7; 32]);
    let printed = format!(
        "{base:?} {terminal:?} {:?} {:?} {:?}",
        terminal.exchange(),
        rig.camera,
        rig.auth()
    );
    assert!(printed.starts_with("[redacted] TerminalKeys("), "{printed}");
    assert!(!printed.contains(&secret), "{printed}");
    assert!(!printed.contains("7, 7, 7"), "{printed}");
}
