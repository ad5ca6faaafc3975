//! The device secret's life on the camera: made after a binding, shown here, proven by viewers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_client::DeviceSecret;
use sightline_client::api::{Api, DeviceKnown, DeviceState};
use sightline_client::keys::{ExchangePublic, SigningPublic};
use sightline_client::retry::Backoff;
use sightline_client::secret::CryptoFailed;
use sightline_grant::{PublicKey, Redacted};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::sealing::News;
use crate::data_dir::write_private;

/// File with the secret and the epochs it belongs to, 0600.
const SECRET_FILE: &str = "secret.txt";
/// Shortest time between two polls, in case the server answers at once for ever.
const POLL_PAUSE: Duration = Duration::from_millis(200);
/// Longest time that the start of a media session waits for a look. Media goes on without one: a
/// server that does not answer has no list to hand out either.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Asks for a look at the binding and the list, before media is sent again.
#[derive(Clone)]
pub(crate) struct Looks(mpsc::Sender<oneshot::Sender<()>>);

impl Looks {
    /// Returns when whoever seals goes by what the server says now.
    pub(crate) async fn look(&self) {
        let (done, heard) = oneshot::channel();
        if self.0.send(done).await.is_ok() {
            let _ = tokio::time::timeout(LOOK_PATIENCE, heard).await;
        }
    }
}

/// Keeps the secret in step with the binding.
pub(crate) struct Keeper {
    path: PathBuf,
    serial: String,
    api: Api,
    known: DeviceKnown,
    /// Public halves of the secret that the folder holds.
    publics: Option<Publics>,
    rotate: bool,
    /// Whether the secret of the folder was announced. Not before the server was asked which list is
    /// in force: who was removed while the camera was away must see nothing new.
    announced: bool,
    /// Whoever seals with it.
    news: Option<mpsc::Sender<News>>,
    looks: mpsc::Receiver<oneshot::Sender<()>>,
    /// Who waits for the next look.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What others may know of a device secret.
#[derive(Clone, Copy)]
struct Publics {
    /// The key verifier.
    auth: SigningPublic,
    archive: ExchangePublic,
}

impl Publics {
    fn of(secret: &DeviceSecret) -> Result<Self, CryptoFailed> {
        let auth = secret.auth_key()?.verifier();
        Ok(Self { auth, archive: secret.archive_key()?.public() })
    }
}

impl Keeper {
    /// Reads what the folder holds. `rotate`: make a new secret at the next contact. `news`: whoever
    /// seals.
    pub(crate) fn load(
        folder: &Path,
        serial: &str,
        api: Api,
        rotate: bool,
        news: Option<mpsc::Sender<News>>,
    ) -> Result<(Self, Looks), String> {
        let path = folder.join(SECRET_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Zeroizing::default(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let known = parse(&text).unwrap_or_default();
        let secret = text.lines().next().and_then(|line| DeviceSecret::parse(line).ok());
        let publics = secret.and_then(|secret| Publics::of(&secret).ok());
        let (sender, looks) = mpsc::channel(1);
        let keeper = Self {
            path,
            serial: serial.to_owned(),
            api,
            known,
            publics,
            rotate,
            announced: false,
            news,
            looks,
            waiting: Vec::new(),
        };
        Ok((keeper, Looks(sender)))
    }

    /// Polls until `stop`; makes a secret when a new owner has bound the device.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let wait = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step() => match step {
                    Ok(()) => {
                        self.answer_waiting().await;
                        backoff.reset();
                        POLL_PAUSE
                    }
                    Err(error) => {
                        tracing::warn!(error, "the server cannot be asked about the binding");
                        self.waiting.clear();
                        backoff.next_wait()
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                Some(asker) = self.looks.recv() => self.waiting.push(asker),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn step(&mut self) -> Result<(), String> {
        let state = self.poll().await?;
        let new_owner = state.bound && state.binding_epoch != self.known.binding_epoch;
        if state.bound && (state.key_wanted || new_owner || self.rotate) {
            self.make(state.binding_epoch).await?;
            self.rotate = false;
            return Ok(());
        }
        if state.bound && !self.announced {
            let list = self.list().await?;
            self.announce(list).await;
        } else if state.list_version != self.known.list_version {
            self.fetch_list().await?;
        }
        self.known = DeviceKnown {
            binding_epoch: state.binding_epoch,
            key_epoch: state.key_epoch,
            list_version: state.list_version,
            ..DeviceKnown::default()
        };
        Ok(())
    }

    /// What the server says: when something changes, and at once to who asks for a look.
    async fn poll(&mut self) -> Result<DeviceState, String> {
        if self.waiting.is_empty() {
            tokio::select! {
                state = self.api.device_poll(&self.known) => {
                    return state.map_err(|error| error.to_string());
                }
                // A poll from before may hang on a connection that is gone.
                Some(asker) = self.looks.recv() => self.waiting.push(asker),
            }
        }
        let stranger = DeviceKnown { binding_epoch: 0, key_epoch: 0, ..self.known };
        self.api.device_poll(&stranger).await.map_err(|error| error.to_string())
    }

    /// Whoever seals has heard of everything before who waits for a look goes on.
    async fn answer_waiting(&mut self) {
        for asker in std::mem::take(&mut self.waiting) {
            match &self.news {
                Some(news) => drop(news.send(News::Look(asker)).await),
                None => drop(asker.send(())),
            }
        }
    }

    /// Hands the server's viewer list on to whoever seals, who judges it.
    async fn fetch_list(&self) -> Result<(), String> {
        if let (Some(news), Some(list)) = (&self.news, self.list().await?) {
            // Whoever seals ends with the camera.
            let _ = news.send(News::List(list)).await;
        }
        Ok(())
    }

    /// The viewer list that the server hands out, if somebody seals.
    async fn list(&self) -> Result<Option<Vec<u8>>, String> {
        if self.news.is_none() {
            return Ok(None);
        }
        let answer = self.api.device_viewer_list().await;
        Ok(answer.map_err(|error| error.to_string())?.list)
    }

    /// Tells whoever seals which secret is in force, with the list that goes with it.
    async fn announce(&mut self, list: Option<Vec<u8>>) {
        self.announced = true;
        if let (Some(news), Some(Publics { auth, archive })) = (&self.news, self.publics) {
            let epoch = self.known.binding_epoch;
            let _ = news.send(News::Bound { epoch, auth, archive, list }).await;
        }
    }

    async fn make(&mut self, binding_epoch: u64) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let secret = DeviceSecret::generate().map_err(|error| text(&error))?;
        let publics = Publics::of(&secret).map_err(|error| text(&error))?;
        let stored = self.api.put_key_verifier(binding_epoch, &publics.auth).await;
        let key_epoch = stored.map_err(|error| text(&error))?.key_epoch;
        self.known = DeviceKnown { binding_epoch, key_epoch, ..DeviceKnown::default() };
        let shown = secret.text();
        let lines = Zeroizing::new(format!(
            "{}\n{binding_epoch} {key_epoch}\n{}\n",
            shown.expose(),
            self.camera_key()
        ));
        write_private(&self.path, lines.as_bytes()).map_err(|error| text(&error))?;
        self.show(&shown);
        self.publics = Some(publics);
        self.announce(None).await;
        Ok(())
    }

    /// What viewers pin: the public half of the camera's identity.
    fn camera_key(&self) -> String {
        match self.api.identity().public_key() {
            PublicKey::Ed25519(key) => B64.encode(key),
            PublicKey::P256 { .. } => String::new(),
        }
    }

    /// On the camera's own terminal, never in a log and never to the server.
    fn show(&self, secret: &Redacted<String>) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "[camera {}] bound to a new owner", self.serial);
        let _ = writeln!(out, "[camera {}] device secret: {}", self.serial, secret.expose());
        let _ = writeln!(out, "[camera {}] camera key: {}", self.serial, self.camera_key());
        let _ = out.flush();
    }
}

/// The epochs in the file's second line.
fn parse(text: &str) -> Option<DeviceKnown> {
    let (binding, key) = text.lines().nth(1)?.split_once(' ')?;
    let (binding_epoch, key_epoch) = (binding.parse().ok()?, key.parse().ok()?);
    Some(DeviceKnown { binding_epoch, key_epoch, ..DeviceKnown::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_remembers_which_binding_its_secret_is_for() {
        let known = DeviceKnown { binding_epoch: 7, key_epoch: 9, ..DeviceKnown::default() };
        assert_eq!(parse("AAAA-BBBB\n7 9\n").as_ref(), Some(&known));
        assert_eq!(parse("AAAA-BBBB\n7 9\nCAMERA-KEY\n"), Some(known));
        assert_eq!(parse("AAAA-BBBB\n"), None);
        assert_eq!(parse(""), None);
    }
}
