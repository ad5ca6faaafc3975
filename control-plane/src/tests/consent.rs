use sightline_grant::Revocation;

use super::rig::{ANNA, BEN, Rig};
use crate::consent::chain::{self, Broken};
use crate::consent::{ConsentError, MEDIA_VIEW};
use crate::storage::ConsentStore;

#[tokio::test]
async fn a_withdrawal_raises_the_epoch_and_is_announced() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let session = &anna.session;
    let seq = rig.cp.grant_consent(session, MEDIA_VIEW.id, 1).await.unwrap();
    assert_eq!(rig.cp.grant_consent(session, MEDIA_VIEW.id, 1).await.unwrap(), seq, "once");
    let mut feed = rig.cp.revocations();
    rig.cp.withdraw_consent(session, MEDIA_VIEW.id).await.unwrap();
    let subject = session.subject.0.clone();
    assert_eq!(feed.try_recv().unwrap(), Revocation::Consent { subject, epoch: 1 });
    let again = rig.cp.withdraw_consent(session, MEDIA_VIEW.id).await;
    assert!(matches!(again, Err(ConsentError::NotGranted)));
    let other = rig.cp.grant_consent(session, MEDIA_VIEW.id, 2).await;
    assert!(matches!(other, Err(ConsentError::OtherVersion)));
    let unknown = rig.cp.grant_consent(session, "media.sell", 1).await;
    assert!(matches!(unknown, Err(ConsentError::UnknownPurpose)));
}

#[tokio::test]
async fn a_changed_missing_or_moved_consent_event_is_found() {
    let rig = Rig::new().await;
    for (number, seed) in [(ANNA, 1), (BEN, 2)] {
        let user = rig.sign_in(number, seed).await;
        rig.cp.grant_consent(&user.session, MEDIA_VIEW.id, 1).await.unwrap();
        rig.cp.withdraw_consent(&user.session, MEDIA_VIEW.id).await.unwrap();
    }
    assert_eq!(rig.cp.verify_consents().await.unwrap(), Ok(6));
    let events = rig.store.consent_events(0, 10).await.unwrap();
    let start = || (0, chain::START.to_vec());
    let mut changed = events.clone();
    changed[2].granted = true;
    assert_eq!(chain::verify(start(), &changed), Err(Broken(3)));
    let mut rehashed = changed;
    rehashed[2].hash = chain::link(&rehashed[2]).to_vec();
    assert_eq!(chain::verify(start(), &rehashed), Err(Broken(4)));
    let mut missing = events.clone();
    missing.remove(2);
    assert_eq!(chain::verify(start(), &missing), Err(Broken(3)));
    let mut moved = events;
    moved.swap(2, 3);
    assert_eq!(chain::verify(start(), &moved), Err(Broken(3)));
    rig.store.tamper("UPDATE consent_event SET decision = 'granted' WHERE seq = 3").await;
    assert_eq!(rig.cp.verify_consents().await.unwrap(), Err(Broken(3)));
}
