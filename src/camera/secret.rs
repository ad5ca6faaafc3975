//! The device secret's life on the camera: made after a binding, shown here, proven by viewers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_client::DeviceSecret;
use sightline_client::api::{Api, DeviceKnown, DeviceState};
use sightline_client::keys::{ExchangePublic, SigningPublic};
use sightline_client::news as server;
use sightline_client::retry::Backoff;
use sightline_client::secret::{CameraCheck, CryptoFailed, ShownSecret};
use sightline_grant::PublicKey;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::display;
use super::inventory::Inventory;
use super::returned::Done;
use super::sealing::News;
use crate::data_dir::write_private;

/// File with the secret and the epochs it belongs to, 0600.
pub(crate) const SECRET_FILE: &str = "secret.txt";
/// Shortest time between two polls, in case the server answers at once for ever.
const POLL_PAUSE: Duration = Duration::from_millis(200);

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
    /// What the camera is made of, told to the server when its owner agrees.
    inventory: Option<Inventory>,
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
    ) -> Result<Self, String> {
        let path = folder.join(SECRET_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Zeroizing::default(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        // Only who seals asks for orders, and asks for the one in force at each start.
        let enc_sequence = news.as_ref().map(|_| 0);
        let known = DeviceKnown { enc_sequence, ..parse(&text).unwrap_or_default() };
        let secret = text.lines().next().and_then(|line| DeviceSecret::parse(line).ok());
        let publics = secret.and_then(|secret| Publics::of(&secret).ok());
        let (announced, inventory) = (false, None);
        let serial = serial.to_owned();
        Ok(Self { path, serial, api, known, publics, rotate, announced, news, inventory })
    }

    /// Tells what the camera is made of, too.
    pub(crate) fn telling(mut self, inventory: Inventory) -> Self {
        self.inventory = Some(inventory);
        self.known.tells_inventory = true;
        self
    }

    /// Asks for news until `stop`, and waits for what is `told`; makes a secret when a new owner has
    /// bound the device. Who is heard on `asked` is told when the list in force is known and obeyed.
    pub(crate) async fn run(
        mut self,
        mut told: server::News,
        mut asked: mpsc::Receiver<Done>,
        stop: CancellationToken,
    ) {
        let mut backoff = Backoff::default();
        let mut waiting: Option<Done> = None;
        loop {
            let polled = tokio::select! {
                () = stop.cancelled() => return,
                // What waits for news since before the camera was away may wait for ever.
                Some(done) = asked.recv() => {
                    (waiting, self.announced) = (Some(done), false);
                    continue;
                }
                polled = self.poll(&mut told) => polled,
            };
            // What follows an answer is never cut short by one who asks.
            let acted = match polled {
                Ok(state) => tokio::select! {
                    () = stop.cancelled() => return,
                    acted = self.act(state) => acted,
                },
                Err(error) => Err(error),
            };
            let wait = match acted {
                Ok(()) => {
                    backoff.reset();
                    if let Some(done) = waiting.take() {
                        self.confirm(done).await;
                    }
                    POLL_PAUSE
                }
                Err(error) => {
                    tracing::warn!(error, "the server cannot be asked about the binding");
                    backoff.next_wait()
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                Some(done) = asked.recv() => {
                    (waiting, self.announced) = (Some(done), false);
                    backoff.reset();
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Says that all was told; after what was told, where somebody seals.
    async fn confirm(&self, done: Done) {
        match &self.news {
            Some(news) => drop(news.send(News::Told(done)).await),
            None => drop(done.send(())),
        }
    }

    async fn poll(&self, told: &mut server::News) -> Result<DeviceState, String> {
        // Nothing leaves before the list in force is known, so the first answer must not wait.
        let list_version = if self.announced { self.known.list_version } else { u64::MAX };
        let known = DeviceKnown { list_version, ..self.known };
        told.wait(&self.api, &known).await.map_err(|error| error.to_string())
    }

    async fn act(&mut self, state: DeviceState) -> Result<(), String> {
        if let Some(inventory) = &mut self.inventory {
            inventory.tell(&self.api, &state).await;
        }
        let new_owner = state.bound && state.binding_epoch != self.known.binding_epoch;
        if state.bound && (state.key_wanted || new_owner || self.rotate) {
            self.make(state.binding_epoch).await?;
            self.rotate = false;
            return Ok(());
        }
        if !state.bound {
            // Whoever binds it next gets a secret of his own.
            self.announced = true;
        } else if !self.announced {
            let list = self.list().await?;
            self.announce(list).await;
        } else if state.list_version != self.known.list_version {
            self.fetch_list().await?;
        }
        if let (Some(news), Some(order)) = (&self.news, state.enc_order)
            && self.known.enc_sequence != Some(state.enc_sequence)
        {
            // Whoever seals judges it.
            let _ = news.send(News::Order(order)).await;
        }
        self.known = DeviceKnown {
            binding_epoch: state.binding_epoch,
            key_epoch: state.key_epoch,
            list_version: state.list_version,
            enc_sequence: self.news.as_ref().map(|_| state.enc_sequence),
            ..self.known
        };
        Ok(())
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
        // No list and no order is of the new secret yet.
        let enc_sequence = self.known.enc_sequence.map(|_| 0);
        self.known =
            DeviceKnown { binding_epoch, key_epoch, list_version: 0, enc_sequence, ..self.known };
        let camera_key = self.camera_key();
        let lines = Zeroizing::new(format!(
            "{}\n{binding_epoch} {key_epoch}\n{camera_key}\n",
            secret.text().expose(),
        ));
        write_private(&self.path, lines.as_bytes()).map_err(|error| text(&error))?;
        let check = self.identity().map(|key| CameraCheck::of(&key));
        display::show(&self.serial, &ShownSecret { secret, check }, &camera_key);
        self.publics = Some(publics);
        self.announce(None).await;
        Ok(())
    }

    /// What viewers pin: the public half of the camera's identity.
    fn identity(&self) -> Option<SigningPublic> {
        match self.api.identity().public_key() {
            PublicKey::Ed25519(key) => Some(*key),
            PublicKey::P256 { .. } => None,
        }
    }

    /// The same as text.
    fn camera_key(&self) -> String {
        self.identity().map(|key| B64.encode(key)).unwrap_or_default()
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
