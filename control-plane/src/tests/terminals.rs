//! Proofs of the device key by terminals on the viewer list.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use sightline_grant::{Revocation, requirement};

use super::rig::{ANNA, BEN, Rig, User, answered, key, terminal};
use crate::clock::Clock;
use crate::gate::Refusal;
use crate::key::{KeyError, SignedChallenge};
use crate::limits::KEY_TRIES;
use crate::sealed::testing::{EntryOf, list_of};
use crate::storage::model::LeaseFacts;

/// Seed of the terminal's key for sealed video, and of another one.
const LISTED: u8 = 60;
const OTHER: u8 = 61;
const LIVE: u16 = 1;
const PLAYBACK: u16 = 2;

struct Stage {
    rig: Rig,
    anna: User,
    epoch: u64,
}

impl Stage {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let anna = rig.sign_in(ANNA, 1).await;
        rig.admitted(&anna, ANNA, "CAM-1").await;
        let epoch = rig.cp.device_of(terminal(100)).await.unwrap().epochs.binding;
        Self { rig, anna, epoch }
    }

    fn account(&self) -> &str {
        self.anna.session.account.as_str()
    }

    async fn put(&self, version: u64, entries: &[EntryOf<'_>]) {
        let list = list_of(("CAM-1", self.epoch, version), entries, &key(101));
        self.rig.cp.store_viewer_list(&self.anna.session, "CAM-1", &list).await.unwrap();
    }

    async fn prove(&self, pair: &Ed25519KeyPair) -> Result<(), KeyError> {
        self.rig.prove_by(&self.anna, "CAM-1", pair).await
    }

    /// A lease as the relay would have it after an admission now.
    async fn lease(&self) -> LeaseFacts {
        let admission = self.rig.admit(&self.anna, "CAM-1").await.unwrap();
        LeaseFacts {
            subject: admission.subject,
            session: admission.session,
            serial: "CAM-1".into(),
            epochs: admission.epochs,
        }
    }

    async fn is_live(&self, lease: &LeaseFacts) -> bool {
        self.rig.cp.renew(std::slice::from_ref(lease)).await.unwrap()[0]
    }
}

fn public(pair: &Ed25519KeyPair) -> &[u8] {
    pair.public_key().as_ref()
}

#[tokio::test]
async fn a_terminal_on_the_list_proves_the_device_key_and_others_do_not() {
    let stage = Stage::new().await;
    let (listed, other) = (key(LISTED), key(OTHER));
    let now = stage.rig.clock.now();
    assert!(matches!(stage.prove(&listed).await, Err(KeyError::Wrong)), "no list");
    for (version, entry, proven) in [
        (1, (public(&listed), stage.account(), LIVE, 0), true),
        (2, (public(&listed), stage.account(), 0, 0), false),
        (3, (public(&listed), "somebody-else", LIVE, 0), false),
        (4, (public(&listed), stage.account(), LIVE, now), false),
        (5, (public(&other), stage.account(), LIVE, 0), false),
        (6, (public(&listed), stage.account(), LIVE | PLAYBACK, now + 3600), true),
    ] {
        stage.put(version, &[entry]).await;
        let result = stage.prove(&listed).await;
        assert_eq!(result.is_ok(), proven, "list {version}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.to_string(), KeyError::Wrong.to_string());
            // The right secret clears the counter of tries.
            assert!(stage.rig.prove(&stage.anna, "CAM-1", &key(101)).await);
        }
    }
    requirement!("A23");
}

#[tokio::test]
async fn a_terminal_does_what_its_entry_says_and_less_than_before_ends_what_runs() {
    let stage = Stage::new().await;
    let listed = key(LISTED);
    stage.put(1, &[(public(&listed), stage.account(), PLAYBACK, 0)]).await;
    stage.prove(&listed).await.unwrap();
    let refused = stage.rig.admit(&stage.anna, "CAM-1").await;
    assert!(matches!(refused, Err(Refusal::KeyProofRequired)), "listed for recordings alone");
    stage.put(2, &[(public(&listed), stage.account(), LIVE | PLAYBACK, 0)]).await;
    let lease = stage.lease().await;
    let mut feed = stage.rig.cp.revocations();
    stage.put(3, &[(public(&listed), stage.account(), PLAYBACK, 0)]).await;
    assert!(matches!(feed.try_recv(), Ok(Revocation::Proof { .. })));
    assert!(!stage.is_live(&lease).await);
}

#[tokio::test]
async fn the_terminal_must_sign_itself_and_the_secret_is_no_terminal() {
    let stage = Stage::new().await;
    let listed = key(LISTED);
    stage.put(1, &[(public(&listed), stage.account(), LIVE, 0)]).await;
    let terminal = Some(public(&listed).try_into().unwrap());
    let (challenge, message) = stage.rig.challenge(&stage.anna, "CAM-1").await;
    let signature = key(101).sign(&message).as_ref().to_vec();
    let answer = SignedChallenge { challenge, signature, terminal };
    let proof = stage.rig.cp.prove_key(&stage.anna.session, "CAM-1", &answer).await;
    assert!(matches!(proof, Err(KeyError::Wrong)), "signed by the secret in a terminal's name");
    let (challenge, message) = stage.rig.challenge(&stage.anna, "CAM-1").await;
    let answer = answered(challenge, listed.sign(&message).as_ref());
    let proof = stage.rig.cp.prove_key(&stage.anna.session, "CAM-1", &answer).await;
    assert!(matches!(proof, Err(KeyError::Wrong)), "signed by the terminal in the secret's name");
    for _ in 2..KEY_TRIES {
        assert!(matches!(stage.prove(&key(OTHER)).await, Err(KeyError::Wrong)));
    }
    assert!(matches!(stage.prove(&listed).await, Err(KeyError::Limited(_))), "the same limit");
}

#[tokio::test]
async fn a_list_that_somebody_wrote_into_the_database_proves_nothing() {
    let stage = Stage::new().await;
    let listed = key(LISTED);
    stage.put(1, &[(public(&key(OTHER)), stage.account(), LIVE, 0)]).await;
    let forged = list_of(
        ("CAM-1", stage.epoch, 1),
        &[(public(&listed), stage.account(), LIVE, 0)],
        &key(LISTED),
    );
    stage.rig.store.replace_viewer_list("CAM-1", &forged).await;
    assert!(matches!(stage.prove(&listed).await, Err(KeyError::Wrong)));
}

#[tokio::test]
async fn a_removed_terminal_ends_with_the_list_and_others_go_on() {
    let stage = Stage::new().await;
    let (listed, other) = (key(LISTED), key(OTHER));
    let entry = |pair| (public(pair), stage.account(), LIVE, 0);
    stage.put(1, &[entry(&listed)]).await;
    stage.prove(&listed).await.unwrap();
    let lease = stage.lease().await;
    let mut feed = stage.rig.cp.revocations();
    stage.put(2, &[entry(&listed), entry(&other)]).await;
    assert!(feed.try_recv().is_err(), "it is still on the list");
    assert!(stage.is_live(&lease).await);

    stage.put(3, &[entry(&other)]).await;
    let session = stage.anna.session.id.0.clone();
    let epoch = lease.epochs.proof + 1;
    let expected = Revocation::Proof { serial: "CAM-1".into(), session, epoch };
    assert_eq!(feed.try_recv().unwrap(), expected);
    assert!(!stage.is_live(&lease).await);
    let refused = stage.rig.admit(&stage.anna, "CAM-1").await;
    assert!(matches!(refused, Err(Refusal::KeyProofRequired)));

    stage.put(4, &[entry(&listed)]).await;
    assert!(!stage.is_live(&lease).await, "what ended does not come back");
    stage.prove(&listed).await.unwrap();
    assert!(stage.lease().await.epochs.proof >= epoch, "a new proof is above what was ended");
}

#[tokio::test]
async fn a_terminals_time_ends_its_sessions_and_not_those_of_the_secret() {
    let stage = Stage::new().await;
    let listed = key(LISTED);
    let until = stage.rig.clock.now() + 90;
    stage.put(1, &[(public(&listed), stage.account(), LIVE, until)]).await;
    stage.prove(&listed).await.unwrap();
    let lease = stage.lease().await;
    let mut feed = stage.rig.cp.revocations();
    stage.rig.clock.advance(89);
    stage.rig.cp.end_expired_proofs().await.unwrap();
    assert!(feed.try_recv().is_err() && stage.is_live(&lease).await);
    stage.rig.clock.advance(1);
    assert!(!stage.is_live(&lease).await);
    stage.rig.cp.end_expired_proofs().await.unwrap();
    assert!(matches!(feed.try_recv().unwrap(), Revocation::Proof { .. }));
    assert!(feed.try_recv().is_err());
    assert!(stage.rig.prove(&stage.anna, "CAM-1", &key(101)).await);
    let again = stage.lease().await;
    stage.put(2, &[]).await;
    assert!(feed.try_recv().is_err() && stage.is_live(&again).await);
}

#[tokio::test]
async fn a_terminal_of_another_account_is_refused_at_the_gate_though_it_is_listed() {
    let stage = Stage::new().await;
    let ben = stage.rig.sign_in(BEN, 2).await;
    let listed = key(LISTED);
    stage.put(1, &[(public(&listed), ben.session.account.as_str(), LIVE, 0)]).await;
    assert!(matches!(stage.prove(&listed).await, Err(KeyError::Wrong)), "not Anna's");
    let proof = stage.rig.prove_by(&ben, "CAM-1", &listed).await;
    assert!(matches!(proof, Err(KeyError::NotBound)), "nothing is shared");
}
