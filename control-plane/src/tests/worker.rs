use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::rig::{ANNA, IP, request, terminal};
use crate::development::Outlet;
use crate::limits::Limits;
use crate::mail::DevelopmentMail;
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
