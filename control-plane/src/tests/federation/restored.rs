use std::path::PathBuf;

use super::*;
use crate::DATABASE_FILE;
use crate::admin::SUBJECT_KEYS_FILE;
use crate::federation::unbound::UNBOUND_FILE;
use crate::restore::{Restore, restore};
use crate::tests::rig::ANNA;

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.rig.folder.path().join(name)
    }

    /// Puts a backup back; the journals of now lie beside it, as a newer backup would bring them.
    async fn lose_all_since(self, backup: &str, unchanged: bool) -> Self {
        let data = self.path("restored");
        let journal = self.path(UNBOUND_FILE);
        if journal.exists() {
            std::fs::copy(journal, self.path(backup).join(UNBOUND_FILE)).unwrap();
        }
        let what = Restore {
            database: self.path(backup).join(DATABASE_FILE),
            subject_keys: self.path(backup).join(SUBJECT_KEYS_FILE),
            erasures: None,
            unchanged,
        };
        restore(&what, &data).await.unwrap();
        self.on(&data).await
    }

    async fn tried(&self, subject: &str, seed: u8) -> Result<SignedIn, ProviderSignInError> {
        let begun = self.begin("apple", seed).await;
        self.enter(self.at_apple(&begun, subject), seed).await
    }
}

#[tokio::test]
async fn what_was_unbound_after_a_backup_does_not_revive() {
    for unchanged in [false, true] {
        let world = World::new().await;
        let anna = world.rig.sign_in(ANNA, 1).await;
        let bound = world.bind_apple(&anna, "001.anna").await;
        world.rig.cp.backup(&world.path("old")).await.unwrap();
        world.rig.cp.unbind_identity(&anna.session, &bound.id).await.unwrap();
        let world = world.lose_all_since("old", unchanged).await;
        let again = world.tried("001.anna", 2).await.unwrap();
        assert!(again.new_account, "nobody's, though the backup has it");
        assert!(world.path("restored").join(UNBOUND_FILE).exists(), "the journal goes on");
    }
}

#[tokio::test]
async fn a_database_that_was_copied_back_by_hand_is_put_right_at_the_start() {
    let world = World::new().await;
    let anna = world.rig.sign_in(ANNA, 1).await;
    let bound = world.bind_apple(&anna, "001.anna").await;
    std::fs::write(world.path(UNBOUND_FILE), format!("{}\n", bound.id)).unwrap();
    world.rig.cp.replay_unbindings().await.unwrap();
    assert!(world.tried("001.anna", 2).await.unwrap().new_account);
    std::fs::write(world.path(UNBOUND_FILE), "something else\n").unwrap();
    assert!(world.rig.cp.replay_unbindings().await.is_err(), "nobody is served on a guess");
}

#[tokio::test]
async fn identities_of_a_backup_wait_for_their_holder_where_there_is_another_way() {
    let world = World::new().await;
    let anna = world.rig.sign_in(ANNA, 1).await;
    world.bind_apple(&anna, "001.anna").await;
    let only = world.by_apple("001.only", 2).await;
    world.rig.cp.backup(&world.path("old")).await.unwrap();
    let world = world.lose_all_since("old", false).await;
    let held = world.tried("001.anna", 3).await;
    assert!(matches!(held, Err(ProviderSignInError::Suspended)));
    let by_code = world.rig.sign_in(ANNA, 3).await;
    let mine = world.rig.cp.my_identities(&by_code.session).await.unwrap();
    assert!(mine[0].suspended);
    world.bind_apple(&by_code, "001.anna").await;
    let account = world.tried("001.anna", 4).await.unwrap().account;
    assert_eq!(account, anna.signed_in.account);
    // Who has no other way in must not be locked out.
    let account = world.tried("001.only", 5).await.unwrap().account;
    assert_eq!(account, only.signed_in.account);
}
