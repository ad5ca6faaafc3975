use std::sync::atomic::Ordering;

use sightline_grant::requirement;

use super::*;
use crate::limits::{REVOKE_ATTEMPTS, REVOKE_PAUSE_MAX_SECS};
use crate::storage::IdentityStore;
use crate::tests::rig::ANNA;

impl World {
    fn revoked(&self) -> Vec<String> {
        self.apple.revoked.lock().unwrap().clone()
    }

    /// Rows that still hold a token.
    async fn tokens_kept(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM identity_revocation)
                  + (SELECT count(*) FROM identity WHERE token_enc IS NOT NULL)",
        )
        .fetch_one(self.rig.store.pool())
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn apple_is_told_of_an_unbinding_and_of_an_erasure() {
    let world = World::new().await;
    let anna = world.rig.sign_in(ANNA, 1).await;
    let bound = world.bind_apple(&anna, "001.anna").await;
    world.rig.cp.unbind_identity(&anna.session, &bound.id).await.unwrap();
    world.rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(world.revoked(), ["refresh-of-001.anna"]);
    assert_eq!(world.tokens_kept().await, 0);

    let ben = world.by_apple("001.ben", 2).await;
    world.rig.cp.delete_account(&ben.signed_in.account).await.unwrap();
    world.rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(world.revoked(), ["refresh-of-001.anna", "refresh-of-001.ben"]);
    assert_eq!(world.tokens_kept().await, 0);
    world.rig.clock.advance(86_400);
    world.rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(world.revoked().len(), 2, "once each");
    let again = world.by_apple("001.ben", 3).await;
    assert!(again.signed_in.new_account, "nothing of the erased account is left");
}

#[tokio::test]
async fn apple_is_told_once_it_answers_again_over_a_restart_too() {
    let world = World::new().await;
    world.apple.down.store(true, Ordering::SeqCst);
    let ben = world.by_apple("001.ben", 2).await;
    world.rig.cp.delete_account(&ben.signed_in.account).await.unwrap();
    for _ in 0..3 {
        world.rig.cp.deliver_outbox().await.unwrap();
        world.rig.clock.advance(60);
    }
    let asked = *world.apple.asked.lock().unwrap();
    assert!((2..=3).contains(&asked), "asked {asked} times");
    assert_eq!((world.revoked().len(), world.tokens_kept().await), (0, 1));
    let folder = world.rig.folder.path().to_owned();
    let world = world.on(&folder).await;
    world.apple.down.store(false, Ordering::SeqCst);
    world.rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(world.revoked(), ["refresh-of-001.ben"]);
    assert_eq!(world.tokens_kept().await, 0, "the token is gone with its use");
    requirement!("A12");
}

#[tokio::test]
async fn a_grant_that_nobody_takes_back_is_given_up_after_its_attempts() {
    let world = World::new().await;
    let ben = world.by_apple("001.ben", 2).await;
    world.rig.cp.delete_account(&ben.signed_in.account).await.unwrap();
    world.apple.down.store(true, Ordering::SeqCst);
    for attempt in 1..=REVOKE_ATTEMPTS {
        assert_eq!(world.tokens_kept().await, 1, "before attempt {attempt}");
        world.rig.cp.deliver_outbox().await.unwrap();
        world.rig.clock.advance(REVOKE_PAUSE_MAX_SECS);
    }
    assert_eq!(*world.apple.asked.lock().unwrap(), REVOKE_ATTEMPTS);
    assert_eq!(world.tokens_kept().await, 0);
    world.rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(*world.apple.asked.lock().unwrap(), REVOKE_ATTEMPTS);
}

#[tokio::test]
async fn a_grant_waits_for_a_provider_that_the_server_does_not_know_now() {
    let world = World::new().await;
    let ben = world.by_apple("001.ben", 2).await;
    world.rig.cp.delete_account(&ben.signed_in.account).await.unwrap();
    let (folder, providers) = (world.rig.folder.path().to_owned(), world.providers.clone());
    // Started without it in the configuration.
    let rig = world.rig.on(&folder).await;
    rig.cp.deliver_outbox().await.unwrap();
    let world = World { rig, providers, ..World::new().await };
    assert_eq!(world.tokens_kept().await, 1);
    let folder = world.rig.folder.path().to_owned();
    world.rig.clock.advance(60);
    let world = world.on(&folder).await;
    world.rig.cp.deliver_outbox().await.unwrap();
    assert_eq!(world.tokens_kept().await, 0);
}

#[tokio::test]
async fn a_token_is_sealed_for_its_row_and_replaced_by_the_newest() {
    let world = World::new().await;
    let ben = world.by_apple("001.ben", 2).await;
    for file in world.rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(10).any(|part| part == b"refresh-of"), "{}", file.display());
        assert!(!bytes.windows(7).any(|part| part == b"001.ben"), "{}", file.display());
    }
    world.by_apple("001.ben", 3).await;
    assert_eq!(world.tokens_kept().await, 1);
    assert_eq!(world.revoked().len(), 0, "a token that is replaced would take the newest with it");
    assert_eq!(world.rig.store.identities(&ben.signed_in.account).await.unwrap().len(), 1);
}
