use sightline_grant::{Redacted, requirement};

use super::rig::{ANNA, BEN, Rig, device, terminal};
use crate::DATABASE_FILE;
use crate::admin::{AdminError, SUBJECT_KEYS_FILE};
use crate::restore::{Restore, restore};
use crate::storage::AccountStore;
use crate::storage::sqlite::SqliteStore;

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn no_number_name_code_or_token_stands_in_clear_in_any_file() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.admitted(&anna, ANNA, "CAM-1").await;
    let open = rig.add_open("CAM-2").await;
    rig.login_challenge(BEN, terminal(3)).await;
    let code = rig.code(BEN).await;
    let tokens = &anna.signed_in.tokens;
    let printed = texts.verification_code.expose();
    let secrets = [
        &ANNA[1..],
        &BEN[1..],
        "Kitchen tablet",
        code.expose(),
        printed,
        &printed.replace('-', ""),
        open.publish_password.as_ref().unwrap().expose(),
        tokens.access.expose(),
        tokens.refresh.expose(),
    ];
    let files = rig.files();
    assert!(files.len() >= 2, "database and log: {files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for (at, secret) in secrets.iter().enumerate() {
            assert!(!holds(&bytes, secret), "secret {at} in {}", file.display());
        }
    }
    let shown = format!("{:?} {:?} {:?}", anna.signed_in, texts, open);
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "a debug form shows a secret");
    requirement!("A20");
}

#[tokio::test]
async fn a_serial_or_identity_is_added_once() {
    let rig = Rig::new().await;
    rig.add_sealed("CAM-1", 100).await;
    for (serial, seed) in [("CAM-1", 101), ("CAM-2", 100)] {
        let again = rig.cp.add_device(&device(serial, Some(terminal(seed)))).await;
        assert!(matches!(again, Err(AdminError::Exists)), "{serial} {seed}");
    }
    let many = crate::admin::NewDevice { channels: 65, ..device("CAM-3", None) };
    assert!(matches!(rig.cp.add_device(&many).await, Err(AdminError::BadDevice)));
    let nameless = crate::admin::NewDevice { seals: true, ..device("CAM-3", None) };
    assert!(matches!(rig.cp.add_device(&nameless).await, Err(AdminError::BadDevice)));
}

#[tokio::test]
async fn publishers_are_known_by_password_digest_and_identity() {
    let rig = Rig::new().await;
    let open = rig.add_open("CAM-1").await.publish_password.unwrap();
    rig.add_sealed("CAM-2", 100).await;
    assert_eq!(open.expose().len(), 32);
    let found = rig.cp.publisher_by_token(&open).await.unwrap().unwrap();
    assert_eq!((found.serial.as_str(), found.sealed), ("CAM-1", false));
    let wrong = Redacted::new("A".repeat(32));
    assert_eq!(rig.cp.publisher_by_token(&wrong).await.unwrap(), None);
    let found = rig.cp.publisher_by_identity(terminal(100)).await.unwrap().unwrap();
    assert_eq!((found.serial.as_str(), found.sealed), ("CAM-2", true));
    let rtsp = rig.cp.rtsp_publisher("CAM-1").await.unwrap().unwrap();
    assert_eq!((rtsp.ha1_md5.expose().len(), rtsp.ha1_sha256.expose().len()), (32, 64));
    assert!(rig.cp.rtsp_publisher("CAM-2").await.unwrap().is_none(), "sealed");
    let rotated = rig.cp.rotate_publish_password("CAM-1").await.unwrap();
    assert_eq!(rig.cp.publisher_by_token(&open).await.unwrap(), None);
    assert!(rig.cp.publisher_by_token(&rotated).await.unwrap().is_some());
}

#[tokio::test]
async fn removing_a_device_ends_its_binding_and_its_epochs_go_on() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    let first = rig.bind_sealed(&anna, "CAM-1", &texts).await;
    rig.cp.remove_device("CAM-1").await.unwrap();
    assert!(rig.cp.my_devices(&anna.session).await.unwrap().is_empty());
    let texts = rig.add_sealed("CAM-1", 100).await;
    assert!(rig.bind_sealed(&anna, "CAM-1", &texts).await > first + 1);
}

#[tokio::test]
async fn a_deleted_account_is_gone_and_a_backup_cannot_bring_it_back() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let ben = rig.sign_in(BEN, 2).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let (before, after) = (rig.folder.path().join("before"), rig.folder.path().join("after"));
    rig.cp.backup(&before).await.unwrap();
    rig.cp.delete_account(&anna.session.account).await.unwrap();
    assert!(rig.cp.session(&anna.signed_in.tokens.access).await.unwrap().is_none());
    assert_eq!(rig.cp.list_accounts().await.unwrap().len(), 1);
    rig.cp.backup(&after).await.unwrap();

    let restored = rig.folder.path().join("restored");
    let (old, keys) = (before.join(DATABASE_FILE), after.join(SUBJECT_KEYS_FILE));
    let what = Restore { database: old, subject_keys: keys, erasures: None, unchanged: true };
    assert_eq!(restore(&what, &restored).await.unwrap().erased, 1, "its key is gone");
    let store = SqliteStore::open(&restored.join(DATABASE_FILE)).await.unwrap();
    let accounts = store.accounts().await.unwrap();
    assert_eq!(accounts.len(), 1, "the old database with the newest keys");
    assert_eq!(accounts[0].id, ben.session.account);
    let again = restore(&what, &restored).await;
    assert!(matches!(again, Err(AdminError::File(..))), "a database is never overwritten");

    // The number is free again and gets a new account.
    rig.clock.advance(3600);
    let anew = rig.sign_in(ANNA, 1).await;
    assert!(anew.signed_in.new_account);
    assert_ne!(anew.session.account, anna.session.account);
    let listed = rig.cp.my_devices(&anew.session).await.unwrap();
    assert!(listed.is_empty());
}
