//! A terminal of a user, and the steps of the gate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_client::api::{Api, ApiError, BindRequest, OtpChallenge, OtpRequest, SignIn, Tokens};
use sightline_client::secret::ChallengeFor;
use sightline_client::{DeviceSecret, Identity};
use sightline_grant::{Redacted, Role};

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
    /// What its grants are made out for.
    role: Mutex<Role>,
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
            role: Mutex::new(Role::Owner),
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
        let request = SignIn {
            challenge_id: challenge.challenge_id,
            code: Redacted::new(code),
            terminal_name: self.name.clone(),
            client_type: "test".into(),
            consents: Vec::new(),
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
                Ok(grant) => return self.in_role(grant),
                Err(refusal) => refusal,
            };
            match refusal.problem() {
                Some("login-required" | "wrong-terminal") => self.sign_in().await,
                Some("device-not-bound") => self.bind(camera).await,
                Some("device-key-required") => self.prove_key(camera).await,
                Some("sms-required") => self.step_up(camera).await,
                Some("consent-required") => self.consent().await,
                _ => panic!("the gate says {refusal}"),
            }
        }
        panic!("the gate asks for the same step again and again");
    }

    /// From now on it presents its grants as this role's.
    pub fn play_role(&self, role: Role) {
        *self.role.lock().expect("unpoisoned") = role;
    }

    fn in_role(&self, grant: Redacted<String>) -> Redacted<String> {
        match *self.role.lock().expect("unpoisoned") {
            Role::Owner => grant,
            role => Redacted::new(self.server.grant_as(role, grant.expose())),
        }
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
