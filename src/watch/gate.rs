//! Passing the gate: each refusal names what is missing, and that is what is asked for next.

use std::cell::OnceCell;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use clap::Args;
use sightline_client::api::{
    Api, ApiError, BindRequest, ConsentGiven, OtpChallenge, OtpRequest, Purpose, SignIn, Tokens,
};
use sightline_client::keys::TerminalKeys;
use sightline_client::secret::{ChallengeFor, NotAChallenge, ShownSecret};
use sightline_grant::Redacted;

use super::invitation;
use crate::data_dir::write_private;

/// What this client calls itself when it signs in.
pub(super) const CLIENT_TYPE: &str = "cli";
/// File with the refresh token, 0600.
const LOGIN_FILE: &str = "login";
/// Steps that may be missing, each asked for once; one more for the grant itself.
const MAX_STEPS: usize = 8;

/// Pause before an SMS is asked for again.
const SMS_PAUSE: Duration = Duration::from_secs(2);
/// How long a server that wants a pause between two SMS is asked again.
const SMS_PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of the gate. What is not given is asked for on the terminal.
#[derive(Args)]
pub(crate) struct GateArgs {
    /// Phone number, e.g. +4915112345678
    #[arg(long)]
    phone: Option<String>,
    /// File that holds the device secret
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// Agree to what viewing or sharing needs (asked for otherwise)
    #[arg(long)]
    consent: bool,
    /// Sealed camera: file of this terminal's own keys, which its owner has let in; made if it is not
    /// there. The device secret is not asked for then
    #[arg(long)]
    terminal: Option<PathBuf>,
    /// Sealed camera: its key, as its terminal shows it below the device secret
    #[arg(long, allow_hyphen_values = true)]
    camera_key: Option<String>,
    /// Code of an invitation: accept it first if the camera is not shared with this account
    #[arg(long)]
    invitation: Option<String>,
    /// Verification code: bind the device to this account first if it is not
    #[arg(long)]
    bind_code: Option<String>,
    /// The device secret that was typed, so that it is asked for once.
    #[arg(skip)]
    typed: OnceCell<Redacted<String>>,
}

/// What the gate gave.
pub(super) struct Passed {
    /// For one media session.
    pub(super) grant: Redacted<String>,
    /// The login's.
    pub(super) access: Redacted<String>,
}

/// Goes through the gate until it gives a grant.
pub(super) async fn pass(
    api: &Api,
    args: &GateArgs,
    terminal: Option<&TerminalKeys>,
    folder: &Path,
    serial: &str,
    channel: u16,
) -> Result<Passed, String> {
    let mut login = Login::restore(api, folder).await;
    for _ in 0..MAX_STEPS {
        let Some(access) = login.as_ref().map(|login| login.access.clone()) else {
            login = Some(Login::sign_in(api, args, folder).await?);
            continue;
        };
        let error = match api.media_grant(&access, serial, channel).await {
            Ok(granted) => return Ok(Passed { grant: granted.grant, access }),
            Err(error) => error,
        };
        match error.problem() {
            Some("login-required" | "wrong-terminal") => login = None,
            Some("device-not-bound") => match &args.invitation {
                Some(_) => args.accept_invitation(api, &access, serial).await?,
                None => bind(api, args, &access, serial, &error).await?,
            },
            Some("device-key-required") => match terminal {
                Some(keys) => prove_terminal(api, keys, &access, serial, channel).await?,
                None => prove_key(api, args, &access, serial, channel).await?,
            },
            Some("sms-required") => step_up(api, &access, serial).await?,
            Some("consent-required") => {
                let purpose = error.purpose().unwrap_or("media.view");
                consent(api, args, &access, purpose).await?;
            }
            _ => return Err(error.to_string()),
        }
    }
    Err("the gate asks for the same step again and again".into())
}

/// Signs in, or takes up the login of an earlier run.
pub(crate) async fn sign_in(
    api: &Api,
    args: &GateArgs,
    folder: &Path,
) -> Result<Redacted<String>, String> {
    let Some(login) = Login::restore(api, folder).await else {
        return Ok(Login::sign_in(api, args, folder).await?.access);
    };
    if api.in_basic_mode(&login.access).await.map_err(|error| error.to_string())? {
        consent(api, args, &login.access, "account").await?;
    }
    Ok(login.access)
}

impl GateArgs {
    /// This terminal's own keys, if its file is given.
    pub(crate) fn terminal(&self) -> Result<Option<TerminalKeys>, String> {
        let Some(path) = &self.terminal else { return Ok(None) };
        let keys = TerminalKeys::load_or_create(path);
        keys.map(Some).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Whether everything that is asked for was agreed to on the command line.
    pub(crate) fn agreed(&self) -> bool {
        self.consent
    }

    /// Accepts the invitation that was given, unless the camera is this account's to use.
    pub(super) async fn accept_invitation(
        &self,
        api: &Api,
        access: &Redacted<String>,
        serial: &str,
    ) -> Result<(), String> {
        let Some(code) = &self.invitation else { return Ok(()) };
        let devices = api.devices(access).await.map_err(|error| error.to_string())?;
        if devices.iter().any(|device| device.serial == serial) {
            return Ok(());
        }
        invitation::accept(api, access, &Redacted::new(code.clone()), self.consent).await
    }

    /// The device secret, from its file or its owner.
    pub(crate) fn secret(&self, serial: &str) -> Result<ShownSecret, String> {
        let text = match (self.secret_line(0)?, self.typed.get()) {
            (Some(line), _) => line,
            (None, Some(typed)) => typed.clone(),
            (None, None) => Redacted::new(ask("Device secret, as the camera's terminal shows it")?),
        };
        let shown = ShownSecret::parse(text.expose(), serial).map_err(|error| error.to_string())?;
        let _ = self.typed.set(text);
        Ok(shown)
    }

    /// The key of a sealed camera, if it is given.
    pub(crate) fn camera_key(&self) -> Result<Option<String>, String> {
        if let Some(key) = &self.camera_key {
            return Ok(Some(key.clone()));
        }
        // The camera's own file has the secret, the epochs, and this.
        Ok(self.secret_line(2)?.map(Redacted::into_inner))
    }

    /// A line of the secret's file.
    fn secret_line(&self, at: usize) -> Result<Option<Redacted<String>>, String> {
        let Some(path) = &self.secret_file else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let line = text.lines().nth(at).map(str::to_owned);
        Ok(if at == 0 { Some(line.unwrap_or_default()) } else { line }.map(Redacted::new))
    }
}

struct Login {
    access: Redacted<String>,
}

impl Login {
    /// The login of an earlier run, if it still lives.
    async fn restore(api: &Api, folder: &Path) -> Option<Self> {
        let kept = std::fs::read_to_string(folder.join(LOGIN_FILE)).ok()?;
        let refresh = Redacted::new(kept.trim().to_owned());
        let tokens = api.refresh(&refresh).await.ok()?;
        Self::keep(folder, tokens).ok()
    }

    async fn sign_in(api: &Api, args: &GateArgs, folder: &Path) -> Result<Self, String> {
        let phone = match &args.phone {
            Some(phone) => phone.clone(),
            None => ask("Phone number")?,
        };
        let request = OtpRequest::Login { target: Redacted::new(phone) };
        let challenge = send_code(api, &request, None).await?;
        let policy = in_force(api, "account").await?;
        if !args.consent {
            eprintln!("{}", policy.text_en());
            eprintln!("Whoever enters the code agrees to this.");
        }
        let code = Redacted::new(ask("Code from the SMS")?);
        let request = SignIn {
            challenge_id: challenge.challenge_id,
            code,
            terminal_name: "sightline watch".into(),
            client_type: CLIENT_TYPE.into(),
            consents: vec![ConsentGiven::from(&policy)],
        };
        let login = api.sign_in(&request).await.map_err(|error| error.to_string())?;
        Self::keep(folder, login.tokens)
    }

    fn keep(folder: &Path, tokens: Tokens) -> Result<Self, String> {
        write_private(&folder.join(LOGIN_FILE), tokens.refresh_token.expose().as_bytes())
            .map_err(|error| error.to_string())?;
        Ok(Self { access: tokens.access_token })
    }
}

async fn bind(
    api: &Api,
    args: &GateArgs,
    access: &Redacted<String>,
    serial: &str,
    refusal: &ApiError,
) -> Result<(), String> {
    let Some(code) = &args.bind_code else {
        return Err(format!("{refusal}; give --bind-code to bind it"));
    };
    let mut request = BindRequest {
        serial: serial.to_owned(),
        code: Redacted::new(code.clone()),
        challenge_id: None,
        signature: None,
    };
    match api.bind(access, &request).await {
        Ok(_) => return Ok(()),
        Err(error) if error.problem() == Some("device-key-required") => {}
        Err(error) => return Err(error.to_string()),
    }
    // An open device is bound only by whoever proves its publish password.
    let (challenge, signature) = signed_challenge(api, args, access, serial, 0).await?;
    request.challenge_id = Some(challenge);
    request.signature = Some(B64.encode(signature));
    api.bind(access, &request).await.map_err(|error| error.to_string())?;
    Ok(())
}

async fn prove_key(
    api: &Api,
    args: &GateArgs,
    access: &Redacted<String>,
    serial: &str,
    channel: u16,
) -> Result<(), String> {
    let (challenge, signature) = signed_challenge(api, args, access, serial, channel).await?;
    api.key_proof(access, serial, &challenge, &signature).await.map_err(|error| error.to_string())
}

/// Proves the device key by this terminal's place on the viewer list.
async fn prove_terminal(
    api: &Api,
    keys: &TerminalKeys,
    access: &Redacted<String>,
    serial: &str,
    channel: u16,
) -> Result<(), String> {
    let sign = |message: &[u8], asked: ChallengeFor<'_>| keys.sign_challenge(message, asked);
    let (challenge, signature) = answered(api, access, serial, channel, sign).await?;
    let signing = keys.public().signing;
    let proven = api.terminal_key_proof(access, serial, &challenge, &signing, &signature).await;
    proven.map_err(|error| match error.problem() {
        Some("device-key-invalid") => {
            "the camera's owner has not let this terminal in, or its time \
                                       is over; see --introduce"
                .into()
        }
        _ => error.to_string(),
    })
}

async fn signed_challenge(
    api: &Api,
    args: &GateArgs,
    access: &Redacted<String>,
    serial: &str,
    channel: u16,
) -> Result<(String, [u8; 64]), String> {
    let shown = args.secret(serial)?;
    let key = shown.secret.auth_key().map_err(|error| error.to_string())?;
    answered(api, access, serial, channel, |message, asked| key.sign_challenge(message, asked))
        .await
}

/// Asks for a challenge and has it signed, if it is the one that was asked for.
async fn answered(
    api: &Api,
    access: &Redacted<String>,
    serial: &str,
    channel: u16,
    sign: impl FnOnce(&[u8], ChallengeFor<'_>) -> Result<[u8; 64], NotAChallenge>,
) -> Result<(String, [u8; 64]), String> {
    let server = &api.server_name().await.map_err(|error| error.to_string())?;
    let challenge =
        api.key_challenge(access, serial, channel).await.map_err(|error| error.to_string())?;
    let message = B64.decode(&challenge.message).map_err(|_| "the challenge is malformed")?;
    let asked = ChallengeFor { server, terminal: api.identity().thumbprint(), serial, channel };
    let signature = sign(&message, asked).map_err(|error| error.to_string())?;
    Ok((challenge.challenge_id, signature))
}

async fn step_up(api: &Api, access: &Redacted<String>, serial: &str) -> Result<(), String> {
    let request = OtpRequest::View { serial: serial.to_owned() };
    let challenge = send_code(api, &request, Some(access)).await?;
    let code = Redacted::new(ask("Code for viewing from the SMS")?);
    api.step_up(access, &challenge.challenge_id, &code)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Asks for an SMS. The code for viewing follows the one for the login so closely that the server
/// may want a pause between them.
async fn send_code(
    api: &Api,
    request: &OtpRequest,
    access: Option<&Redacted<String>>,
) -> Result<OtpChallenge, String> {
    let last = Instant::now() + SMS_PATIENCE;
    loop {
        match api.otp(request, access).await {
            Ok(challenge) => return Ok(challenge),
            Err(error) if error.problem() == Some("rate-limited") && Instant::now() < last => {
                tokio::time::sleep(SMS_PAUSE).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A purpose that is in force.
async fn in_force(api: &Api, id: &str) -> Result<Purpose, String> {
    let purposes = api.in_force(CLIENT_TYPE).await.map_err(|error| error.to_string())?;
    let found = purposes.into_iter().find(|purpose| purpose.id == id);
    found.ok_or_else(|| format!("the server names no purpose {id}"))
}

async fn consent(
    api: &Api,
    args: &GateArgs,
    access: &Redacted<String>,
    purpose: &str,
) -> Result<(), String> {
    let purpose = in_force(api, purpose).await?;
    if !args.consent {
        eprintln!("{}", purpose.text_en());
        let answer = ask("Do you agree? (yes/no)")?;
        if !matches!(answer.as_str(), "yes" | "y") {
            return Err(format!("without consent to {} there is no viewing", purpose.id));
        }
    }
    api.consent(access, &purpose.id, purpose.version)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Asks on the terminal; standard output may be the stream, so the question goes to standard error.
pub(crate) fn ask(question: &str) -> Result<String, String> {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{question}: ");
    let _ = err.flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    if read == 0 {
        return Err(format!("{question}: no answer"));
    }
    Ok(line.trim().to_owned())
}
