//! A control plane in a temporary folder, with captured messages and terminals made of seeds.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use sightline_grant::{Action, PublicKey, Redacted, Thumbprint};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::admin::{NewDevice, OneTimeTexts};
use crate::base32;
use crate::binding::BindRequest;
use crate::clock::{Clock, ManualClock};
use crate::consent::{ACCOUNT, MEDIA_VIEW};
use crate::email::Email;
use crate::gate::{Admission, Refusal};
use crate::ids::ChallengeId;
use crate::key::{KeyError, SignedChallenge};
use crate::limits::Limits;
use crate::mail::{Mail, MailSender};
use crate::passkey;
use crate::password::{HashCost, PasswordConfig};
use crate::random::SeededRandom;
use crate::session::{SignIn, SignedIn};
use crate::sms::{NotSent, SmsMessage, SmsSender};
use crate::storage::model::Session;
use crate::storage::sqlite::SqliteStore;
use crate::vault::{MasterKey, auth_seed};
use crate::{Config, ControlPlane, DATABASE_FILE, Parts};

pub(crate) const START: u64 = 1_700_000_000;
pub(crate) const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
pub(crate) const ANNA: &str = "+4915112345678";
pub(crate) const BEN: &str = "+4915200000001";

#[derive(Default)]
pub(crate) struct CapturedSms(pub(crate) Mutex<Vec<(String, String)>>, Notify);

impl CapturedSms {
    /// Waits until a message was sent.
    pub(crate) async fn sent(&self) {
        self.1.notified().await;
    }
}

impl CapturedSms {
    /// Numbers and texts so far.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl SmsSender for CapturedSms {
    async fn send(&self, message: &SmsMessage<'_>) -> Result<(), NotSent> {
        let sent = (message.to.expose().to_owned(), message.text.expose().clone());
        self.0.lock().unwrap().push(sent);
        self.1.notify_one();
        Ok(())
    }

    fn name(&self) -> &'static str {
        "captured"
    }
}

/// Mail by address and text, oldest first.
#[derive(Default)]
pub(crate) struct CapturedMail(pub(crate) Mutex<Vec<(String, String)>>, AtomicBool);

impl CapturedMail {
    /// From now on no mail is ever taken or refused.
    pub(crate) fn hang(&self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl MailSender for CapturedMail {
    async fn send(&self, to: &Email, mail: &Mail) -> Result<(), NotSent> {
        if self.1.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let sent = (to.expose().to_owned(), mail.body.expose().clone());
        self.0.lock().unwrap().push(sent);
        Ok(())
    }
}

pub(crate) struct Rig {
    pub(crate) cp: ControlPlane,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sms: Arc<CapturedSms>,
    pub(crate) mail: Arc<CapturedMail>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) folder: TempDir,
}

pub(crate) struct User {
    pub(crate) signed_in: SignedIn,
    pub(crate) session: Session,
}

fn plane(
    data: &Path,
    limits: Limits,
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    (sms, mail): (Arc<CapturedSms>, Arc<CapturedMail>),
) -> ControlPlane {
    let mut limits = limits;
    limits.sms.dial_codes.push(49);
    let config = Config {
        data_dir: data.to_owned(),
        master_key: None,
        server_name: "test.example".into(),
        page_host: "test.example".into(),
        limits,
        passwords: PasswordConfig {
            cost: HashCost::cheap(),
            wrong_step: Duration::ZERO,
            ..PasswordConfig::default()
        },
    };
    // Another server has another random source, too.
    let seed = 7 + u64::from(data.ends_with("restored"));
    ControlPlane::from_parts(Parts {
        config,
        store,
        clock,
        random: Arc::new(SeededRandom::new(seed)),
        sms,
        mail,
        master: MasterKey::from_bytes([5; 32]),
    })
}

pub(crate) fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub(crate) fn public(pair: &Ed25519KeyPair) -> PublicKey {
    PublicKey::Ed25519(pair.public_key().as_ref().try_into().unwrap())
}

pub(crate) fn terminal(seed: u8) -> Thumbprint {
    public(&key(seed)).thumbprint()
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join(DATABASE_FILE)).await.unwrap();
        let (clock, sms) = (Arc::new(ManualClock::new(START)), Arc::new(CapturedSms::default()));
        let (store, mail) = (Arc::new(store), Arc::new(CapturedMail::default()));
        let senders = (sms.clone(), mail.clone());
        let cp = plane(folder.path(), limits, store.clone(), clock.clone(), senders);
        Self { cp, clock, sms, mail, store, folder }
    }

    /// The same server with a name that passkeys belong to.
    pub(crate) fn named(self) -> Self {
        self.cp.set_relying_party(passkey::testing::party());
        self
    }

    /// The same server on another data folder, with the same clock and master key.
    pub(crate) async fn on(self, data: &Path) -> Self {
        self.store.close().await;
        let store = Arc::new(SqliteStore::open(&data.join(DATABASE_FILE)).await.unwrap());
        // The code of a challenge must not be that of one from before.
        self.clock.advance(3600);
        let senders = (self.sms.clone(), self.mail.clone());
        let cp = plane(data, Limits::default(), store.clone(), self.clock.clone(), senders);
        Self { cp, store, ..self }
    }

    /// The code of the newest message to this number.
    pub(crate) async fn code(&self, number: &str) -> Redacted<String> {
        self.cp.deliver_outbox().await.unwrap();
        let sent = self.sms.0.lock().unwrap();
        let (_, text) = sent.iter().rev().find(|(to, _)| to == number).unwrap();
        let (_, code) = text.rsplit_once('#').unwrap();
        Redacted::new(code.to_owned())
    }

    pub(crate) async fn login_challenge(&self, number: &str, terminal: Thumbprint) -> ChallengeId {
        self.cp.request_login_code(number, terminal, IP).await.unwrap().challenge
    }

    /// Signs in; a minute passes, so that the number has room for another message.
    pub(crate) async fn sign_in(&self, number: &str, seed: u8) -> User {
        let challenge = self.login_challenge(number, terminal(seed)).await;
        let code = self.code(number).await;
        let request = request(challenge, code);
        let signed_in = self.cp.sign_in(&request, terminal(seed)).await.unwrap();
        self.cp.record_arrival(&signed_in).await.unwrap();
        self.clock.advance(60);
        let session = self.cp.session(&signed_in.tokens.access).await.unwrap().unwrap();
        User { signed_in, session }
    }

    pub(crate) async fn add_open(&self, serial: &str) -> OneTimeTexts {
        self.cp.add_device(&device(serial, None)).await.unwrap()
    }

    pub(crate) async fn add_sealed(&self, serial: &str, seed: u8) -> OneTimeTexts {
        self.cp.add_device(&device(serial, Some(terminal(seed)))).await.unwrap()
    }

    pub(crate) async fn challenge(&self, user: &User, serial: &str) -> (ChallengeId, Vec<u8>) {
        let issued = self.cp.key_challenge(&user.session, serial, 0).await.unwrap();
        (issued.challenge, issued.message)
    }

    pub(crate) async fn bind_sealed(&self, user: &User, serial: &str, texts: &OneTimeTexts) -> u64 {
        let code = texts.verification_code.expose().clone();
        let request = BindRequest { serial: serial.into(), code, proof: None };
        self.cp.bind(&user.session, &request, IP).await.unwrap().binding
    }

    /// Proves the device key whose `auth` key has this pair.
    pub(crate) async fn prove(&self, user: &User, serial: &str, auth: &Ed25519KeyPair) -> bool {
        let (challenge, message) = self.challenge(user, serial).await;
        let answer = answered(challenge, auth.sign(&message).as_ref());
        self.cp.prove_key(&user.session, serial, &answer).await.is_ok()
    }

    /// Proves the device key by a terminal with this pair.
    pub(crate) async fn prove_by(
        &self,
        user: &User,
        serial: &str,
        pair: &Ed25519KeyPair,
    ) -> Result<(), KeyError> {
        let (challenge, message) = self.challenge(user, serial).await;
        let terminal = Some(pair.public_key().as_ref().try_into().unwrap());
        let signature = pair.sign(&message).as_ref().to_vec();
        let answer = SignedChallenge { challenge, signature, terminal };
        self.cp.prove_key(&user.session, serial, &answer).await
    }

    pub(crate) async fn open_window(&self, user: &User, number: &str, serial: &str) {
        let sent = self.cp.request_view_code(&user.session, serial, IP).await.unwrap();
        let code = self.code(number).await;
        self.cp.step_up(&user.session, &sent.challenge, &code).await.unwrap();
        self.clock.advance(60);
    }

    /// A sealed camera bound to the user, with everything that the gate asks for.
    pub(crate) async fn admitted(&self, user: &User, number: &str, serial: &str) -> OneTimeTexts {
        let texts = self.add_sealed(serial, 100).await;
        let epoch = self.bind_sealed(user, serial, &texts).await;
        self.key_and_facts(user, number, serial, epoch, 101).await;
        texts
    }

    pub(crate) async fn key_and_facts(
        &self,
        user: &User,
        number: &str,
        serial: &str,
        epoch: u64,
        auth: u8,
    ) {
        let auth = key(auth);
        let verifier = auth.public_key().as_ref();
        self.cp.store_verifier(terminal(100), epoch, verifier).await.unwrap();
        assert!(self.prove(user, serial, &auth).await);
        self.open_window(user, number, serial).await;
        self.cp.grant_consent(&user.session, MEDIA_VIEW.id, MEDIA_VIEW.version).await.unwrap();
    }

    pub(crate) async fn admit(&self, user: &User, serial: &str) -> Result<Admission, Refusal> {
        let token = &user.signed_in.tokens.access;
        let verdict = self.cp.admit(token, user.session.jkt, serial, 0, Action::Live).await;
        self.cp.touches_written().await;
        verdict
    }

    pub(crate) fn clock_now(&self) -> u64 {
        self.clock.now()
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

/// What everybody agrees to who has an account here.
pub(crate) fn agreed() -> Vec<(String, u32)> {
    vec![(ACCOUNT.id.to_owned(), ACCOUNT.version)]
}

pub(crate) fn request(challenge: ChallengeId, code: Redacted<String>) -> SignIn {
    SignIn {
        challenge,
        code,
        password: None,
        terminal_name: "Kitchen tablet".into(),
        client_type: "browser".into(),
        consents: agreed(),
    }
}

/// A challenge signed with the device secret.
pub(crate) fn answered(challenge: ChallengeId, signature: &[u8]) -> SignedChallenge {
    SignedChallenge { challenge, signature: signature.to_vec(), terminal: None }
}

pub(crate) fn device(serial: &str, identity: Option<Thumbprint>) -> NewDevice {
    NewDevice {
        serial: serial.into(),
        name: "Door".into(),
        model: "M1".into(),
        identity,
        seals: identity.is_some(),
        channels: 1,
    }
}

/// The `auth` key of a printed publishing password.
pub(crate) fn auth_of(password: &Redacted<String>) -> Ed25519KeyPair {
    let secret = base32::decode(password.expose()).unwrap();
    Ed25519KeyPair::from_seed_unchecked(auth_seed(&secret).as_slice()).unwrap()
}
