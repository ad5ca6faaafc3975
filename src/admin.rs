//! `sightline admin`: accounts, devices and backups, on the data folder itself.
//!
//! Works beside a running server, which shares the database and notices within a second what was
//! ended here.

mod apps;
mod policy;
mod simulate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use sightline_control_plane::acting::Acting;
use sightline_control_plane::admin::NewDevice;
use sightline_control_plane::development::Outlet;
use sightline_control_plane::ids::AccountId;
use sightline_control_plane::restore::{self, Restore};
use sightline_control_plane::sms::DevelopmentSms;
use sightline_control_plane::{ControlPlane, DATABASE_FILE};
use sightline_grant::Thumbprint;

use crate::app;
use crate::cli::Place;
use crate::config::{self, Overrides};
use crate::data_dir::DataDir;
use crate::serve::facts::{SMS_FILE, control_config};
use crate::serve::mail;

/// Arguments of `admin`.
#[derive(Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    place: Place,
    /// Print JSON for scripts
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Manage devices
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Manage accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// Manage apps that people sign in to with their account
    #[command(subcommand)]
    App(apps::AppCommand),
    /// Write a consistent copy of the database into a folder
    Backup {
        /// The folder; made if it does not exist
        folder: PathBuf,
    },
    /// Rehearse an attack on simulated time; touches no data
    #[command(subcommand)]
    Simulate(simulate::SimulateCommand),
    /// Put a backup into a data folder that has no database, while no server runs on it
    Restore(RestoreArgs),
    /// Say which versions of a client are newest and oldest
    #[command(subcommand)]
    AppVersion(AppVersionCommand),
    /// Lay down what a purpose means for one product
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

/// Everybody signs in again, cameras confirm their owners, and counters go on above what was lost.
#[derive(Args)]
struct RestoreArgs {
    /// Database of the backup
    database: PathBuf,
    /// The newest subject-keys.db that there is, so that erased people stay erased
    #[arg(long)]
    subject_keys: PathBuf,
    /// The newest erasures.log that there is, if newer than the one beside the backup
    #[arg(long)]
    erasures: Option<PathBuf>,
    /// The server was stopped before this backup was made and has not run since: nothing is to be
    /// ended or confirmed
    #[arg(long)]
    unchanged: bool,
}

#[derive(Subcommand)]
enum AppVersionCommand {
    /// Name the newest version of a client, and the oldest that may still be used
    Set {
        /// Client, such as android
        client: String,
        /// Newest version, such as 2.10.0
        #[arg(long)]
        newest: String,
        /// Oldest usable version
        #[arg(long)]
        minimum: String,
        /// What is new, English
        #[arg(long, default_value = "")]
        notes_en: String,
        /// What is new, Chinese
        #[arg(long, default_value = "")]
        notes_zh: String,
    },
    /// List clients
    List,
    /// Forget a client
    Remove {
        /// Client
        client: String,
    },
}

#[derive(Subcommand)]
enum DeviceCommand {
    /// Add a device; its one-time texts are printed once
    Add(AddDevice),
    /// List devices
    List,
    /// Remove a device; its binding ends
    Remove {
        /// Serial
        serial: String,
    },
    /// Issue a code that binds a device which nobody owns, once, within a day
    Code {
        /// Serial
        serial: String,
    },
    /// End the binding of a device, whose owner is told, or one that waits for its camera since a restore
    Release {
        /// Serial
        serial: String,
    },
    /// Give an RTSP or WHIP camera a new publish password
    Rotate {
        /// Serial
        serial: String,
    },
}

#[derive(Args)]
struct AddDevice {
    /// Serial: 1 to 64 letters, digits, - or _
    #[arg(long)]
    serial: String,
    /// Name that its owner sees first
    #[arg(long, default_value = "Camera")]
    name: String,
    /// Model
    #[arg(long, default_value = "")]
    model: String,
    /// Number of channels
    #[arg(long, default_value_t = 1)]
    channels: u16,
    /// An RTSP or WHIP camera: a publish password is made
    #[arg(long, conflicts_with = "identity", required_unless_present = "identity")]
    open: bool,
    /// A camera behind the agent: what `sightline camera --folder F --print-identity` prints
    // A thumbprint is base64url, so one in 64 begins with a dash.
    #[arg(long, allow_hyphen_values = true)]
    identity: Option<String>,
    /// What the agent sends: `sealed` frames, which only its owner and whom he lets in can open, or
    /// `open` ones, which this server can see too
    #[arg(long, requires = "identity", default_value = "sealed", value_parser = ["sealed", "open"])]
    mode: String,
}

#[derive(Subcommand)]
enum AccountCommand {
    /// List accounts, numbers masked
    List,
    /// Erase an account: its logins, bindings and personal data
    Delete {
        /// Account id
        id: String,
    },
}

/// Runs the command.
pub(crate) fn run(args: &AdminArgs) -> Result<(), String> {
    if let AdminCommand::Simulate(command) = &args.command {
        return simulate::run(command);
    }
    // What changes for an account says in its log that the operator did it.
    app::run(Acting::operator().scope(execute(args)))
}

async fn execute(args: &AdminArgs) -> Result<(), String> {
    let out = Output { json: args.json };
    if let AdminCommand::Restore(wish) = &args.command {
        return restore(&args.place.data, wish, out).await;
    }
    let control = open(&args.place).await?;
    match &args.command {
        AdminCommand::Device(command) => device(&control, command, out).await,
        AdminCommand::Account(command) => account(&control, command, out).await,
        AdminCommand::App(command) => apps::run(&control, command, out).await,
        AdminCommand::Backup { folder } => backup(&control, folder, out).await,
        AdminCommand::AppVersion(command) => app_version(&control, command, out).await,
        AdminCommand::Policy(command) => policy::run(&control, command, out).await,
        AdminCommand::Restore(_) | AdminCommand::Simulate(_) => Ok(()),
    }
}

/// Opens the database of a data folder that a server has made before.
pub(crate) async fn open(place: &Place) -> Result<ControlPlane, String> {
    let data = &place.data;
    if !data.join(DATABASE_FILE).exists() {
        return Err(format!("{} holds no Sightline data; start the server once", data.display()));
    }
    let raw = config::load(place.config.as_deref(), std::iter::empty(), &Overrides::default())
        .map_err(|error| error.to_string())?;
    // Messages of the outbox are the server's to send.
    let sms = DevelopmentSms(Outlet::new(Box::new(|_| {}), data.join(SMS_FILE)));
    let mail = mail::sender(data, &raw, |_| {})?;
    ControlPlane::open(control_config(data, &raw)?, Arc::new(sms), mail)
        .await
        .map_err(|error| error.to_string())
}

async fn device(
    control: &ControlPlane,
    command: &DeviceCommand,
    out: Output,
) -> Result<(), String> {
    match command {
        DeviceCommand::Add(add) => add_device(control, add, out).await,
        DeviceCommand::List => list_devices(control, out).await,
        DeviceCommand::Remove { serial } => {
            control.remove_device(serial).await.map_err(|error| error.to_string())?;
            out.line(json!({ "removed": serial }), &format!("{serial} is removed"));
            Ok(())
        }
        DeviceCommand::Code { serial } => issue_code(control, serial, out).await,
        DeviceCommand::Release { serial } => {
            control.release_device(serial).await.map_err(|error| error.to_string())?;
            out.line(json!({ "released": serial }), &format!("{serial} has no owner any more"));
            Ok(())
        }
        DeviceCommand::Rotate { serial } => {
            let password =
                control.rotate_publish_password(serial).await.map_err(|error| error.to_string())?;
            let shown = password.expose();
            out.line(
                json!({ "serial": serial, "publish_password": shown }),
                &format!("publish password of {serial}: {shown}   (shown once)"),
            );
            Ok(())
        }
    }
}

async fn add_device(control: &ControlPlane, add: &AddDevice, out: Output) -> Result<(), String> {
    let identity = match &add.identity {
        Some(text) => Some(text.parse::<Thumbprint>().map_err(|_| {
            "--identity is not what `sightline camera --folder F --print-identity` prints"
                .to_owned()
        })?),
        None => None,
    };
    let new = NewDevice {
        serial: add.serial.clone(),
        name: add.name.clone(),
        model: add.model.clone(),
        identity,
        seals: add.identity.is_some() && add.mode == "sealed",
        channels: add.channels,
    };
    let texts = control.add_device(&new).await.map_err(|error| error.to_string())?;
    let (serial, code) = (&add.serial, texts.verification_code.expose());
    let password = texts.publish_password.as_ref().map(|password| password.expose().as_str());
    let add = texts.add_code(serial).ok_or("the serial is none")?;
    let add = add.expose();
    let mut text = format!("serial             {serial}\nverification code  {code}\n");
    text += &format!("bind text          SL1:{serial}:{code}\n");
    text += &format!("picture code       {add}");
    if let Some(password) = password {
        text += &format!("\npublish password   {password}");
    }
    text += "\nThese are shown once.";
    let value = json!({
        "serial": serial, "verification_code": code, "add_code": add,
        "publish_password": password,
    });
    out.line(value, &text);
    out.picture(add);
    Ok(())
}

async fn issue_code(control: &ControlPlane, serial: &str, out: Output) -> Result<(), String> {
    let issued = control.issue_bind_code(serial).await.map_err(|error| error.to_string())?;
    let (code, add) = (issued.code.expose(), issued.picture.expose());
    let value = json!({
        "serial": serial, "code": code, "add_code": add, "expires_at": issued.expires_at,
    });
    let text = format!(
        "code of {serial}   {code}\npicture code       {add}\n\
         Works once, within a day, while nobody owns the device. Shown once."
    );
    out.line(value, &text);
    out.picture(add);
    Ok(())
}

async fn list_devices(control: &ControlPlane, out: Output) -> Result<(), String> {
    let devices = control.list_devices().await.map_err(|error| error.to_string())?;
    for state in devices {
        let (serial, name) = (state.device.serial.as_str(), &state.device.name);
        let bound = state.owner.is_some();
        let (binding, key) = (state.epochs.binding, state.epochs.key);
        let value = json!({
            "serial": serial, "name": name, "bound": bound,
            "binding_epoch": binding, "key_epoch": key,
        });
        let word = if bound { "bound" } else { "free" };
        out.line(
            value,
            &format!("{serial:<24} {word:<6} binding {binding:<4} key {key:<4} {name}"),
        );
    }
    Ok(())
}

async fn account(
    control: &ControlPlane,
    command: &AccountCommand,
    out: Output,
) -> Result<(), String> {
    match command {
        AccountCommand::List => {
            let accounts = control.list_accounts().await.map_err(|error| error.to_string())?;
            for account in accounts {
                let (id, phone) = (account.id.as_str(), &account.phone_masked);
                let value = json!({ "id": id, "phone": phone, "created_at": account.created_at });
                out.line(value, &format!("{id}  {phone}"));
            }
        }
        AccountCommand::Delete { id } => {
            control
                .delete_account(&AccountId(id.clone()))
                .await
                .map_err(|error| error.to_string())?;
            out.line(json!({ "deleted": id }), &format!("{id} is erased"));
        }
    }
    Ok(())
}

async fn backup(control: &ControlPlane, folder: &Path, out: Output) -> Result<(), String> {
    control.backup(folder).await.map_err(|error| error.to_string())?;
    out.line(
        json!({ "backup": folder }),
        &format!(
            "{} holds the database, subject-keys.db and erasures.log. Keep only the newest \
             subject-keys.db and erasures.log. The master key is not in it: keep the data folder's \
             keys/ elsewhere.",
            folder.display()
        ),
    );
    Ok(())
}

/// Puts a backup back, while nobody else has the folder.
async fn restore(data: &Path, wish: &RestoreArgs, out: Output) -> Result<(), String> {
    let _lock = DataDir::open(data).map_err(|error| error.to_string())?;
    let what = Restore {
        database: wish.database.clone(),
        subject_keys: wish.subject_keys.clone(),
        erasures: wish.erasures.clone(),
        unchanged: wish.unchanged,
    };
    let done = restore::restore(&what, data).await.map_err(|error| error.to_string())?;
    let (erased, suspended, released) = (done.erased, done.suspended, done.released);
    let mut text =
        format!("restored; {erased} accounts were erased again. Put keys/ in place too.");
    if !wish.unchanged {
        text += &format!(
            "\nEverybody signs in and agrees again. {suspended} cameras confirm their owner when they \
             next ask; {released} cameras with a publish password must be added again by their \
             owners: give those that may have changed hands a new one by `admin device rotate`. Apps \
             with a secret need a new one: `admin app rotate-secret`. Those without are suspended: \
             `admin app resume` confirms one that was not removed."
        );
    }
    let value = json!({
        "restored": data, "erased": erased, "suspended": suspended, "released": released,
    });
    out.line(value, &text);
    Ok(())
}

async fn app_version(
    control: &ControlPlane,
    command: &AppVersionCommand,
    out: Output,
) -> Result<(), String> {
    match command {
        AppVersionCommand::Set { client, newest, minimum, notes_en, notes_zh } => {
            control
                .set_app_version(client, newest, minimum, (notes_en, notes_zh))
                .await
                .map_err(|error| error.to_string())?;
            let value = json!({ "client": client, "newest": newest, "minimum": minimum });
            out.line(value, &format!("{client}: newest {newest}, oldest usable {minimum}"));
        }
        AppVersionCommand::List => {
            for row in control.app_versions().await.map_err(|error| error.to_string())? {
                let (client, newest, minimum) = (row.client, row.newest, row.minimum);
                let text = format!("{client}: newest {newest}, oldest usable {minimum}");
                let value = json!({ "client": client, "newest": newest, "minimum": minimum });
                out.line(value, &text);
            }
        }
        AppVersionCommand::Remove { client } => {
            let known = control.remove_app_version(client).await.map_err(|e| e.to_string())?;
            if !known {
                return Err(format!("there is no client {client}"));
            }
            out.line(json!({ "removed": client }), &format!("{client} is forgotten"));
        }
    }
    Ok(())
}

/// Text for people or JSON lines for scripts.
#[derive(Clone, Copy)]
struct Output {
    json: bool,
}

impl Output {
    fn line(self, value: serde_json::Value, text: &str) {
        if self.json {
            println!("{value}");
        } else {
            println!("{text}");
        }
    }

    /// A picture code, for people at a terminal.
    fn picture(self, text: &str) {
        if let Some(picture) = crate::picture::on_terminal(text).filter(|_| !self.json) {
            println!("{picture}");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        admin: AdminArgs,
    }

    #[test]
    fn an_identity_may_begin_with_a_dash() {
        let text = format!("-J{}", "a".repeat(41));
        let words = ["admin", "device", "add", "--serial", "CAM-1", "--identity", &text];
        let line = Line::try_parse_from(words).expect("a thumbprint");
        let AdminCommand::Device(DeviceCommand::Add(add)) = line.admin.command else {
            panic!("another command");
        };
        assert_eq!(add.identity.as_deref(), Some(&text[..]));
    }
}
