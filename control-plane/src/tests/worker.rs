use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::email::MAIL;
use super::rig::{ANNA, BEN, IP, Rig, request, terminal};
use crate::development::Outlet;
use crate::limits::Limits;
use crate::mail::DevelopmentMail;
use crate::message::MAIL_LANES;
use crate::password::PasswordConfig;
use crate::sms::DevelopmentSms;
use crate::{Config, ControlPlane, MASTER_KEY_FILE, OpenError};

#[tokio::test]
async fn a_fresh_folder_serves_and_a_lost_master_key_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let config = Config {
        data_dir: data_dir.clone(),
        master_key: None,
        server_name: "test.example".into(),
        page_host: "test.example".into(),
        limits: Limits::for_development(),
        passwords: PasswordConfig::default(),
    };
    let (shown, mut messages) = mpsc::unbounded_channel();
    let show = Box::new(move |text: &str| shown.send(text.to_owned()).unwrap());
    let sms = Arc::new(DevelopmentSms(Outlet::new(show, data_dir.join("development-sms.txt"))));
    let mail = Arc::new(DevelopmentMail(Outlet::new(
        Box::new(|_| {}),
        data_dir.join("development-mail.txt"),
    )));
    let cp = ControlPlane::open(config.clone(), sms.clone(), mail.clone()).await.unwrap();
    assert!(cp.ready().await);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(cp.clone().run_worker(stop.clone()));
    let sent = cp.request_login_code(ANNA, terminal(1), IP).await.unwrap();
    let message = messages.recv().await.unwrap();
    let code = message.trim_end().rsplit_once('#').unwrap().1.to_owned();
    let sign_in = request(sent.challenge, sightline_grant::Redacted::new(code));
    assert!(cp.sign_in(&sign_in, terminal(1)).await.unwrap().new_account);
    stop.cancel();
    worker.await.unwrap();

    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    let key = data_dir.join(MASTER_KEY_FILE);
    assert_eq!(mode(&key), 0o600);
    drop(cp);
    assert!(ControlPlane::open(config.clone(), sms.clone(), mail.clone()).await.is_ok());
    std::fs::remove_file(&key).unwrap();
    let refused = ControlPlane::open(config, sms, mail).await;
    assert!(matches!(refused, Err(OpenError::MasterKey(_))));
}

/// Below the longest time of a mail and the worker's idle round, so that neither helps.
const SOON: Duration = Duration::from_secs(4);

/// Leaves so many mails in the outbox.
async fn mails_wait(rig: &Rig, count: usize) {
    rig.cp.request_login_code(MAIL, terminal(9), IP).await.unwrap();
    let copies = format!(
        "WITH RECURSIVE copy (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < {})
         INSERT INTO outbox (channel, kind, reference, account, created_at, next_at)
         SELECT channel, kind, reference, account, created_at, next_at FROM outbox, copy
         WHERE channel = 'mail'",
        count - 1
    );
    rig.store.tamper(copies.leak()).await;
}

#[tokio::test]
async fn a_channel_whose_lanes_all_hang_holds_up_no_other_and_claims_no_more() {
    let rig = Rig::new().await;
    let anna = rig.sign_in(ANNA, 1).await;
    let texts = rig.add_sealed("D", 100).await;
    rig.mail.hang();
    mails_wait(&rig, MAIL_LANES + 3).await;
    // A word in the app and a code, both behind all the mails.
    rig.bind_sealed(&anna, "D", &texts).await;
    rig.cp.request_login_code(BEN, terminal(2), IP).await.unwrap();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(rig.cp.clone().run_worker(stop.clone()));
    let to_ben = async {
        while !rig.sms.texts().iter().any(|(to, _)| to == BEN) {
            rig.sms.sent().await;
        }
    };
    timeout(SOON, to_ben).await.expect("a code that waits for no mail");
    let told = rig.cp.messages(&anna.session).await.unwrap();
    assert!(told.iter().any(|shown| shown.message.kind == "device_bound"));
    assert!(rig.mail.0.lock().unwrap().is_empty());
    let untried: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM outbox WHERE channel = 'mail' AND attempts = 0 AND done_at IS NULL",
    )
    .fetch_one(rig.store.pool())
    .await
    .unwrap();
    assert_eq!(untried, 3, "what has no lane is not claimed");
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn what_waits_for_a_lane_goes_as_soon_as_one_is_free() {
    let rig = Rig::new().await;
    let count = 4 * MAIL_LANES;
    mails_wait(&rig, count).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(rig.cp.clone().run_worker(stop.clone()));
    let sent = async {
        while rig.mail.0.lock().unwrap().len() < count {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, sent).await.expect("mails that wait for no idle round");
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn delivering_everything_includes_what_waits_for_a_lane() {
    let rig = Rig::new().await;
    let count = 4 * MAIL_LANES;
    mails_wait(&rig, count).await;
    assert_eq!(rig.cp.deliver_outbox().await.unwrap(), count as u64);
    assert_eq!(rig.mail.0.lock().unwrap().len(), count);
}
