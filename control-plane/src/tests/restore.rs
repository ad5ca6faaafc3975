use std::collections::BTreeSet;
use std::path::PathBuf;

use sightline_grant::{Redacted, requirement};
use sqlx::{Row, query};

use super::apps_rig::asks;
use super::rig::{ANNA, BEN, Rig, User, key, terminal};
use crate::DATABASE_FILE;
use crate::admin::{OneTimeTexts, SUBJECT_KEYS_FILE};
use crate::bind_token::PresentError;
use crate::binding::{BindError, BindRequest};
use crate::consent::{ACCOUNT, MEDIA_VIEW};
use crate::device::DeviceKnown;
use crate::erasures::{self, ERASURES_FILE};
use crate::gate::Refusal;
use crate::ids::{AppId, PasskeyId};
use crate::restore::{Restore, Restored, restore};
use crate::sso::app::AppError;
use crate::sso::authorize::RequestError;
use crate::sso::token::ClientShown;
use crate::storage::model::{DeviceEpochs, LeaseFacts, NewPasskey};
use crate::storage::sqlite::restore::{FATES, Fate};
use crate::storage::{AccountStore, ConsentStore, PasskeyStore};
use crate::tests::rig::IP;

/// A wish to bind by the printed code.
fn printed(texts: &OneTimeTexts) -> BindRequest {
    let code = texts.verification_code.expose().clone();
    BindRequest { serial: "CAM-1".into(), code, proof: None }
}

impl Rig {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a backup back, as if everything since then were lost, and goes on from it.
    async fn lose_all_since(self, backup: &str, unchanged: bool) -> (Self, Restored) {
        let data = self.path("restored");
        let what = Restore {
            database: self.path(backup).join(DATABASE_FILE),
            subject_keys: self.path(backup).join(SUBJECT_KEYS_FILE),
            erasures: None,
            unchanged,
        };
        let done = restore(&what, &data).await.unwrap();
        (self.on(&data).await, done)
    }
}

fn known(binding: u64, key: u64) -> DeviceKnown {
    DeviceKnown { epochs: DeviceEpochs { binding, key }, ..DeviceKnown::default() }
}

async fn lease(rig: &Rig, user: &User) -> LeaseFacts {
    let admission = rig.admit(user, "CAM-1").await.unwrap();
    LeaseFacts {
        subject: admission.subject,
        session: admission.session,
        serial: "CAM-1".into(),
        epochs: admission.epochs,
    }
}

#[tokio::test]
async fn an_old_backup_does_not_bring_a_former_owner_back() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.admitted(&anna, ANNA, "CAM-1").await;
    let held = lease(&rig, &anna).await;
    rig.cp.backup(&rig.path("old")).await.unwrap();
    // The camera changes hands, and the new owner's camera has a new key.
    assert!(rig.cp.unbind(&anna.session, "CAM-1").await.unwrap());
    let ben = rig.sign_in(BEN, 2).await;
    let epoch = rig.bind_sealed(&ben, "CAM-1", &texts).await;
    rig.key_and_facts(&ben, BEN, "CAM-1", epoch, 102).await;
    let of_ben = lease(&rig, &ben).await;
    let told = rig.cp.poll_device(terminal(100), known(0, 0)).await.unwrap().epochs;

    let (rig, done) = rig.lose_all_since("old", false).await;
    assert_eq!(done, Restored { erased: 0, suspended: 1, released: 0 });
    let token = &anna.signed_in.tokens.access;
    assert!(rig.cp.session(token).await.unwrap().is_none(), "no login of before holds");
    assert!(rig.cp.refresh(&anna.signed_in.tokens.refresh, terminal(1)).await.is_err());
    assert_eq!(rig.cp.renew(&[held.clone(), of_ben]).await.unwrap(), [false, false]);
    let anna = rig.sign_in(ANNA, 1).await;
    assert!(!anna.signed_in.new_account, "the account is there");
    assert!(rig.cp.my_devices(&anna.session).await.unwrap().is_empty(), "before the camera spoke");
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::NotBound)));
    let early = rig.cp.bind(&anna.session, &printed(&texts), IP).await;
    assert!(matches!(early, Err(BindError::Taken)), "nor by the printed code: {early:?}");

    // The camera knows Ben's binding: Anna's is over, for ever.
    let standing = rig.cp.poll_device(terminal(100), known(told.binding, told.key)).await.unwrap();
    assert!(!standing.bound);
    assert!(standing.epochs.binding > told.binding, "above all that was handed out");
    assert!(rig.cp.my_devices(&anna.session).await.unwrap().is_empty());
    let ben = rig.sign_in(BEN, 2).await;
    let again = rig.bind_sealed(&ben, "CAM-1", &texts).await;
    assert!(again > told.binding);
    rig.key_and_facts(&ben, BEN, "CAM-1", again, 102).await;
    let renewed = lease(&rig, &ben).await;
    assert!(renewed.epochs.proof > held.epochs.proof, "proofs are numbered on");
    assert!(renewed.epochs.key > told.key);
    assert_eq!(rig.cp.renew(&[held, renewed]).await.unwrap(), [false, true]);
    requirement!("X4");
}

#[tokio::test]
async fn a_camera_that_knows_no_later_binding_confirms_the_restored_one() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.admitted(&anna, ANNA, "CAM-1").await;
    let told = rig.cp.poll_device(terminal(100), known(0, 0)).await.unwrap().epochs;
    rig.cp.backup(&rig.path("old")).await.unwrap();
    let (rig, _) = rig.lose_all_since("old", false).await;
    let anna = rig.sign_in(ANNA, 1).await;
    let ben = rig.sign_in(BEN, 2).await;
    let taken = rig.cp.bind(&ben.session, &printed(&texts), IP).await;
    assert!(matches!(taken, Err(BindError::Taken)), "nobody slips in between");
    // One that has lost its memory confirms nothing.
    assert!(!rig.cp.poll_device(terminal(100), known(0, 0)).await.unwrap().bound);
    let standing = rig.cp.poll_device(terminal(100), known(told.binding, told.key)).await.unwrap();
    assert!(standing.bound && !standing.key_wanted, "as it was");
    assert_eq!(standing.epochs, told);
    assert_eq!(rig.cp.my_devices(&anna.session).await.unwrap().len(), 1);
    assert!(rig.prove(&anna, "CAM-1", &key(101)).await);
    rig.open_window(&anna, ANNA, "CAM-1").await;
    assert!(matches!(rig.admit(&anna, "CAM-1").await, Err(Refusal::ConsentRequired)));
    rig.cp.grant_consent(&anna.session, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    assert!(rig.admit(&anna, "CAM-1").await.is_ok());
    assert!(rig.cp.unbind(&anna.session, "CAM-1").await.unwrap());
    assert!(rig.bind_sealed(&anna, "CAM-1", &texts).await > super::rig::START);
}

/// A restored server with a camera of Anna's that has lost its memory.
async fn speechless() -> (Rig, User, OneTimeTexts) {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.admitted(&anna, ANNA, "CAM-1").await;
    rig.cp.backup(&rig.path("old")).await.unwrap();
    let (rig, _) = rig.lose_all_since("old", false).await;
    assert!(!rig.cp.poll_device(terminal(100), known(0, 0)).await.unwrap().bound);
    let anna = rig.sign_in(ANNA, 1).await;
    let refused = rig.cp.bind(&anna.session, &printed(&texts), IP).await;
    assert!(matches!(refused, Err(BindError::Taken)), "{refused:?}");
    (rig, anna, texts)
}

#[tokio::test]
async fn a_camera_that_lost_its_memory_comes_back_by_a_user_token_of_its_owner_only() {
    let (rig, anna, _) = speechless().await;
    let ben = rig.sign_in(BEN, 2).await;
    let token = rig.cp.open_bind_token(&ben.session, None).await.unwrap().token;
    let taken = rig.cp.present_bind_token(terminal(100), &token).await;
    assert!(matches!(taken, Err(PresentError::Taken)), "{taken:?}");
    let token = rig.cp.open_bind_token(&anna.session, None).await.unwrap().token;
    rig.cp.present_bind_token(terminal(100), &token).await.unwrap();
    assert_eq!(rig.cp.my_devices(&anna.session).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_camera_that_lost_its_memory_comes_back_by_the_operators_word() {
    let (rig, anna, _) = speechless().await;
    let code = rig.cp.issue_bind_code("CAM-1").await.unwrap().code.expose().clone();
    let request = BindRequest { serial: "CAM-1".into(), code, proof: None };
    rig.cp.bind(&anna.session, &request, IP).await.unwrap();
    assert_eq!(rig.cp.my_devices(&anna.session).await.unwrap().len(), 1);

    let (rig, _, texts) = speechless().await;
    rig.cp.release_device("CAM-1").await.unwrap();
    assert!(rig.cp.release_device("CAM-1").await.is_err(), "once");
    let ben = rig.sign_in(BEN, 2).await;
    rig.cp.bind(&ben.session, &printed(&texts), IP).await.expect("whoever has it now");
}

#[tokio::test]
async fn a_camera_with_a_newer_key_keeps_its_owner_and_loses_what_stood_on_the_old_one() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    rig.cp.backup(&rig.path("old")).await.unwrap();
    let told = rig.cp.poll_device(terminal(100), known(0, 0)).await.unwrap().epochs;
    let (rig, _) = rig.lose_all_since("old", false).await;
    let known = known(told.binding, told.key + 1);
    let standing = rig.cp.poll_device(terminal(100), known).await.unwrap();
    assert!(standing.bound && standing.key_wanted, "it is asked for the key that it has");
    assert!(standing.epochs.key > told.key + 1);
    let anna = rig.sign_in(ANNA, 1).await;
    assert!(!rig.prove(&anna, "CAM-1", &key(101)).await, "the old key proves nothing");
}

#[tokio::test]
async fn whoever_was_erased_after_the_backup_stays_erased() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let ben = rig.sign_in(BEN, 2).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    rig.cp.backup(&rig.path("old")).await.unwrap();
    rig.cp.delete_account(&anna.session.account).await.unwrap();
    assert!(rig.cp.delete_account(&anna.session.account).await.is_err(), "once");
    // Only the old keys are left, and the journal.
    let journal = rig.path(ERASURES_FILE);
    let only_anna = BTreeSet::from([anna.session.account.clone()]);
    assert_eq!(erasures::read(&journal).unwrap(), only_anna);
    let given = rig.path("kept-elsewhere");
    std::fs::copy(&journal, &given).unwrap();
    for unchanged in [false, true] {
        let data = rig.path(if unchanged { "as-it-was" } else { "lost" });
        let what = Restore {
            database: rig.path("old").join(DATABASE_FILE),
            subject_keys: rig.path("old").join(SUBJECT_KEYS_FILE),
            erasures: Some(given.clone()),
            unchanged,
        };
        let done = restore(&what, &data).await.unwrap();
        assert_eq!((done.erased, done.suspended), (1, 0));
        assert_eq!(erasures::read(&data.join(ERASURES_FILE)).unwrap(), only_anna);
        let store = crate::storage::sqlite::SqliteStore::open(&data.join(DATABASE_FILE)).await;
        let store = store.unwrap();
        let left = store.accounts().await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].id, ben.session.account);
        for (table, column) in
            [("subject_key", "account"), ("identifier", "account"), ("terminal", "account")]
        {
            let statement = format!("SELECT count(*) AS n FROM {table} WHERE {column} = ?1");
            let row = query(sqlx::AssertSqlSafe(statement))
                .bind(anna.session.account.as_str())
                .fetch_one(store.pool())
                .await
                .unwrap();
            assert_eq!(row.get::<i64, _>("n"), 0, "{table}");
        }
        store.close().await;
    }
    requirement!("X4");
}

#[tokio::test]
async fn an_erasure_that_the_database_does_not_know_is_done_before_anybody_is_served() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.sign_in(BEN, 2).await;
    // As after a crash between journal and commit, or a database copied back by hand.
    erasures::record(&rig.path(ERASURES_FILE), &anna.session.account).unwrap();
    assert_eq!(rig.cp.list_accounts().await.unwrap().len(), 2);
    rig.cp.replay_erasures().await.unwrap();
    assert_eq!(rig.cp.list_accounts().await.unwrap().len(), 1);
    assert!(rig.cp.session(&anna.signed_in.tokens.access).await.unwrap().is_none());
    rig.cp.replay_erasures().await.unwrap();
    std::fs::write(rig.path(ERASURES_FILE), "nonsense").unwrap();
    assert!(rig.cp.replay_erasures().await.is_err(), "an unreadable journal stops the start");
}

#[tokio::test]
async fn the_chain_of_a_restored_server_holds_and_goes_on_above_what_was_lost() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let grant = async |rig: &Rig, user: &User| {
        rig.cp.grant_consent(&user.session, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap()
    };
    grant(&rig, &anna).await;
    let before = rig.store.account(&anna.session.account).await.unwrap().unwrap().consent_epoch;
    rig.cp.backup(&rig.path("old")).await.unwrap();
    rig.cp.withdraw_consent(&anna.session, MEDIA_VIEW.id).await.unwrap();
    let lost = rig.store.account(&anna.session.account).await.unwrap().unwrap().consent_epoch;
    let (rig, _) = rig.lose_all_since("old", false).await;
    let anna = rig.sign_in(ANNA, 1).await;
    let states = rig.cp.consents(&anna.session).await.unwrap();
    let mut others = states.iter().filter(|state| state.purpose != ACCOUNT.id);
    assert!(others.all(|state| !state.granted), "asked anew: {states:?}");
    let epoch = rig.store.account(&anna.session.account).await.unwrap().unwrap().consent_epoch;
    assert!(lost > before && epoch > lost);
    let seq = grant(&rig, &anna).await;
    assert!(seq > super::rig::START, "above every number of what was lost");
    rig.cp.verify_consents().await.unwrap().unwrap();
    assert_eq!(rig.store.consent_events(0, 10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_backup_of_a_stopped_server_is_put_back_as_it_was_if_its_operator_says_so() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    rig.admitted(&anna, ANNA, "CAM-1").await;
    let held = lease(&rig, &anna).await;
    rig.cp.backup(&rig.path("old")).await.unwrap();
    let (rig, done) = rig.lose_all_since("old", true).await;
    assert_eq!(done, Restored::default());
    assert_eq!(rig.cp.renew(&[held]).await.unwrap(), [true], "what ran goes on");
    assert!(rig.cp.refresh(&anna.signed_in.tokens.refresh, terminal(1)).await.is_ok());
    assert_eq!(rig.cp.my_devices(&anna.session).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_passkey_that_was_removed_after_the_backup_does_not_come_back() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let new = NewPasskey {
        account: anna.session.account.clone(),
        id: PasskeyId("p".into()),
        lookup: vec![1],
        credential_enc: vec![2],
        name_enc: vec![3],
        public_key: vec![4],
        counter: 0,
        notices: Vec::new(),
    };
    rig.store.passkey_add(&new, 1, rig.clock_now()).await.unwrap();
    rig.cp.backup(&rig.path("old")).await.unwrap();
    let account = &anna.session.account;
    assert!(rig.store.passkey_remove(account, &new.id, &[], rig.clock_now()).await.unwrap());
    let (rig, _) = rig.lose_all_since("old", false).await;
    assert!(rig.store.passkey_by_credential(&[1]).await.unwrap().is_none());
    assert!(!rig.sign_in(ANNA, 1).await.signed_in.new_account, "a code leads in");
    requirement!("A10");
}

/// Whether an app's calls are taken, with this secret.
async fn is_known(rig: &Rig, id: &AppId, secret: Option<&Redacted<String>>) -> bool {
    let secret = secret.map(|secret| Redacted::new(secret.expose().clone()));
    rig.cp.known_app(&ClientShown { id: id.clone(), secret, jkt: None }).await.is_ok()
}

#[tokio::test]
async fn an_app_that_was_removed_after_the_backup_comes_back_by_the_operators_word_only() {
    let rig = Rig::new().await;
    let (own, other) = (rig.own_app().await, rig.other_app().await);
    rig.cp.backup(&rig.path("old")).await.unwrap();
    rig.cp.remove_app(&own.id).await.unwrap();
    let (rig, _) = rig.lose_all_since("old", false).await;
    let anna = rig.sign_in(ANNA, 1).await;
    assert!(!is_known(&rig, &own.id, None).await, "its calls");
    let asked = rig.cp.read_app_request(&asks(&own.id, "")).await;
    assert!(matches!(asked, Err(RequestError::Unknown)), "its requests: {asked:?}");
    assert!(!is_known(&rig, &other.id, other.secret.as_ref()).await, "no secret holds");
    let (held, confidential) = (rig.app(&own.id).await, rig.app(&other.id).await);
    assert!(held.suspended_at.is_some(), "the operator sees it");
    assert_eq!((confidential.suspended_at, confidential.secret_hash), (None, None));

    rig.cp.resume_app(&own.id).await.unwrap();
    assert!(is_known(&rig, &own.id, None).await);
    let made = rig.app_signed_in(&anna, &own.id, Some(terminal(5))).await;
    assert!(rig.cp.session(&made.tokens.access).await.unwrap().is_some());
    for id in [&own.id, &other.id, &AppId("0".into())] {
        let resumed = rig.cp.resume_app(id).await;
        assert!(matches!(resumed, Err(AppError::NotSuspended)), "{id}: {resumed:?}");
    }
    let newer = rig.cp.rotate_app_secret(&other.id).await.unwrap();
    assert!(is_known(&rig, &other.id, Some(&newer)).await);
}

#[tokio::test]
async fn apps_work_on_if_nothing_was_lost() {
    let rig = Rig::new().await;
    let (own, other) = (rig.own_app().await, rig.other_app().await);
    rig.cp.backup(&rig.path("old")).await.unwrap();
    let (rig, _) = rig.lose_all_since("old", true).await;
    assert!(is_known(&rig, &own.id, None).await);
    assert!(is_known(&rig, &other.id, other.secret.as_ref()).await);
    assert!(rig.cp.read_app_request(&asks(&own.id, "")).await.is_ok());
}

#[tokio::test]
async fn what_a_restore_does_is_said_of_every_table() {
    let rig = Rig::new().await;
    let rows =
        query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .fetch_all(rig.store.pool())
            .await
            .unwrap();
    let tables: BTreeSet<String> = rows.iter().map(|row| row.get("name")).collect();
    let said: BTreeSet<String> = FATES.iter().map(|(table, _)| (*table).to_owned()).collect();
    assert_eq!(
        said, tables,
        "name what a restore does with a new table in storage/sqlite/restore.rs"
    );
    assert!(FATES.iter().any(|(_, fate)| *fate == Fate::Cleared));
}
