//! A terminal of a user, and the steps of the gate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_client::api::{
    Api, ApiError, BindRequest, ConsentGiven, OtpChallenge, OtpRequest, ShareTerms, SignIn, Tokens,
};
use sightline_client::keys::{Binding, Scopes, TerminalKeys, Viewer, ViewerList};
use sightline_client::secret::ChallengeFor;
use sightline_client::{DeviceSecret, Identity};
use sightline_grant::Redacted;
use sightline_relay_proto::ids::DeviceId;

use super::camera::Camera;
use super::server::Server;

/// Pause before a request that was limited is made again.
const LIMIT_PAUSE: Duration = Duration::from_millis(500);
/// How often it is made.
const TRIES: usize = 40;

/// A terminal with its key and, once signed in, its login.
pub struct Terminal {
    pub server: Arc<Server>,
    pub phone: String,
    pub name: String,
    pub api: Api,
    login: Mutex<Option<Tokens>>,
    /// Whose guest it is.
    host: Mutex<Option<Host>>,
}

/// Who shares a camera with a terminal of another account.
#[derive(Clone)]
struct Host {
    owner: Arc<Terminal>,
    /// Keys by which the guest's terminal stands on the viewer list.
    keys: Arc<TerminalKeys>,
    scopes: Vec<String>,
}

impl Terminal {
    pub fn new(server: &Arc<Server>, phone: &str, name: &str) -> Arc<Self> {
        let identity = Arc::new(Identity::generate_terminal().expect("a key"));
        Arc::new(Self {
            server: server.clone(),
            phone: phone.to_owned(),
            name: name.to_owned(),
            api: server.api(&identity),
            login: Mutex::new(None),
            host: Mutex::new(None),
        })
    }

    /// The access token; a made-up one before signing in.
    pub fn access(&self) -> Redacted<String> {
        let login = self.login.lock().expect("unpoisoned");
        let made_up = || Redacted::new(B64.encode([7; 32]));
        login.as_ref().map_or_else(made_up, |login| login.access_token.clone())
    }

    pub async fn sign_in(&self) {
        let request = OtpRequest::Login { target: Redacted::new(self.phone.clone()) };
        let (challenge, code) = self.code(&request, None).await;
        let purposes = self.api.purposes().await.expect("purposes");
        let policy = purposes.iter().find(|purpose| purpose.id == "account").expect("account");
        let request = SignIn {
            challenge_id: challenge.challenge_id,
            code: Redacted::new(code),
            terminal_name: self.name.clone(),
            client_type: "test".into(),
            consents: vec![ConsentGiven::from(policy)],
        };
        let login = self.api.sign_in(&request).await.expect("the code is right");
        *self.login.lock().expect("unpoisoned") = Some(login.tokens);
    }

    /// New tokens when the old ones are about to end; a login that has ended stays ended.
    pub async fn refresh(&self) {
        let old = self.login.lock().expect("unpoisoned").clone().expect("signed in");
        if let Ok(tokens) = self.api.refresh(&old.refresh_token).await {
            *self.login.lock().expect("unpoisoned") = Some(tokens);
        }
    }

    pub async fn bind(&self, camera: &Camera) {
        let request = BindRequest {
            serial: camera.serial.clone(),
            code: Redacted::new(camera.code.clone()),
            challenge_id: None,
            signature: None,
        };
        self.api.bind(&self.access(), &request).await.expect("serial and code are right");
        camera.renew_secret().await;
    }

    pub async fn prove_key(&self, camera: &Camera) {
        self.prove_key_with(camera, &camera.secret()).await.expect("the right key");
    }

    /// Tries a secret.
    pub async fn prove_key_with(
        &self,
        camera: &Camera,
        secret: &DeviceSecret,
    ) -> Result<(), ApiError> {
        let access = self.access();
        let serial = &camera.serial;
        let challenge = patiently(|| self.api.key_challenge(&access, serial, 0)).await;
        let challenge = challenge.expect("a bound device has challenges");
        let message = B64.decode(&challenge.message).expect("base64url");
        let key = secret.auth_key().expect("a key");
        let server = &patiently(|| self.api.server_name()).await.expect("the server's name");
        let terminal = self.api.identity().thumbprint();
        let asked = ChallengeFor { server, terminal, serial, channel: 0 };
        let signature = key.sign_challenge(&message, asked).expect("the challenge");
        self.api.key_proof(&access, serial, &challenge.challenge_id, &signature).await
    }

    pub async fn step_up(&self, camera: &Camera) {
        let access = self.access();
        let request = OtpRequest::View { serial: camera.serial.clone() };
        let (challenge, code) = self.code(&request, Some(&access)).await;
        let opened = self.api.step_up(&access, &challenge.challenge_id, &Redacted::new(code)).await;
        opened.expect("the code is right");
    }

    pub async fn consent(&self) {
        let purposes = self.api.purposes().await.expect("purposes");
        let view = purposes.iter().find(|purpose| purpose.id == "media.view");
        let view = view.expect("media.view is a purpose");
        self.api.consent(&self.access(), &view.id, view.version).await.expect("taken");
    }

    /// A grant, or what the gate misses.
    pub async fn ask_grant(&self, serial: &str) -> Result<Redacted<String>, ApiError> {
        let access = self.access();
        let granted = patiently(|| self.api.media_grant(&access, serial, 0)).await;
        granted.map(|granted| granted.grant)
    }

    /// Does whatever the gate misses, in its order, until it gives a grant.
    pub async fn pass(&self, camera: &Camera) -> Redacted<String> {
        for _ in 0..8 {
            let refusal = match self.ask_grant(&camera.serial).await {
                Ok(grant) => return grant,
                Err(refusal) => refusal,
            };
            match refusal.problem() {
                Some("login-required" | "wrong-terminal") => self.sign_in().await,
                Some("device-not-bound") => match self.host() {
                    Some(host) => self.accept_share(&host, camera).await,
                    None => self.bind(camera).await,
                },
                Some("device-key-required") => match self.host() {
                    Some(host) => self.prove_as_guest(&host, camera).await,
                    None => self.prove_key(camera).await,
                },
                Some("sms-required") => self.step_up(camera).await,
                Some("consent-required") => self.consent().await,
                _ => panic!("the gate says {refusal}"),
            }
        }
        panic!("the gate asks for the same step again and again");
    }

    /// From now on it gets its cameras from the owner at another terminal, to do this.
    pub fn be_guest_of(&self, owner: &Arc<Self>, scopes: &[&str]) {
        let keys = Arc::new(TerminalKeys::generate().expect("keys"));
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let host = Host { owner: owner.clone(), keys, scopes };
        *self.host.lock().expect("unpoisoned") = Some(host);
    }

    fn host(&self) -> Option<Host> {
        self.host.lock().expect("unpoisoned").clone()
    }

    /// The owner invites, and it accepts.
    async fn accept_share(&self, host: &Host, camera: &Camera) {
        let (owner, serial) = (&host.owner, &camera.serial);
        let words = owner.api.shares_of(&owner.access(), serial).await.expect("the owner's");
        let terms = ShareTerms { scopes: host.scopes.clone(), ..ShareTerms::default() };
        let version = words.attestation.version;
        let invited = owner.api.invite(&owner.access(), serial, &terms, "guest", version).await;
        let code = invited.expect("an invitation").code;
        let purposes = self.api.purposes().await.expect("purposes");
        let purpose = purposes.iter().find(|purpose| purpose.id == "device.shared");
        let consent = purpose.expect("a purpose").version;
        let offer = self.api.invitation(&self.access(), &code).await.expect("an offer");
        let word = offer.attestation.version;
        let accepted = self.api.accept_share(&self.access(), &code, consent, word).await;
        assert_eq!(accepted.expect("shared").serial, *serial);
    }

    /// The owner signs it into the viewer list, unless that was done, and it proves itself.
    async fn prove_as_guest(&self, host: &Host, camera: &Camera) {
        let (serial, access) = (&camera.serial, self.access());
        let owner = &host.owner;
        let held = owner.api.viewer_list(&owner.access(), serial).await.expect("the owner's");
        if held.version == 0 {
            let binding = Binding {
                serial: DeviceId::new(serial).expect("a serial"),
                epoch: held.binding_epoch,
            };
            let viewer = Viewer {
                terminal: host.keys.public(),
                account: self.api.me(&access).await.expect("an account").id,
                scopes: Scopes::LIVE.with(Scopes::TALK),
                expires: None,
            };
            let list = ViewerList::new(binding, 1, vec![viewer]).expect("a list");
            let signed = list.sign(&camera.secret().auth_key().expect("a key"));
            let put = owner.api.put_viewer_list(&owner.access(), serial, signed.bytes()).await;
            put.expect("in force");
        }
        let challenge = patiently(|| self.api.key_challenge(&access, serial, 0)).await;
        let challenge = challenge.expect("a shared device has challenges");
        let message = B64.decode(&challenge.message).expect("base64url");
        let server = &patiently(|| self.api.server_name()).await.expect("the server's name");
        let terminal = self.api.identity().thumbprint();
        let asked = ChallengeFor { server, terminal, serial, channel: 0 };
        let signature = host.keys.sign_challenge(&message, asked).expect("the challenge");
        let (id, signing) = (&challenge.challenge_id, host.keys.public().signing);
        let proven = self.api.terminal_key_proof(&access, serial, id, &signing, &signature).await;
        proven.expect("on the list");
    }

    /// Asks for a code and reads it. Only one request for a phone may be under way.
    pub async fn code(
        &self,
        request: &OtpRequest,
        access: Option<&Redacted<String>>,
    ) -> (OtpChallenge, String) {
        let seen = self.server.sms_count(&self.phone);
        let challenge = patiently(|| self.api.otp(request, access)).await;
        let challenge = challenge.expect("a code is sent");
        (challenge, self.server.sms_after(&self.phone, seen).await)
    }
}

/// Makes a request again as long as it is limited.
pub async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(
    mut request: impl FnMut() -> F,
) -> Result<T, ApiError> {
    for _ in 0..TRIES {
        match request().await {
            Err(error)
                if matches!(
                    error.problem(),
                    Some("rate-limited" | "too-many-requests" | "not-live")
                ) =>
            {
                tokio::time::sleep(LIMIT_PAUSE).await;
            }
            done => return done,
        }
    }
    request().await
}
