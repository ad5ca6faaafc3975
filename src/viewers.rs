//! `sightline viewers`: an owner's way to say who may open a sealed camera. Signs viewer lists with
//! the device secret; the server only keeps them.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use clap::{Args, Subcommand};
use sightline_client::api::Api;
use sightline_client::keys::{
    Binding, GuestCommitment, ListKeeper, ListRefused, OwnerReply, Reveal, Scopes, TerminalKeys,
    TerminalPublic, Viewer, ViewerList,
};
use sightline_client::secret::{AuthKey, CameraCheck};
use sightline_grant::Redacted;
use sightline_relay_proto::ids::DeviceId;

use crate::app::{self, App, AppArgs};
use crate::data_dir::write_private;
use crate::watch::gate::{GateArgs, sign_in};
use crate::watch::introduction::{agrees, heard};
use crate::watch::opening::Asker;
use crate::watch::pinned::{Named, trusted};

/// Seconds of a day.
const DAY: u64 = 24 * 3600;
/// Keys of this terminal, unless `--terminal` names others.
const TERMINAL_FILE: &str = "sealed.keys";

/// Arguments of `viewers`.
#[derive(Args)]
pub(crate) struct ViewersArgs {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    gate: GateArgs,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Show the terminals on the list
    List,
    /// Let this terminal itself in, so that it opens the camera without the secret
    AddThis,
    /// Let a guest in, who shows a code (`watch --introduce`, or the page)
    Add {
        /// The guest's code
        code: String,
        /// End after this many days
        #[arg(long)]
        days: Option<u64>,
    },
    /// Remove a terminal: from the next second on it opens nothing new
    Remove {
        /// The terminal, as `list` shows it
        #[arg(allow_hyphen_values = true)]
        terminal: String,
    },
}

/// Changes or shows the list.
pub(crate) fn run(args: &ViewersArgs) -> Result<(), String> {
    app::run(act(args))
}

async fn act(args: &ViewersArgs) -> Result<(), String> {
    let owner = Owner::prepare(args).await?;
    match &args.act {
        Act::List => {
            let list = owner.list().await?;
            for viewer in list.list().map_or(&[][..], |signed| signed.list().viewers()) {
                println!("{}", line(viewer));
            }
            Ok(())
        }
        Act::AddThis => {
            let me = owner.api.me(&owner.access).await.map_err(|error| error.to_string())?;
            let terminal = owner.terminal(args)?.public();
            owner.add(viewer(terminal, me.id, None)).await
        }
        Act::Add { code, days } => add_guest(&owner, args, code, *days).await,
        Act::Remove { terminal } => {
            let gone = |viewer: &Viewer| B64.encode(viewer.terminal.signing) == *terminal;
            if !owner.change(|viewers| viewers.retain(|viewer| !gone(viewer))).await? {
                return Err("no such terminal is on the list".into());
            }
            println!("removed");
            Ok(())
        }
    }
}

/// The owner's side of an introduction.
async fn add_guest(
    owner: &Owner,
    args: &ViewersArgs,
    code: &str,
    days: Option<u64>,
) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (api, access) = (&owner.api, &owner.access);
    let camera = args.gate.camera_key()?;
    let named = Named { camera_key: camera.as_deref(), check: owner.check };
    let camera = trusted(&args.app.folder, &owner.binding, named)?;
    // The guest is bound by this before it hears anything.
    let held = api.introduction(access, code).await.map_err(|error| text(&error))?;
    let commitment = held.commitment.and_then(|bytes| bytes.try_into().ok());
    let commitment = GuestCommitment(commitment.ok_or("the guest's message is malformed")?);
    let terminal = owner.terminal(args)?.public();
    let reply = OwnerReply::new(owner.binding.clone(), camera, terminal);
    let reply = reply.map_err(|error| text(&error))?;
    let sent = api.reply_to_introduction(access, code, &reply.to_bytes()).await;
    sent.map_err(|error| text(&error))?;
    let reveal = heard(api, access, code, |held| held.reveal.clone()).await?;
    let reveal = Reveal::parse(&reveal).map_err(|error| text(&error))?;
    let same = match reply.check(&commitment, &reveal) {
        Ok(confirmation) => {
            eprintln!("Read these eight digits to the guest: {}", confirmation.code);
            agrees("Does the guest read the same eight digits?")?
        }
        Err(error) => {
            eprintln!("{error}");
            false
        }
    };
    let added = if same {
        let expires = days.map(|days| now() + days.saturating_mul(DAY));
        owner.add(viewer(reveal.guest, held.guest_account, expires)).await
    } else {
        Err("nobody was let in".into())
    };
    // Whatever became of it, the guest is told.
    let told = api.decide_introduction(access, code, added.is_ok()).await;
    added?;
    told.map_err(|error| text(&error))
}

fn viewer(terminal: TerminalPublic, account: String, expires: Option<u64>) -> Viewer {
    let scopes = Scopes::LIVE.with(Scopes::PLAYBACK);
    Viewer { terminal, account, scopes, expires }
}

/// A terminal on one line: key, account, end.
fn line(viewer: &Viewer) -> String {
    let key = B64.encode(viewer.terminal.signing);
    let end = viewer.expires.map_or("no end".into(), |at| format!("ends at {at}"));
    format!("{key}  account {}  {end}", viewer.account)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whoever has the device secret.
struct Owner {
    api: Api,
    access: Redacted<String>,
    binding: Binding,
    auth: AuthKey,
    /// Of the camera that showed the secret, if it was typed too.
    check: Option<CameraCheck>,
    folder: PathBuf,
}

impl Owner {
    async fn prepare(args: &ViewersArgs) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let App { api, .. } = args.app.start()?;
        let AppArgs { folder, serial, .. } = &args.app;
        let access = sign_in(&api, &args.gate, folder).await?;
        let asker = Asker { api: &api, access: &access, serial, channel: 0 };
        let epoch = asker.device().await?.binding_epoch;
        let shown = args.gate.secret(serial)?;
        let serial = DeviceId::new(serial).map_err(|error| text(&error))?;
        let auth = shown.secret.auth_key().map_err(|error| text(&error))?;
        let (folder, check) = (folder.clone(), shown.check);
        Ok(Self { api, access, binding: Binding { serial, epoch }, auth, check, folder })
    }

    fn terminal(&self, args: &ViewersArgs) -> Result<TerminalKeys, String> {
        if let Some(keys) = args.gate.terminal()? {
            return Ok(keys);
        }
        let path = self.folder.join(TERMINAL_FILE);
        TerminalKeys::load_or_create(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The list in force: the server's, unless this terminal has seen a newer one.
    async fn list(&self) -> Result<ListKeeper, String> {
        let mut keeper = ListKeeper::new(self.binding.clone(), self.auth.verifier());
        if let Ok(seen) = std::fs::read(self.seen_file())
            && let Ok(newer) = keeper.check(&seen)
        {
            keeper.adopt(newer);
        }
        let held = self.api.viewer_list(&self.access, self.binding.serial.as_str()).await;
        let held = held.map_err(|error| error.to_string())?.list;
        match held.as_deref().map(|bytes| keeper.check(bytes)) {
            Some(Ok(newer)) => {
                self.remember(newer.bytes())?;
                keeper.adopt(newer);
            }
            Some(Err(ListRefused::Held)) => {}
            Some(Err(error)) => return Err(format!("the server's list is not taken: {error}")),
            None if keeper.version() > 0 => {
                return Err("the server has lost the list that this terminal has seen".into());
            }
            None => {}
        }
        Ok(keeper)
    }

    /// Adds a terminal, or replaces what the list says of it.
    async fn add(&self, viewer: Viewer) -> Result<(), String> {
        let added = line(&viewer);
        self.change(|viewers| {
            viewers.retain(|other| other.terminal.signing != viewer.terminal.signing);
            viewers.push(viewer);
        })
        .await?;
        println!("let in: {added}");
        Ok(())
    }

    /// Signs the next list and puts it into force. `false`: it would say the same.
    async fn change(&self, act: impl FnOnce(&mut Vec<Viewer>)) -> Result<bool, String> {
        let keeper = self.list().await?;
        let old = keeper.list().map(|signed| signed.list());
        let before = old.map_or(Vec::new(), |list| list.viewers().to_vec());
        let mut after = before.clone();
        act(&mut after);
        if after == before {
            return Ok(false);
        }
        let next = match old {
            Some(list) => list.next(after),
            None => ViewerList::new(self.binding.clone(), 1, after),
        };
        let signed = next.map_err(|error| error.to_string())?.sign(&self.auth);
        let serial = self.binding.serial.as_str();
        let put = self.api.put_viewer_list(&self.access, serial, signed.bytes()).await;
        put.map_err(|error| error.to_string())?;
        self.remember(signed.bytes())?;
        Ok(true)
    }

    /// Keeps the list that was seen last, so that the server cannot go back.
    fn remember(&self, list: &[u8]) -> Result<(), String> {
        let path = self.seen_file();
        write_private(&path, list).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn seen_file(&self) -> PathBuf {
        self.folder.join(format!("{}.viewers", self.binding.serial))
    }
}
