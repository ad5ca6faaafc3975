//! What the camera is made of. It tells the server once its owner agrees, and again when it changed;
//! without that it tells nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sightline_client::api::{AccessMode, Api, DeviceState, HardwareInfo};

use crate::data_dir::write_private;
use crate::pki::hex;

/// File with the binding and the hash of what was told under it. Nothing in it is secret.
const TOLD_FILE: &str = "inventory.told";
/// Where Linux lists network interfaces.
const INTERFACES: &str = "/sys/class/net";

/// What is told, and what was.
pub(crate) struct Inventory {
    path: PathBuf,
    hardware: HardwareInfo,
    digest: String,
    /// Binding epoch, and hash of what was told under it.
    told: Option<(u64, String)>,
    /// Binding epoch under which the server took it, or refused it, since the start.
    tried: Option<u64>,
}

impl Inventory {
    /// Looks at the machine and at what the folder remembers.
    pub(crate) fn load(folder: &Path, mode: &str) -> Self {
        let path = folder.join(TOLD_FILE);
        let told = fs::read_to_string(&path).ok().and_then(|text| parse(&text));
        Self::new(path, look(mode), told)
    }

    fn new(path: PathBuf, hardware: HardwareInfo, told: Option<(u64, String)>) -> Self {
        let json = serde_json::to_vec(&hardware).unwrap_or_default();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &json);
        Self { path, hardware, digest: hex(digest.as_ref()), told, tried: None }
    }

    /// Whether the server is to be told now: it asks, or knows something older under this binding.
    fn is_due(&self, state: &DeviceState) -> bool {
        let epoch = state.binding_epoch;
        let outdated =
            self.told.as_ref().is_some_and(|(of, told)| *of == epoch && *told != self.digest);
        state.bound && (state.inventory_wanted || (outdated && self.tried != Some(epoch)))
    }

    /// Tells the server if that is due.
    pub(crate) async fn tell(&mut self, api: &Api, state: &DeviceState) {
        if !self.is_due(state) {
            return;
        }
        let epoch = state.binding_epoch;
        match api.put_hardware(epoch, &self.hardware).await {
            Ok(()) => {
                let line = format!("{epoch} {}\n", self.digest);
                if let Err(error) = write_private(&self.path, line.as_bytes()) {
                    tracing::warn!(%error, "what was told of this camera cannot be remembered");
                }
                (self.told, self.tried) = (Some((epoch, self.digest.clone())), Some(epoch));
                tracing::info!("the server was told what this camera is made of");
            }
            Err(error) => {
                // Asked for again by the server, if its owner agrees.
                if error.problem().is_some() {
                    self.tried = Some(epoch);
                }
                tracing::warn!(%error, "the server was not told what this camera is made of");
            }
        }
    }
}

fn parse(text: &str) -> Option<(u64, String)> {
    let (epoch, digest) = text.trim().split_once(' ')?;
    Some((epoch.parse().ok()?, digest.to_owned()))
}

/// What Linux says of this machine.
fn look(mode: &str) -> HardwareInfo {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (access_mode, mac) = interface(Path::new(INTERFACES));
    HardwareInfo {
        kind: "camera".into(),
        model: "Sightline agent".into(),
        firmware: env!("CARGO_PKG_VERSION").into(),
        mac,
        system_version: format!("Linux {}", release.trim()).chars().take(64).collect(),
        access_mode,
        settings: BTreeMap::from([("mode".into(), mode.into())]),
    }
}

/// Kind and address of the first interface, by name, that is up and is no loop.
fn interface(folder: &Path) -> (AccessMode, Option<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return (AccessMode::Other, None) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: &Path, name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
    let up = |path: &&PathBuf| {
        let address = read(path, "address");
        read(path, "operstate").trim() == "up"
            && address.trim().len() == "aa:bb:cc:dd:ee:ff".len()
            && address.trim() != "00:00:00:00:00:00"
    };
    let Some(path) = paths.iter().find(up) else { return (AccessMode::Other, None) };
    let wireless = path.join("wireless").exists();
    let mode = if wireless { AccessMode::Wifi } else { AccessMode::Wired };
    (mode, Some(read(path, "address").trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(epoch: u64, wanted: bool) -> DeviceState {
        serde_json::from_value(serde_json::json!({
            "bound": true, "binding_epoch": epoch, "key_epoch": 1, "key_wanted": false,
            "inventory_wanted": wanted,
        }))
        .unwrap()
    }

    fn inventory(told: Option<(u64, String)>) -> Inventory {
        Inventory::new(PathBuf::new(), look("sealed"), told)
    }

    #[test]
    fn a_camera_tells_when_asked_and_when_what_it_told_has_changed() {
        let fresh = inventory(None);
        assert!(!fresh.is_due(&state(1, false)), "nothing is told unasked");
        assert!(fresh.is_due(&state(1, true)));
        let same = inventory(Some((1, fresh.digest.clone())));
        assert!(!same.is_due(&state(1, false)));
        let older = inventory(Some((1, "older".into())));
        assert!(older.is_due(&state(1, false)));
        assert!(!older.is_due(&state(2, false)), "another owner has not agreed yet");
        let refused = Inventory { tried: Some(1), ..inventory(Some((1, "older".into()))) };
        assert!(!refused.is_due(&state(1, false)));
        let unbound = DeviceState { bound: false, ..state(1, true) };
        assert!(!fresh.is_due(&unbound));
    }

    #[test]
    fn the_first_interface_that_is_up_says_how_the_camera_is_connected() {
        let folder = tempfile::tempdir().unwrap();
        let add = |name: &str, state: &str, address: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("operstate"), format!("{state}\n")).unwrap();
            fs::write(path.join("address"), format!("{address}\n")).unwrap();
            path
        };
        assert_eq!(interface(&folder.path().join("none")), (AccessMode::Other, None));
        add("a", "down", "02:00:00:00:00:01");
        add("lo", "up", "00:00:00:00:00:00");
        assert_eq!(interface(folder.path()), (AccessMode::Other, None));
        let wlan = add("wlan0", "up", "02:00:00:00:00:02");
        let wired = (AccessMode::Wired, Some("02:00:00:00:00:02".to_owned()));
        assert_eq!(interface(folder.path()), wired);
        fs::create_dir(wlan.join("wireless")).unwrap();
        assert_eq!(interface(folder.path()).0, AccessMode::Wifi);
    }
}
