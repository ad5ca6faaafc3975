use sightline_grant::requirement;

use super::rig::{ANNA, BEN, IP, Rig};
use crate::acting::Acting;
use crate::limits::{OPLOG_KEEP_SECS, REFUSALS_LOGGED};
use crate::oplog::Wanted;

#[tokio::test]
async fn a_line_says_who_did_what_from_where_and_how_it_ended() {
    let rig = Rig::new().await;
    let anna = Acting::request(IP, false).scope(rig.sign_in(ANNA, 1)).await;
    let texts = rig.add_sealed("CAM-1", 100).await;
    let request = Acting::request("198.51.100.77".parse().unwrap(), false);
    let acts = request.scope(async {
        rig.cp.acts(&anna.session).await.unwrap();
        rig.bind_sealed(&anna, "CAM-1", &texts).await
    });
    let epoch = acts.await;
    let camera = Acting::request("198.51.100.99".parse().unwrap(), true);
    let pair = super::rig::key(101);
    let verifier = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref();
    let put = rig.cp.store_verifier(super::rig::terminal(100), epoch, verifier);
    camera.scope(put).await.unwrap();
    Acting::operator().scope(rig.cp.remove_device("CAM-1")).await.unwrap();

    let seen = rig.cp.operations(&anna.session, &Wanted::default()).await.unwrap();
    let shown: Vec<_> = seen
        .iter()
        .map(|entry| {
            let line = &entry.line;
            (line.action.as_str(), line.actor.as_deref().unwrap(), entry.network.as_deref())
        })
        .collect();
    let home = Some("192.0.2.0/24");
    let expected = [
        ("device.unbound", "operator", None),
        ("device.key_stored", "device", None),
        ("device.bound", "self", Some("198.51.100.0/24")),
        ("consent.granted", "self", home),
        ("session.opened", "self", home),
        ("account.registered", "self", home),
    ];
    assert_eq!(shown, expected);
    assert_eq!(seen[2].line.object, "CAM-1");
    assert_eq!(seen[2].line.terminal.as_ref(), Some(&anna.session.terminal.0));
    assert!(seen.iter().all(|entry| entry.line.result == "done"));
    for file in rig.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"198.51.10"), "{}", file.display());
    }
    let ben = rig.sign_in(BEN, 2).await;
    let of_ben = rig.cp.operations(&ben.session, &Wanted::default()).await.unwrap();
    assert_eq!(of_ben.len(), 3, "each sees the own log");
    rig.cp.delete_account(&anna.session.account).await.unwrap();
    let gone = rig.cp.operations(&anna.session, &Wanted::default()).await.unwrap();
    assert!(gone.is_empty(), "what is left of it names a pseudonym and opens under no key");
    requirement!("A18");
}

#[tokio::test]
async fn lines_are_shown_for_their_time_and_refusals_are_bounded() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let most = usize::try_from(REFUSALS_LOGGED[0].most).unwrap();
    for _ in 0..most + 5 {
        rig.cp.log_refusal(&anna.session.account, "POST /v1/bindings").await.unwrap();
    }
    let refused = Wanted { action: Some("request".into()), ..Wanted::default() };
    let lines = rig.cp.export_operations(&anna.session, &refused).await.unwrap();
    assert_eq!(lines.len(), most);
    assert!(lines.iter().all(|entry| entry.line.result == "refused"));
    let all = Wanted::default();
    rig.clock.advance(OPLOG_KEEP_SECS - 60);
    assert_eq!(rig.cp.export_operations(&anna.session, &all).await.unwrap().len(), most + 3);
    rig.clock.advance(61);
    assert!(rig.cp.export_operations(&anna.session, &all).await.unwrap().is_empty());
}
