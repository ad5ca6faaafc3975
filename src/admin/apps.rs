//! `sightline admin app`: apps that people sign in to with their account.

use clap::{Args, Subcommand};
use serde_json::json;
use sightline_control_plane::ControlPlane;
use sightline_control_plane::ids::AppId;
use sightline_control_plane::sso::app::NewApp;

use super::Output;

/// What can be done with apps.
#[derive(Subcommand)]
pub(crate) enum AppCommand {
    /// Register an app; its secret, if it has one, is printed once
    Add(AddApp),
    /// List apps
    List,
    /// Name another privacy policy of an app; people agree anew to a newer version
    Policy {
        /// Client id
        id: String,
        /// Its address
        #[arg(long)]
        url: String,
        /// Its version
        #[arg(long)]
        version: u32,
    },
    /// Confirm an app that a restore suspended: it has no secret to show that it was not removed
    Resume {
        /// Client id
        id: String,
    },
    /// Forget an app; its logins end, and it is told
    Remove {
        /// Client id
        id: String,
    },
    /// Give an app another secret; the one of before is worth nothing from then on
    RotateSecret {
        /// Client id
        id: String,
    },
    /// Sign what apps get with another key; the one of before stays published for a day
    RotateKey,
}

/// Arguments of `app add`.
#[derive(Args)]
pub(crate) struct AddApp {
    /// Name that people read
    #[arg(long)]
    name: String,
    /// Where a browser is sent back to, compared whole; may be given up to ten times
    #[arg(long = "redirect-uri", required = true)]
    redirect_uris: Vec<String>,
    /// Address of its privacy policy
    #[arg(long)]
    policy_url: String,
    /// Version of its privacy policy; people agree anew to a newer one
    #[arg(long, default_value_t = 1)]
    policy_version: u32,
    /// Your own app: it gets a session of its own, which does what the person's does but for ways to
    /// sign in and other apps
    #[arg(long)]
    first_party: bool,
    /// It runs where no secret can be kept (a phone, a browser): it proves a key instead
    #[arg(long)]
    public: bool,
    /// Where it is told that a login is over
    #[arg(long)]
    backchannel_logout_uri: Option<String>,
}

/// Runs the command.
pub(super) async fn run(
    control: &ControlPlane,
    command: &AppCommand,
    out: Output,
) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    match command {
        AppCommand::Add(wish) => add(control, wish, out).await,
        AppCommand::List => list(control, out).await,
        AppCommand::Policy { id, url, version } => {
            let done = control.set_app_policy(&AppId(id.clone()), url, *version).await;
            done.map_err(|error| text(&error))?;
            let value = json!({ "client_id": id, "policy_url": url, "policy_version": version });
            out.line(value, &format!("{id}: version {version} at {url}"));
            Ok(())
        }
        AppCommand::Resume { id } => {
            control.resume_app(&AppId(id.clone())).await.map_err(|error| text(&error))?;
            out.line(json!({ "resumed": id }), &format!("{id} works again"));
            Ok(())
        }
        AppCommand::Remove { id } => {
            control.remove_app(&AppId(id.clone())).await.map_err(|error| text(&error))?;
            out.line(json!({ "removed": id }), &format!("{id} is removed"));
            Ok(())
        }
        AppCommand::RotateSecret { id } => {
            let secret = control.rotate_app_secret(&AppId(id.clone())).await;
            let secret = secret.map_err(|error| text(&error))?;
            let shown = secret.expose();
            out.line(
                json!({ "client_id": id, "client_secret": shown }),
                &format!("client secret of {id}: {shown}   (shown once)"),
            );
            Ok(())
        }
        AppCommand::RotateKey => {
            let kid = control.rotate_signing_key().await.map_err(|error| text(&error))?;
            out.line(json!({ "kid": kid }), &format!("signing with {kid} from now on"));
            Ok(())
        }
    }
}

async fn add(control: &ControlPlane, wish: &AddApp, out: Output) -> Result<(), String> {
    let new = NewApp {
        name: wish.name.clone(),
        redirect_uris: wish.redirect_uris.clone(),
        first_party: wish.first_party,
        public: wish.public,
        policy_url: wish.policy_url.clone(),
        policy_version: wish.policy_version,
        backchannel_uri: wish.backchannel_logout_uri.clone(),
    };
    let added = control.add_app(&new).await.map_err(|error| error.to_string())?;
    let secret = added.secret.as_ref().map(|secret| secret.expose().as_str());
    let mut text = format!("client id      {}", added.id);
    if let Some(secret) = secret {
        text += &format!("\nclient secret  {secret}   (shown once)");
    }
    out.line(json!({ "client_id": added.id, "client_secret": secret }), &text);
    Ok(())
}

async fn list(control: &ControlPlane, out: Output) -> Result<(), String> {
    for app in control.list_apps().await.map_err(|error| error.to_string())? {
        let value = json!({
            "client_id": app.id, "name": app.name, "redirect_uris": app.redirect_uris,
            "first_party": app.first_party, "public": !app.confidential,
            "policy_url": app.policy_url, "policy_version": app.policy_version,
            "backchannel_logout_uri": app.backchannel_uri,
            "has_secret": app.secret_hash.is_some(), "suspended_at": app.suspended_at,
        });
        let party = if app.first_party { "own" } else { "other" };
        // After a restore no secret holds, and an app without one waits to be resumed.
        let state = match (app.suspended_at, app.confidential, &app.secret_hash) {
            (Some(_), ..) => "SUSPENDED",
            (None, false, _) => "key",
            (None, true, Some(_)) => "secret",
            (None, true, None) => "NO SECRET",
        };
        out.line(value, &format!("{}  {party:<5} {state:<9} {}", app.id, app.name));
    }
    Ok(())
}
