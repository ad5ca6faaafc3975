//! A server, sealed cameras and their owners.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use sightline_client::DeviceSecret;
use sightline_client::api::{ApiError, GenerationsWanted};
use sightline_client::keys::{Binding, ExchangeKey, Keyring, TerminalKeys, Viewer, ViewerList};
use sightline_client::secret::AuthKey;
use sightline_relay_proto::ids::DeviceId;

use crate::side::{Recording, Side, now};
use crate::support::process::Process;
use crate::support::publishers::Publisher;
use crate::support::server::{Device, Server};
use crate::support::terminal::Terminal;

/// Longest wait for a camera: it notices after 15 s that its server was killed.
const LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const POLL: Duration = Duration::from_millis(50);
/// Pause before a camera that is away is asked for again: a terminal has an allowance of requests.
const ASK_AGAIN: Duration = Duration::from_millis(400);
/// Generations asked for: more than a test makes.
const ALL: u64 = 64;

pub(crate) struct Stage {
    server: Server,
    folder: tempfile::TempDir,
}

/// An owner with a camera that runs and is being recorded.
pub(crate) struct Owner {
    pub(crate) side: Side,
    pub(crate) account: String,
    pub(crate) recording: Recording,
    device: Device,
    epoch: u64,
    camera_key: [u8; 32],
    camera: Option<Process>,
    folder: std::path::PathBuf,
    version: u64,
    phone: String,
    pub(crate) terminal: Terminal,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self { server: Server::start(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// A new owner of a new camera, who has passed the gate and records.
    pub(crate) async fn owner(&mut self, phone: &str) -> Owner {
        let device = self.server.add_sealed_agent();
        let camera = Publisher::AgentSealed.start(&device, self.folder.path());
        self.bound(phone, device, camera).await
    }

    async fn bound(&self, phone: &str, mut device: Device, camera: Process) -> Owner {
        let mut terminal = Terminal::new(phone);
        terminal.sign_in(&self.server).await;
        terminal.consent_to_viewing().await.ok();
        terminal.open_agent(&self.server, &mut device).await;
        terminal.wait_until_live(&device.serial).await;
        let side = Side::of(&self.server, &terminal);
        let account = side.api.me(&side.access).await.expect("an account").id;
        let devices = side.api.devices(&side.access).await.expect("devices");
        let epoch = devices.iter().find(|one| one.serial == device.serial);
        let epoch = epoch.expect("the camera").binding_epoch;
        let recording = side.watch(&device.serial).await;
        let camera_key = camera_key(device.agent.as_deref().expect("an agent"));
        let folder = self.folder.path().to_owned();
        let (camera, phone) = (Some(camera), phone.to_owned());
        let version = 0;
        Owner {
            side,
            account,
            recording,
            device,
            epoch,
            camera_key,
            camera,
            folder,
            version,
            phone,
            terminal,
        }
    }

    /// Another terminal of the owner's account, which has its SMS window.
    pub(crate) async fn sign_in_again(&self, owner: &Owner) -> Side {
        let mut terminal = Terminal::new(&owner.phone);
        terminal.sign_in(&self.server).await;
        terminal.step_up(&self.server, owner.serial()).await.ok();
        Side::of(&self.server, &terminal)
    }

    /// A person of another account, with whom the owner shares the camera, who has passed all of the gate
    /// but the proof; and the code of the invitation.
    pub(crate) async fn guest(&self, owner: &Owner, phone: &str) -> (Side, String) {
        let mut terminal = Terminal::new(phone);
        terminal.sign_in(&self.server).await;
        terminal.consent_to_viewing().await.ok();
        let code = owner.terminal.invite(owner.serial(), &["view"]).await;
        terminal.accept(&code).await.ok();
        terminal.step_up(&self.server, owner.serial()).await.ok();
        (Side::of(&self.server, &terminal), code)
    }

    /// The owner gives the camera away: unbound, and bound by the next one while it runs.
    pub(crate) async fn hand_over(&self, owner: &mut Owner, phone: &str) -> Owner {
        let serial = owner.serial().to_owned();
        owner.side.api.unbind(&owner.side.access, &serial).await.expect("unbound");
        let device = Device { password: String::new(), ..owner.device.clone() };
        let secret = device.agent.as_deref().expect("an agent").join("secret.txt");
        fs::remove_file(secret).expect("the former owner's secret");
        let camera = owner.camera.take().expect("it runs");
        self.bound(phone, device, camera).await
    }

    /// Kills the server and starts it again: every connection of a camera is gone.
    pub(crate) fn restart_server(&mut self) {
        self.server.crash_and_restart();
    }

    /// What a server could do to its own database.
    pub(crate) fn replace_list(&self, serial: &str, list: &[u8], version: u64) {
        let change = "import sqlite3, sys\n\
            c = sqlite3.connect(sys.argv[1], timeout=10)\n\
            done = c.execute('UPDATE viewer_list SET signed = ?, version = ? WHERE serial = ?',\n\
                (bytes.fromhex(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))\n\
            c.commit()\n\
            assert done.rowcount == 1";
        let hex: String = list.iter().map(|byte| format!("{byte:02x}")).collect();
        let database = self.server.data().join("control-plane.db");
        let mut command = Command::new("python3");
        command.args(["-c", change]).arg(database).args([&hex, &version.to_string(), serial]);
        let output = command.output().expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The identity that the camera's own terminal shows.
fn camera_key(agent: &Path) -> [u8; 32] {
    let text = fs::read_to_string(agent.join("secret.txt")).expect("the secret's file");
    let key = text.lines().nth(2).expect("the camera's key");
    B64.decode(key).expect("base64url").try_into().expect("32 bytes")
}

impl Owner {
    pub(crate) fn serial(&self) -> &str {
        &self.device.serial
    }

    pub(crate) fn binding(&self) -> Binding {
        Binding { serial: DeviceId::new(self.serial()).expect("a serial"), epoch: self.epoch }
    }

    pub(crate) fn archive(&self) -> ExchangeKey {
        self.secret().archive_key().expect("derived")
    }

    pub(crate) fn auth(&self) -> AuthKey {
        self.secret().auth_key().expect("derived")
    }

    fn secret(&self) -> DeviceSecret {
        DeviceSecret::parse(&self.device.password).expect("the agent's secret")
    }

    /// Puts the next list into force; its bytes.
    pub(crate) async fn put_list(&mut self, viewers: Vec<Viewer>) -> Vec<u8> {
        self.version += 1;
        let list = ViewerList::new(self.binding(), self.version, viewers).expect("a list");
        let signed = list.sign(&self.auth());
        let put = self.side.api.put_viewer_list(&self.side.access, self.serial(), signed.bytes());
        put.await.expect("in force");
        signed.bytes().to_vec()
    }

    /// A list of this camera that somebody without its secret signed.
    pub(crate) fn signed_by_another(&self, version: u64, viewers: Vec<Viewer>) -> Vec<u8> {
        let other = DeviceSecret::generate().expect("randomness").auth_key().expect("derived");
        let list = ViewerList::new(self.binding(), version, viewers).expect("a list");
        list.sign(&other).bytes().to_vec()
    }

    /// Waits until the camera wraps for a terminal.
    pub(crate) async fn wait_for_wrap(&self, keys: &TerminalKeys) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut keyring = self.empty_keyring();
            let blobs = self.blobs(keys.exchange()).await;
            let mut opens =
                |blob: &Vec<u8>| keyring.accept(blob, keys.exchange(), now() / 1_000_000).is_ok();
            if blobs.iter().any(&mut opens) {
                return;
            }
            assert!(Instant::now() < deadline, "the camera makes no key for the terminal");
            tokio::time::sleep(POLL).await;
        }
    }

    /// All blobs of the camera, cut for this key.
    pub(crate) async fn blobs(&self, key: &ExchangeKey) -> Vec<Vec<u8>> {
        let recipient = key.public().0;
        let wanted = GenerationsWanted { channel: 0, recipient, after: 0, limit: ALL };
        let page = self.side.api.generations(&self.side.access, self.serial(), &wanted).await;
        page.expect("generations").generations.into_iter().map(|one| one.blob).collect()
    }

    /// A keyring for everything ever sent under this binding, with nothing in it.
    pub(crate) fn empty_keyring(&self) -> Keyring {
        Keyring::recordings(self.binding(), self.camera_key)
    }

    /// All that a key opens of all that the server holds, whomever it is wrapped for.
    pub(crate) async fn keyring_of(&self, key: &ExchangeKey) -> Keyring {
        let mut keyring = self.empty_keyring();
        let mut blobs = self.blobs(key).await;
        blobs.extend(self.blobs(&self.archive()).await);
        for blob in blobs {
            let _ = keyring.accept(&blob, key, now() / 1_000_000);
        }
        keyring
    }

    pub(crate) fn stop_camera(&mut self) {
        self.camera.take().expect("it runs").stop();
    }

    pub(crate) fn start_camera(&mut self) {
        self.camera = Some(Publisher::AgentSealed.start(&self.device, &self.folder));
    }

    /// Everything that the running camera wrote.
    pub(crate) fn camera_said(&self) -> String {
        self.camera.as_ref().map_or_else(String::new, Process::complaints)
    }

    /// Records on when the camera is back: what came before stays.
    pub(crate) async fn watch_again(&mut self) {
        let deadline = Instant::now() + LIMIT;
        let earlier = self.recording.all();
        let count = earlier.len();
        while let Err(error) = self.session().await {
            assert!(Instant::now() < deadline, "the camera does not come back: {error}");
            tokio::time::sleep(ASK_AGAIN).await;
        }
        self.recording = self.side.watch(self.serial()).await;
        self.recording.prepend(earlier);
        assert!(self.recording.all().len() >= count);
    }

    async fn session(&self) -> Result<(), ApiError> {
        let grant = self.side.grant(self.serial()).await?;
        self.side.api.roq_session(&grant, self.serial(), 0).await.map(drop)
    }
}
