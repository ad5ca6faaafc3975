//! Names, inventory, place and provisioning: under their purposes, and nobody else's.

use std::collections::BTreeMap;

use sightline_grant::requirement;

use super::rig::{ANNA, BEN, Rig, User, terminal};
use crate::admin::NewDevice;
use crate::consent::{
    DEVICE_HARDWARE, DEVICE_LOCATION, DEVICE_PROVISION, DEVICE_PROVISION_BLE, Purpose,
};
use crate::device::{DeviceError, DeviceKnown};
use crate::device_facts::FactError;
use crate::inventory::{AccessMode, Hardware, InventoryError};
use crate::limits::{MAX_SETTINGS, PROVISIONING_SECS, SEALED_BLOB_BYTES, SEALED_BLOB_SECS};
use crate::names::{ChannelName, Renaming};
use crate::place::Place;
use crate::provision::Network;

const CAMERA: u8 = 100;

async fn bound(rig: &Rig) -> (User, u64) {
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", CAMERA).await;
    let epoch = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    (anna, epoch)
}

async fn agree(rig: &Rig, user: &User, purpose: &Purpose) {
    rig.cp.grant_consent(&user.session, purpose.id, purpose.version).await.unwrap();
}

fn hardware() -> Hardware {
    Hardware {
        kind: "camera".into(),
        model: "M1".into(),
        firmware: "1.2.3".into(),
        mac: Some("00:1a:2b:3c:4d:5e".into()),
        system_version: "Linux 6".into(),
        access_mode: AccessMode::Wifi,
        settings: BTreeMap::from([("night-mode".into(), "auto".into())]),
    }
}

fn place() -> Place {
    Place {
        province: Some("Zhejiang".into()),
        city: Some("Hangzhou".into()),
        district: None,
        street: Some("Lakeside 1".into()),
        latitude: Some(30.25),
        longitude: Some(120.16),
    }
}

fn network() -> Network {
    Network {
        ssid: Some("home-of-anna".into()),
        bssid: Some("00:1a:2b:3c:4d:5e".into()),
        rssi: Some(-60),
        access_mode: AccessMode::Wifi,
        operator: Some("Operator".into()),
        bt_mac: None,
    }
}

/// Nothing of these is readable in any file of the data folder.
fn nowhere_in_clear(rig: &Rig, texts: &[&str]) {
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        for text in texts {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{text} in {}", file.display());
        }
    }
}

#[tokio::test]
async fn an_owner_names_a_device_and_its_channels_and_the_next_owner_starts_anew() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let new = NewDevice { channels: 3, ..super::rig::device("HUB-1", Some(terminal(CAMERA))) };
    let texts = rig.cp.add_device(&new).await.unwrap();
    rig.bind_sealed(&anna, "HUB-1", &texts).await;
    let name = |text: &str| Renaming { name: Some(text.into()), channels: Vec::new() };
    let channels = vec![(0, " Gate ".into()), (2, "后院".into())];
    let names = Renaming { name: Some("Annas Haus".into()), channels };
    rig.cp.rename_device(&anna.session, "HUB-1", &names).await.unwrap();
    let detail = rig.cp.device_detail(&anna.session, "HUB-1").await.unwrap();
    assert_eq!(detail.state.device.name, "Annas Haus");
    let named = |channel, name: Option<&str>| ChannelName { channel, name: name.map(Into::into) };
    let expected = [named(0, Some("Gate")), named(1, None), named(2, Some("后院"))];
    assert_eq!(detail.channels, expected);
    let listed = rig.cp.device_details(&anna.session).await.unwrap();
    assert_eq!((listed.len(), listed[0].state.device.name.as_str()), (1, "Annas Haus"));
    nowhere_in_clear(&rig, &["Annas Haus", "后院"]);

    for bad in ["", "  ", &"n".repeat(65), "a\nb"] {
        let refused = rig.cp.rename_device(&anna.session, "HUB-1", &name(bad)).await;
        assert!(matches!(refused, Err(FactError::Bad(_))), "{bad:?}");
    }
    rig.cp.rename_device(&anna.session, "HUB-1", &name(&"n".repeat(64))).await.unwrap();
    let far = Renaming { name: None, channels: vec![(3, "x".into())] };
    assert!(rig.cp.rename_device(&anna.session, "HUB-1", &far).await.is_err());
    let ben = rig.sign_in(BEN, 2).await;
    for serial in ["HUB-1", "HUB-9", "no serial/.."] {
        let stranger = rig.cp.rename_device(&ben.session, serial, &name("x")).await;
        assert!(matches!(stranger, Err(FactError::NotBound)));
        let stranger = rig.cp.device_detail(&ben.session, serial).await;
        assert!(matches!(stranger, Err(FactError::NotBound)));
    }
    rig.cp.unbind(&anna.session, "HUB-1").await.unwrap();
    rig.bind_sealed(&ben, "HUB-1", &texts).await;
    let detail = rig.cp.device_detail(&ben.session, "HUB-1").await.unwrap();
    assert_eq!(detail.state.device.name, "Door", "as the operator added it");
    assert!(detail.channels.iter().all(|channel| channel.name.is_none()));
    assert!(detail.value_added.is_empty() && detail.sharing.shares == 0);
    requirement!("B12", "B13", "B18");
}

#[tokio::test]
async fn a_device_tells_what_it_is_made_of_once_its_owner_agrees() {
    let rig = Rig::new().await;
    let (anna, epoch) = bound(&rig).await;
    let tell = async |epoch| rig.cp.store_inventory(terminal(CAMERA), epoch, &hardware()).await;
    let refused = tell(epoch).await;
    let required = FactError::ConsentRequired("device.hardware").to_string();
    assert_eq!(refused.unwrap_err().to_string(), required);
    let epochs = rig.cp.device_of(terminal(CAMERA)).await.unwrap().epochs;
    let verifier = [9; 32];
    rig.cp.store_verifier(terminal(CAMERA), epoch, &verifier).await.unwrap();
    let epochs = crate::storage::model::DeviceEpochs { key: epochs.key + 1, ..epochs };
    let known = DeviceKnown { epochs, tells_inventory: true, ..DeviceKnown::default() };
    let cp = rig.cp.clone();
    let waiting = tokio::spawn(async move { cp.poll_device(terminal(CAMERA), known).await });
    tokio::task::yield_now().await;
    agree(&rig, &anna, &DEVICE_HARDWARE).await;
    assert!(waiting.await.unwrap().unwrap().inventory_wanted, "the poll wakes");
    let stale = tell(epoch - 1).await;
    assert!(matches!(stale, Err(InventoryError::Device(DeviceError::OtherBinding))));
    tell(epoch).await.unwrap();
    let standing = rig.cp.inventory_wanted(&crate::ids::Serial("CAM-1".into())).await.unwrap();
    assert!(!standing);
    let detail = rig.cp.device_detail(&anna.session, "CAM-1").await.unwrap();
    assert_eq!(detail.access_mode(), Some(AccessMode::Wifi));
    assert_eq!(detail.hardware.unwrap().0, hardware());
    assert!(!format!("{:?}", hardware()).contains("3c:4d"));
    nowhere_in_clear(&rig, &["00:1a:2b:3c:4d:5e", "night-mode"]);

    let newer = Hardware { firmware: "1.2.4".into(), ..hardware() };
    rig.cp.store_inventory(terminal(CAMERA), epoch, &newer).await.unwrap();
    let detail = rig.cp.device_detail(&anna.session, "CAM-1").await.unwrap();
    assert_eq!(detail.hardware.unwrap().0.firmware, "1.2.4", "kept current");
    let many = (0..=MAX_SETTINGS).map(|at| (at.to_string(), String::new())).collect();
    for bad in [
        Hardware { mac: Some("none".into()), ..hardware() },
        Hardware { model: "m".repeat(65), ..hardware() },
        Hardware { settings: many, ..hardware() },
        Hardware { settings: BTreeMap::from([("s".into(), "v".repeat(129))]), ..hardware() },
    ] {
        let refused = rig.cp.store_inventory(terminal(CAMERA), epoch, &bad).await;
        assert!(matches!(refused, Err(InventoryError::Fact(FactError::Bad(_)))));
    }
    requirement!("B12", "B15", "L3");
}

#[tokio::test]
async fn who_refuses_hardware_information_controls_no_device_and_keeps_account_and_viewing() {
    let rig = Rig::new().await;
    let (anna, epoch) = bound(&rig).await;
    rig.key_and_facts(&anna, ANNA, "CAM-1", epoch, 101).await;
    rig.cp.may_control(&anna.session.account, "CAM-1").await.unwrap();
    agree(&rig, &anna, &DEVICE_HARDWARE).await;
    rig.cp.store_inventory(terminal(CAMERA), epoch, &hardware()).await.unwrap();
    rig.cp.withdraw_consent(&anna.session, DEVICE_HARDWARE.id).await.unwrap();
    let refused = rig.cp.may_control(&anna.session.account, "CAM-1").await;
    assert!(matches!(refused, Err(FactError::ConsentRequired("device.hardware"))));
    let order = crate::sealed::testing::order_of("CAM-1", epoch, 1, 0, &super::rig::key(101));
    let token = &anna.signed_in.tokens.access;
    let mode = crate::device::EncMode::Open;
    let ordered = rig.cp.order_enc_mode(&anna.session, token, "CAM-1", mode, &order).await;
    assert!(ordered.is_err_and(|error| error.to_string().contains("device.hardware")));
    let order = crate::sealed::testing::order_of("CAM-1", epoch, 2, 1, &super::rig::key(101));
    let mode = crate::device::EncMode::Sealed;
    let ordered = rig.cp.order_enc_mode(&anna.session, token, "CAM-1", mode, &order).await;
    assert!(ordered.is_ok(), "protection is never refused");

    let detail = rig.cp.device_detail(&anna.session, "CAM-1").await.unwrap();
    assert!(detail.hardware.is_none(), "what was told is gone");
    assert!(rig.cp.me(&anna.session).await.unwrap().is_some());
    assert!(rig.admit(&anna, "CAM-1").await.is_ok());
    requirement!("B15", "L3");
}

#[tokio::test]
async fn a_place_is_kept_under_its_own_consent_and_read_and_deleted_by_its_owner() {
    let rig = Rig::new().await;
    let (anna, _) = bound(&rig).await;
    let session = &anna.session;
    let refused = rig.cp.put_place(session, "CAM-1", &place()).await;
    assert!(matches!(refused, Err(FactError::ConsentRequired("device.location"))));
    agree(&rig, &anna, &DEVICE_LOCATION).await;
    rig.cp.put_place(session, "CAM-1", &place()).await.unwrap();
    assert_eq!(rig.cp.place(session, "CAM-1").await.unwrap(), place());
    assert!(!format!("{:?}", place()).contains("Hangzhou"));
    nowhere_in_clear(&rig, &["Hangzhou", "Lakeside", "120.16"]);
    let ben = rig.sign_in(BEN, 2).await;
    assert!(matches!(rig.cp.place(&ben.session, "CAM-1").await, Err(FactError::NotBound)));
    for bad in [
        Place { latitude: None, ..place() },
        Place { latitude: Some(90.1), ..place() },
        Place { longitude: Some(-180.1), ..place() },
        Place { latitude: Some(f64::NAN), ..place() },
        Place { city: Some("c".repeat(65)), ..place() },
    ] {
        assert!(matches!(rig.cp.put_place(session, "CAM-1", &bad).await, Err(FactError::Bad(_))));
    }
    let edge = Place { latitude: Some(-90.0), longitude: Some(180.0), ..place() };
    rig.cp.put_place(session, "CAM-1", &edge).await.unwrap();
    rig.cp.forget_place(session, "CAM-1").await.unwrap();
    assert!(matches!(rig.cp.place(session, "CAM-1").await, Err(FactError::Nothing)));
    rig.cp.put_place(session, "CAM-1", &place()).await.unwrap();
    rig.cp.withdraw_consent(session, DEVICE_LOCATION.id).await.unwrap();
    assert!(matches!(rig.cp.place(session, "CAM-1").await, Err(FactError::Nothing)));
    let texts = rig.add_sealed("CAM-2", 102).await;
    rig.bind_sealed(&anna, "CAM-2", &texts).await;
    requirement!("B11");
}

#[tokio::test]
async fn a_provisioning_is_kept_for_a_week_and_what_is_sealed_to_the_device_goes_out_once() {
    let rig = Rig::new().await;
    let (anna, _) = bound(&rig).await;
    let session = &anna.session;
    let provision = async |serial, network: &Network, sealed: Option<Vec<u8>>| {
        rig.cp.provision(session, serial, network, sealed).await
    };
    let refused = provision("CAM-1", &network(), None).await;
    assert!(matches!(refused, Err(FactError::ConsentRequired("device.provision"))));
    agree(&rig, &anna, &DEVICE_PROVISION).await;
    provision("NOT-BOUND-YET", &network(), None).await.unwrap();
    let blob = vec![7; SEALED_BLOB_BYTES];
    let strange = provision("NOT-BOUND-YET", &network(), Some(blob.clone())).await;
    assert!(matches!(strange, Err(FactError::NotBound)));
    let id = provision("CAM-1", &network(), Some(blob.clone())).await.unwrap();
    let long = provision("CAM-1", &network(), Some(vec![7; SEALED_BLOB_BYTES + 1])).await;
    assert!(matches!(long, Err(FactError::Bad(_))));
    let kept = rig.cp.provisionings(session).await.unwrap();
    let found = kept.iter().find(|one| one.id == id).unwrap();
    assert!(found.sealed_waits && found.network == network());
    nowhere_in_clear(&rig, &["home-of-anna"]);
    assert_eq!(rig.cp.take_sealed(terminal(CAMERA)).await.unwrap(), Some(blob.clone()));
    assert_eq!(rig.cp.take_sealed(terminal(CAMERA)).await.unwrap(), None);
    provision("CAM-1", &network(), Some(blob)).await.unwrap();
    rig.clock.advance(SEALED_BLOB_SECS);
    assert_eq!(rig.cp.take_sealed(terminal(CAMERA)).await.unwrap(), None, "too late");
    for bad in [
        Network { ssid: Some("s".repeat(33)), ..network() },
        Network { bssid: Some("s".into()), ..network() },
        Network { rssi: Some(1), ..network() },
        Network { rssi: Some(-128), ..network() },
        Network { operator: Some("o".repeat(65)), ..network() },
    ] {
        assert!(matches!(provision("CAM-1", &bad, None).await, Err(FactError::Bad(_))));
    }
    let edge = Network { ssid: Some("s".repeat(32)), rssi: Some(-127), ..network() };
    provision("CAM-1", &edge, None).await.unwrap();
    rig.clock.advance(PROVISIONING_SECS);
    let anna = rig.sign_in(ANNA, 1).await;
    assert!(rig.cp.provisionings(&anna.session).await.unwrap().is_empty());
    requirement!("B8");
}

#[tokio::test]
async fn a_bluetooth_address_is_kept_with_a_consent_of_its_own_only() {
    let rig = Rig::new().await;
    let (anna, _) = bound(&rig).await;
    agree(&rig, &anna, &DEVICE_PROVISION).await;
    let by_ble = Network { bt_mac: Some("AA:BB:CC:DD:EE:01".into()), ..network() };
    let refused = rig.cp.provision(&anna.session, "CAM-1", &by_ble, None).await;
    assert!(matches!(refused, Err(FactError::ConsentRequired("device.provision.ble"))));
    assert!(rig.cp.provisionings(&anna.session).await.unwrap().is_empty());
    agree(&rig, &anna, &DEVICE_PROVISION_BLE).await;
    rig.cp.provision(&anna.session, "CAM-1", &by_ble, None).await.unwrap();
    let kept = rig.cp.provisionings(&anna.session).await.unwrap();
    assert_eq!(kept[0].network.bt_mac, by_ble.bt_mac);
    nowhere_in_clear(&rig, &["AA:BB:CC:DD:EE:01"]);
    rig.cp.withdraw_consent(&anna.session, DEVICE_PROVISION_BLE.id).await.unwrap();
    assert!(rig.cp.provisionings(&anna.session).await.unwrap().is_empty());
    requirement!("B9");
}
